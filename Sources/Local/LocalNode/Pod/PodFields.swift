package import MeshKubernetes

/// Values that a pod may read about itself: the downward API.
package struct PodFields {
    let pod: Pod
    let podIP: String
    let hostIP: String

    package init(pod: Pod, podIP: String, hostIP: String) {
        self.pod = pod
        self.podIP = podIP
        self.hostIP = hostIP
    }

    var namespace: String { pod.metadata.namespace ?? "default" }

    /// The value at a field path of the API's list (core/v1 ObjectFieldSelector).
    package func value(of path: String) throws(ConfigurationError) -> String {
        let metadata = pod.metadata
        switch path {
        case "metadata.name": return metadata.name ?? ""
        case "metadata.namespace": return namespace
        case "metadata.uid": return metadata.uid ?? ""
        case "metadata.labels": return Self.lines(metadata.labels)
        case "metadata.annotations": return Self.lines(metadata.annotations)
        case "spec.nodeName": return pod.spec?.nodeName ?? ""
        case "spec.serviceAccountName": return pod.spec?.serviceAccountName ?? "default"
        case "status.hostIP", "status.hostIPs": return hostIP
        case "status.podIP", "status.podIPs": return podIP
        default: break
        }
        if let key = Self.key(in: path, of: "metadata.labels") { return metadata.labels?[key] ?? "" }
        if let key = Self.key(in: path, of: "metadata.annotations") {
            return metadata.annotations?[key] ?? ""
        }
        throw ConfigurationError("unsupported fieldPath: \(path)")
    }

    /// `metadata.labels['app']` → `app`.
    private static func key(in path: String, of map: String) -> String? {
        guard path.hasPrefix(map + "['"), path.hasSuffix("']") else { return nil }
        return String(path.dropFirst(map.count + 2).dropLast(2))
    }

    /// The downward API's file form: `key="value"`, sorted.
    private static func lines(_ map: [String: String]?) -> String {
        (map ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\"\(escaped($0.value))\"" }.joined(
            separator: "\n")
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    /// `limits.cpu` and its like, divided and rounded up; without a limit, what the node has.
    package func resource(_ field: ResourceFieldSelector, of container: Container) -> String {
        let named =
            field.containerName.flatMap { name in pod.spec?.containers.first { $0.name == name } }
            ?? container
        let parts = field.resource.split(separator: ".", maxSplits: 1).map(String.init)
        let table = parts.first == "requests" ? named.resources?.requests : named.resources?.limits
        let resource = parts.last ?? ""
        let amount = (table?[resource]?.text).flatMap(Quantity.value) ?? NodeCapacity.value(of: resource)
        let divisor = (field.divisor?.text).flatMap(Quantity.value) ?? 1
        return "\(Int64((amount / (divisor == 0 ? 1 : divisor)).rounded(.up)))"
    }
}

/// Kubernetes quantities: `250m`, `64Mi`, `1e3`.
package enum Quantity {
    private static let suffixes: [(String, Double)] = [
        ("Ki", 1024), ("Mi", 1_048_576), ("Gi", 1_073_741_824), ("Ti", 1_099_511_627_776), ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12),
    ]

    /// The number, `nil` when the text is no quantity.
    package static func value(_ text: String) -> Double? {
        for (suffix, factor) in suffixes where text.hasSuffix(suffix) {
            return Double(text.dropLast(suffix.count)).map { $0 * factor }
        }
        return Double(text)
    }
}
