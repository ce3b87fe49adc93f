package import MeshKubernetes
package import MeshModel

/// Kinds of object that the controllers watch.
package enum ControlledKind: String, CaseIterable, Sendable {
    case namespaces, nodes, pods, services, endpoints, configMaps, secrets, serviceAccounts, claims
    case deployments, replicaSets, statefulSets, daemonSets, controllerRevisions, jobs, cronJobs,
        endpointSlices

    /// Where the API server keeps them.
    package var resource: APIResource {
        switch self {
        case .namespaces: core("namespaces", "Namespace", isNamespaced: false)
        case .nodes: core("nodes", "Node", isNamespaced: false)
        case .pods: core("pods", "Pod")
        case .services: core("services", "Service")
        case .endpoints: core("endpoints", "Endpoints")
        case .configMaps: core("configmaps", "ConfigMap")
        case .secrets: core("secrets", "Secret")
        case .serviceAccounts: core("serviceaccounts", "ServiceAccount")
        case .claims: core("persistentvolumeclaims", "PersistentVolumeClaim")
        case .deployments: grouped("apps", "deployments", "Deployment")
        case .replicaSets: grouped("apps", "replicasets", "ReplicaSet")
        case .statefulSets: grouped("apps", "statefulsets", "StatefulSet")
        case .daemonSets: grouped("apps", "daemonsets", "DaemonSet")
        case .controllerRevisions: grouped("apps", "controllerrevisions", "ControllerRevision")
        case .jobs: grouped("batch", "jobs", "Job")
        case .cronJobs: grouped("batch", "cronjobs", "CronJob")
        case .endpointSlices: grouped("discovery.k8s.io", "endpointslices", "EndpointSlice")
        }
    }

    private func core(_ plural: String, _ kind: String, isNamespaced: Bool = true) -> APIResource {
        APIResource(group: "", version: "v1", plural: plural, kind: kind, isNamespaced: isNamespaced)
    }

    private func grouped(_ group: String, _ plural: String, _ kind: String) -> APIResource {
        APIResource(group: group, version: "v1", plural: plural, kind: kind, isNamespaced: true)
    }

    /// The watched kind that an owner reference names; `nil` for kinds that are not watched.
    package init?(apiVersion: String, kind: String) {
        guard
            let match = Self.allCases.first(where: {
                $0.resource.kind == kind && $0.resource.apiVersion == apiVersion
            })
        else { return nil }
        self = match
    }
}

extension JSONValue {
    /// Reads of an API object, lenient about what is missing.
    package var name: String { value(at: ["metadata", "name"])?.stringValue ?? "" }
    /// Empty for cluster-wide objects.
    package var namespace: String { value(at: ["metadata", "namespace"])?.stringValue ?? "" }
    /// Empty when the object was never stored.
    package var uid: String { value(at: ["metadata", "uid"])?.stringValue ?? "" }
    package var key: ObjectKey { ObjectKey(namespace: namespace, name: name) }
    package var labels: [String: String] { Self.strings(value(at: ["metadata", "labels"])) }
    package var annotations: [String: String] { Self.strings(value(at: ["metadata", "annotations"])) }
    var generation: Int { value(at: ["metadata", "generation"])?.intValue ?? 0 }
    /// Whether deletion has begun.
    var isTerminating: Bool { value(at: ["metadata", "deletionTimestamp"])?.stringValue != nil }
    var ownerReferences: [JSONValue] { value(at: ["metadata", "ownerReferences"])?.arrayValue ?? [] }
    /// The UID of the one owner that controls this object.
    var controllerUID: String? {
        ownerReferences.first { $0["controller"]?.boolValue == true }?["uid"]?.stringValue
    }
    /// Creation in seconds since 1970; 0 when unknown.
    var createdAt: Int {
        value(at: ["metadata", "creationTimestamp"])?.stringValue.flatMap(UTCTime.seconds) ?? 0
    }
    var replicasWanted: Int { max(0, value(at: ["spec", "replicas"])?.intValue ?? 1) }

    static func strings(_ value: JSONValue?) -> [String: String] {
        value?.objectValue?.compactMapValues(\.stringValue) ?? [:]
    }

    /// An object of text values.
    package init(_ strings: [String: String]) { self = .object(strings.mapValues(JSONValue.string)) }

    /// An integer of the platform's size.
    init(_ number: Int) { self = .int(Int64(number)) }
}
