internal import MeshKubernetes
internal import MeshModel

// A pod's volumes as directories of the host. Content volumes are published the way a kubelet does it: files
// live in a directory of their own generation, `..data` points at the newest, and the visible names point
// through `..data`, so that a reader sees one generation or the next.

/// Where a volume's content is.
struct VolumeDirectory: Sendable, Hashable {
    var path: String
    /// Content volumes cannot be written by containers.
    var isReadOnly = false
    /// Memory to mount before the containers start, in megabytes.
    var memoryMegabytes: Int?
}

/// Prepares and refreshes the volumes of one pod.
actor PodVolumes {
    static let serviceAccountPath = "/var/run/secrets/kubernetes.io/serviceaccount"
    /// The volume that every pod gets unless it opts out.
    static let accessVolume = "kube-api-access"
    static let memoryMegabytesDefault = 64
    /// Content is compared with the API this often.
    static let refreshSeconds = 60.0

    private let context: NodeContext
    private let directory: String
    private var published: [String: [String: VolumeFile]] = [:]
    private var generation = 0
    private var tokens: [String: (text: String, renewAt: Timestamp)] = [:]
    private var refreshAt = Timestamp(seconds: 0)

    init(context: NodeContext, uid: String) {
        self.context = context
        directory = context.config.podDirectory(uid) + "/volumes"
    }

    /// All volumes of `pod`, with the one of API access; makes what is missing.
    func prepare(_ pod: Pod, podIP: String) async throws -> [String: VolumeDirectory] {
        var directories: [String: VolumeDirectory] = [:]
        for volume in Self.volumes(of: pod) {
            directories[volume.name] = try await prepare(volume, pod: pod, podIP: podIP)
        }
        refreshAt = SystemClock.now().adding(seconds: Self.refreshSeconds)
        return directories
    }

    /// Publishes changed content and renews tokens; cheap until something is due.
    func refresh(_ pod: Pod, podIP: String) async {
        let now = SystemClock.now()
        guard now >= refreshAt || tokens.values.contains(where: { $0.renewAt <= now }) else { return }
        refreshAt = now.adding(seconds: Self.refreshSeconds)
        for volume in Self.volumes(of: pod) where volume.emptyDir == nil && volume.hostPath == nil {
            // A failure leaves the last content in place, and is tried again.
            _ = try? await prepare(volume, pod: pod, podIP: podIP)
        }
    }

    /// The pod's volumes, and the implicit one.
    static func volumes(of pod: Pod) -> [Volume] {
        let named = pod.spec?.volumes ?? []
        guard needsAccess(pod) else { return named }
        var access = Volume()
        access.name = accessVolume
        var token = VolumeProjection()
        token.serviceAccountToken = TokenProjection(audience: nil, expirationSeconds: 3607, path: "token")
        var authority = VolumeProjection()
        authority.configMap = ConfigMapProjection(
            name: "kube-root-ca.crt", items: [KeyToPath(key: "ca.crt", path: "ca.crt")], optional: nil)
        var namespace = VolumeProjection()
        namespace.downwardAPI = DownwardAPIProjection(items: [
            DownwardAPIVolumeFile {
                $0.path = "namespace"
                $0.fieldRef = ObjectFieldSelector(fieldPath: "metadata.namespace")
            }
        ])
        access.projected = ProjectedVolumeSource(sources: [token, authority, namespace], defaultMode: nil)
        return named + [access]
    }

    /// Whether a container lacks the mount that admission adds on a real cluster.
    static func needsAccess(_ pod: Pod) -> Bool {
        guard pod.spec?.automountServiceAccountToken != false else { return false }
        let containers = (pod.spec?.containers ?? []) + (pod.spec?.initContainers ?? [])
        return containers.contains { container in
            !(container.volumeMounts ?? []).contains { $0.mountPath == serviceAccountPath }
        }
    }

    private func prepare(_ volume: Volume, pod: Pod, podIP: String) async throws -> VolumeDirectory {
        let path = "\(directory)/\(volume.name)"
        if let host = volume.hostPath { return try Self.hostDirectory(host) }
        if let claim = volume.persistentVolumeClaim {
            let namespace = pod.metadata.namespace ?? "default"
            let place = "\(context.config.stateDirectory)/volumes/pvc/\(namespace)_\(claim.claimName)"
            if !Files.exists(place) {
                try Files.makeDirectory(place)
                Files.setMode(place, 0o777)
            }
            return VolumeDirectory(path: place, isReadOnly: claim.readOnly ?? false)
        }
        try Files.makeDirectory(path)
        if let empty = volume.emptyDir {
            Files.setMode(path, 0o777)
            guard empty.medium == "Memory" else { return VolumeDirectory(path: path) }
            let bytes = (empty.sizeLimit?.text).flatMap(Quantity.value)
            let megabytes = bytes.map { max(1, Int($0 / 1_048_576)) } ?? Self.memoryMegabytesDefault
            return VolumeDirectory(path: path, memoryMegabytes: megabytes)
        }
        try publish(try await content(of: volume, pod: pod, podIP: podIP), in: path)
        return VolumeDirectory(path: path, isReadOnly: true)
    }

    private static func hostDirectory(_ host: HostPathVolumeSource) throws -> VolumeDirectory {
        if !Files.exists(host.path) {
            switch host.type ?? "" {
            case "DirectoryOrCreate": try Files.makeDirectory(host.path)
            case "FileOrCreate": try Files.write([], to: host.path)
            default: throw ConfigurationError("hostPath \(host.path) does not exist")
            }
        }
        return VolumeDirectory(path: host.path)
    }

    // MARK: content

    private func content(of volume: Volume, pod: Pod, podIP: String) async throws -> [String: VolumeFile] {
        if let source = volume.configMap { return try await files(ofConfigMap: source, pod: pod) }
        if let source = volume.secret { return try await files(ofSecret: source, pod: pod) }
        let fields = PodFields(pod: pod, podIP: podIP, hostIP: context.config.nodeAddress)
        if let source = volume.downwardAPI {
            return try VolumeContent.files(
                of: source.items ?? [], fields: fields, defaultMode: source.defaultMode)
        }
        var files: [String: VolumeFile] = [:]
        for source in volume.projected?.sources ?? [] {
            let more = try await self.files(of: source, volume: volume, pod: pod, fields: fields)
            files.merge(more) { _, last in last }
        }
        return files
    }

    private func files(ofConfigMap source: ConfigMapVolumeSource, pod: Pod) async throws -> [String:
        VolumeFile]
    {
        let name = source.name ?? ""
        return try VolumeContent.files(
            of: try await find(ConfigMap.self, name, pod), named: name, items: source.items,
            defaultMode: source.defaultMode, isOptional: source.optional ?? false)
    }

    private func files(ofSecret source: SecretVolumeSource, pod: Pod) async throws -> [String: VolumeFile] {
        let name = source.secretName ?? ""
        return try VolumeContent.files(
            of: try await find(Secret.self, name, pod), named: name, items: source.items,
            defaultMode: source.defaultMode, isOptional: source.optional ?? false)
    }

    private func files(
        of source: VolumeProjection, volume: Volume, pod: Pod, fields: PodFields
    ) async throws -> [String: VolumeFile] {
        let mode = volume.projected?.defaultMode
        if let map = source.configMap {
            let name = map.name ?? ""
            return try VolumeContent.files(
                of: try await find(ConfigMap.self, name, pod), named: name, items: map.items,
                defaultMode: mode,
                isOptional: map.optional ?? false)
        }
        if let secret = source.secret {
            let name = secret.name ?? ""
            return try VolumeContent.files(
                of: try await find(Secret.self, name, pod), named: name, items: secret.items,
                defaultMode: mode,
                isOptional: secret.optional ?? false)
        }
        if let downward = source.downwardAPI {
            return try VolumeContent.files(of: downward.items ?? [], fields: fields, defaultMode: mode)
        }
        guard let projection = source.serviceAccountToken else { return [:] }
        let text = try await token(projection, key: "\(volume.name)/\(projection.path)", pod: pod)
        return [projection.path: VolumeFile(bytes: Array(text.utf8), mode: VolumeContent.modeDefault)]
    }

    private func find<T: KubernetesObject>(_ type: T.Type, _ name: String, _ pod: Pod) async throws -> T? {
        do {
            return try await context.client.get(type, namespace: pod.metadata.namespace, name: name)
        } catch let error as KubernetesError where error.isNotFound {
            return nil
        }
    }

    /// A token for the pod's ServiceAccount, renewed after four fifths of its life.
    private func token(_ projection: TokenProjection, key: String, pod: Pod) async throws -> String {
        let now = SystemClock.now()
        if let known = tokens[key], known.renewAt > now { return known.text }
        let lifetime = max(600, projection.expirationSeconds ?? 3600)
        let account = pod.spec?.serviceAccountName ?? "default"
        var spec: JSONValue = [
            "expirationSeconds": .int(Int64(lifetime)),
            "boundObjectRef": [
                "apiVersion": "v1", "kind": "Pod", "name": .string(pod.metadata.name ?? ""),
                "uid": .string(pod.metadata.uid ?? ""),
            ],
        ]
        if let audience = projection.audience { spec["audiences"] = [.string(audience)] }
        let namespace = pod.metadata.namespace ?? "default"
        let answer = try await context.client.raw(
            "POST", path: "/api/v1/namespaces/\(namespace)/serviceaccounts/\(account)/token",
            body: ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec])
        guard let text = answer.value(at: ["status", "token"])?.stringValue else {
            throw ConfigurationError("no token for service account \(namespace)/\(account)")
        }
        let expiry = answer.value(at: ["status", "expirationTimestamp"])?.stringValue.flatMap {
            Timestamp(text: $0)
        }
        let life = expiry.map { $0.seconds(since: now) } ?? Double(lifetime)
        tokens[key] = (text, now.adding(seconds: max(30, life * 0.8)))
        return text
    }

    /// Makes `files` the content of the volume in `path`.
    private func publish(_ files: [String: VolumeFile], in path: String) throws {
        guard published[path] != files else { return }
        generation += 1
        let stamp = SystemClock.now()
        let fresh = "..\(stamp.seconds)_\(stamp.nanoseconds)_\(generation)"
        try Files.makeDirectory("\(path)/\(fresh)")
        for (name, file) in files where VolumeContent.isContained(name) {
            if let slash = name.lastIndex(of: "/") {
                try Files.makeDirectory("\(path)/\(fresh)/\(name[..<slash])")
            }
            try Files.write(file.bytes, to: "\(path)/\(fresh)/\(name)", mode: file.mode)
        }
        try Files.link("\(path)/..data", to: fresh)
        let visible = Set(files.keys.compactMap { $0.split(separator: "/").first.map(String.init) })
        for name in visible { try Files.link("\(path)/\(name)", to: "..data/\(name)") }
        for name in Files.names(in: path) where name != fresh && name != "..data" && !visible.contains(name) {
            Files.remove("\(path)/\(name)")
        }
        published[path] = files
    }
}
