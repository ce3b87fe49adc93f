internal import MeshKubernetes

// From a container's spec to the complete recipe that pod-init follows.

/// Everything about the pod that its containers share.
struct LaunchBuilder {
    let config: NodeAgentConfig
    let layout: HostLayout
    let images: ImageTable
    let pod: Pod
    let podIP: String
    let volumes: [String: VolumeDirectory]
    let services: [Service]
    let objects: ReferencedObjects

    private var uid: String { pod.metadata.uid ?? "" }

    /// Directory of the pod's logs; the API server reads the same.
    static func logDirectory(of pod: Pod, in stateDirectory: String) -> String {
        let namespace = pod.metadata.namespace ?? "default"
        return "\(stateDirectory)/logs/\(namespace)_\(pod.metadata.name ?? "")_\(pod.metadata.uid ?? "")"
    }

    /// - Throws: `ImageError` or `ConfigurationError`, whose words belong in the container's waiting reason.
    func launch(_ container: Container, attempt: Int) throws -> ContainerLaunch {
        var environment = ContainerEnvironment(
            services: services, linksServices: pod.spec?.enableServiceLinks ?? true,
            namespace: pod.metadata.namespace ?? "default")
        environment.set("HOSTNAME", Self.hostname(of: pod))
        try environment.add(container, of: pod, podIP: podIP, hostIP: config.nodeAddress, objects: objects)
        let expand = { (text: String) in EnvironmentExpansion.expand(text) { environment[$0] } }
        let program = try images.resolve(
            image: container.image ?? "", command: (container.command ?? []).map(expand),
            args: (container.args ?? []).map(expand))
        let user = identity(of: container)
        if environment["HOME"] == nil { environment.set("HOME", user.user == 0 ? "/root" : "/") }
        let root = try root(of: container, attempt: attempt, environment: environment)
        let capabilities = Capabilities.masks(container.securityContext)
        return ContainerLaunch(
            name: container.name, attempt: attempt,
            executables: ProgramSearch.candidates(
                program.arguments.first ?? "", environment: environment.assignments),
            arguments: program.arguments, environment: environment.assignments, steps: root.steps,
            directory: container.workingDir ?? "/", user: user.user, group: user.group, groups: user.groups,
            noNewPrivileges: container.securityContext?.allowPrivilegeEscalation == false,
            capabilitiesAdd: user.user == 0 ? 0 : capabilities.add, capabilitiesDrop: capabilities.drop,
            logPath:
                "\(Self.logDirectory(of: pod, in: config.stateDirectory))/\(container.name)/\(attempt).log")
    }

    private func identity(of container: Container) -> (user: UInt32, group: UInt32, groups: [UInt32]) {
        let own = container.securityContext
        let shared = pod.spec?.securityContext
        let user = UInt32(clamping: own?.runAsUser ?? shared?.runAsUser ?? 0)
        let group = UInt32(clamping: own?.runAsGroup ?? shared?.runAsGroup ?? (user == 0 ? 0 : Int(user)))
        let groups = (shared?.supplementalGroups ?? []) + (shared?.fsGroup.map { [$0] } ?? [])
        return (user, group, groups.prefix(30).map { UInt32(clamping: $0) })
    }

    private func root(
        of container: Container, attempt: Int, environment: ContainerEnvironment
    ) throws -> ContainerRoot {
        let directory = config.podDirectory(uid)
        var binds = ["resolv.conf", "hosts", "hostname"].map {
            BindMount(
                source: "\(directory)/etc/\($0)", target: "/etc/\($0)", isDirectory: false, isReadOnly: false)
        }
        var mounts = container.volumeMounts ?? []
        if volumes[PodVolumes.accessVolume] != nil,
            !mounts.contains(where: { $0.mountPath == PodVolumes.serviceAccountPath })
        {
            mounts.append(
                VolumeMount {
                    $0.name = PodVolumes.accessVolume
                    $0.mountPath = PodVolumes.serviceAccountPath
                    $0.readOnly = true
                })
        }
        for mount in mounts { binds.append(try bind(mount, environment: environment)) }
        return ContainerRoot(
            scratch: "\(directory)/scratch/\(container.name)-\(attempt)", hostMounts: layout.mounts,
            hidden: [config.stateDirectory], opened: layout.opened, binds: binds,
            isReadOnly: container.securityContext?.readOnlyRootFilesystem ?? false)
    }

    private func bind(_ mount: VolumeMount, environment: ContainerEnvironment) throws -> BindMount {
        guard let volume = volumes[mount.name] else {
            throw ConfigurationError("volume \"\(mount.name)\" is not defined by the pod")
        }
        var source = volume.path
        let inner =
            mount.subPathExpr.map { EnvironmentExpansion.expand($0) { environment[$0] } } ?? mount.subPath
        if let inner, !inner.isEmpty {
            guard VolumeContent.isContained(inner) else {
                throw ConfigurationError("subPath \(inner) leaves its volume")
            }
            source += "/" + inner
            if !Files.exists(source), !volume.isReadOnly { try Files.makeDirectory(source, mode: 0o777) }
        }
        guard let resolved = Processes.resolvedPath(source) else {
            throw ConfigurationError("volume \"\(mount.name)\": \(inner ?? "content") does not exist")
        }
        return BindMount(
            source: resolved, target: mount.mountPath, isDirectory: Files.isDirectory(resolved),
            isReadOnly: volume.isReadOnly || mount.readOnly == true)
    }

    /// A host name is at most 63 bytes.
    static func hostname(of pod: Pod) -> String {
        String((pod.spec?.hostname ?? pod.metadata.name ?? "pod").prefix(63))
    }
}

extension Capabilities {
    /// Linux capability numbers, capabilities(7).
    private static let numbers: [String: Int] = [
        "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7,
        "SETPCAP": 8,
        "NET_BIND_SERVICE": 10, "NET_BROADCAST": 11, "NET_ADMIN": 12, "NET_RAW": 13, "IPC_LOCK": 14,
        "SYS_MODULE": 16,
        "SYS_CHROOT": 18, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "SYS_NICE": 23, "SYS_RESOURCE": 24,
        "SYS_TIME": 25,
        "MKNOD": 27, "AUDIT_WRITE": 29, "SETFCAP": 31,
    ]

    /// Bit masks for what a context adds and drops. Dropping ALL keeps what is added.
    static func masks(_ context: SecurityContext?) -> (add: UInt64, drop: UInt64) {
        guard context?.privileged != true else { return (0, 0) }
        let mask = { (names: [String]?) -> UInt64 in
            (names ?? []).reduce(0) { bits, name in
                let plain = name.uppercased().replacing("CAP_", with: "")
                return bits | (plain == "ALL" ? (1 << 41) - 1 : numbers[plain].map { 1 << UInt64($0) } ?? 0)
            }
        }
        let add = mask(context?.capabilities?.add)
        return (add, mask(context?.capabilities?.drop) & ~add)
    }
}
