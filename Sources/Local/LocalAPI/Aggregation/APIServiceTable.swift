import MeshModel

/// One group and version that a Service inside the cluster answers for.
struct AggregatedAPI: Sendable, Hashable {
    /// Name of the APIService.
    let name: String
    let group: String
    let version: String
    let namespace: String
    let service: String
    let port: Int
    /// The certificates that its own must be signed by, in PEM; `nil` trusts the system's.
    let authority: [UInt8]?
    let verifies: Bool
    let versionPriority: Int

    /// `tap.linkerd.io/v1alpha1`.
    var apiVersion: String { "\(group)/\(version)" }
    /// The name that its certificate must bear.
    var serverName: String { "\(service).\(namespace).svc" }

    /// `nil` for an APIService that the API server itself answers for.
    init?(_ object: JSONValue) {
        guard let spec = object["spec"], let service = spec["service"], !service.isNull else { return nil }
        name = object.name
        group = spec["group"]?.stringValue ?? ""
        version = spec["version"]?.stringValue ?? ""
        namespace = service["namespace"]?.stringValue ?? ""
        self.service = service["name"]?.stringValue ?? ""
        port = service["port"]?.intValue ?? 443
        authority = spec["caBundle"]?.stringValue.flatMap(Base64.bytes).flatMap { $0.isEmpty ? nil : $0 }
        verifies = spec["insecureSkipTLSVerify"]?.boolValue != true
        versionPriority = spec["versionPriority"]?.intValue ?? 0
    }
}

/// The aggregated APIs.
struct APIServiceTable: Sendable {
    /// Those that a Service answers for: the preferred version of a group first.
    let apis: [AggregatedAPI]

    init(objects: [JSONValue] = []) {
        apis = objects.compactMap(AggregatedAPI.init).sorted {
            ($0.group, -$0.versionPriority, $0.version) < ($1.group, -$1.versionPriority, $1.version)
        }
    }

    /// The API that answers a path such as `/apis/tap.linkerd.io/v1alpha1/…`.
    func api(for path: [String]) -> AggregatedAPI? {
        guard path.count >= 3, path[0] == "apis" else { return nil }
        return apis.first { $0.group == path[1] && $0.version == path[2] }
    }
}
