package import MeshModel
package import MeshRollup

/// One end of traffic, as a question names it: a kind, and perhaps a namespace and a name.
package struct TrafficEnd: Sendable, Equatable {
    package let kind: ResourceKind
    /// Empty means any.
    package let namespace: String
    /// Empty means any.
    package let name: String

    package init(kind: ResourceKind, namespace: String, name: String) {
        self.kind = kind
        self.namespace = kind == .namespace ? "" : namespace
        self.name = name
    }

    /// Whether telling its objects apart takes pods, which only the finest tier has.
    package var needsPods: Bool { kind == .pod }
}

/// The object that one end of a key belongs to.
package struct ObjectName: Hashable, Comparable, Sendable {
    package let namespace: String
    package let name: String

    package init(_ namespace: String, _ name: String) {
        self.namespace = namespace
        self.name = name
    }

    package static func < (left: ObjectName, right: ObjectName) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }
}

/// Maps keys of the store to the objects of a kind.
package struct ObjectMapper: Sendable {
    /// For kinds that do not own traffic directly (a deployment's replicasets): the object of each pod.
    private let podObjects: [ObjectName: String]
    private let kind: ResourceKind

    /// A mapper for one kind over the pods there are now.
    package init(_ kind: ResourceKind, _ index: ClusterIndex) {
        self.kind = kind
        var podObjects: [ObjectName: String] = [:]
        if Self.resolvesByPod(kind) {
            for pod in index.pods {
                guard let owner = pod.owners.first(where: { $0.kind == kind.name }) else { continue }
                podObjects[ObjectName(pod.namespace, pod.name)] = owner.name
            }
        }
        self.podObjects = podObjects
    }

    /// Whether objects of the kind are told apart by pods.
    package var needsPods: Bool { kind == .pod || Self.resolvesByPod(kind) }

    private static func resolvesByPod(_ kind: ResourceKind) -> Bool { kind == .replicaset || kind == .job }

    /// The object of `workload` and `pod`; `nil` when they belong to none of the kind.
    package func object(_ workload: WorkloadKey, pod: String) -> ObjectName? {
        switch kind {
        case .namespace: return workload.namespace.isEmpty ? nil : ObjectName("", workload.namespace)
        case .pod: return pod.isEmpty ? nil : ObjectName(workload.namespace, pod)
        default:
            if workload.kind == kind.name { return ObjectName(workload.namespace, workload.name) }
            guard !podObjects.isEmpty, !pod.isEmpty else { return nil }
            return podObjects[ObjectName(workload.namespace, pod)].map { ObjectName(workload.namespace, $0) }
        }
    }

    /// The object at the far end of an edge; services and authorities are known only there.
    package func destination(_ edge: EdgeKey) -> ObjectName? {
        switch kind {
        case .service: edge.service.isEmpty ? nil : ObjectName(edge.dst.namespace, edge.service)
        case .authority: edge.authority.isEmpty ? nil : ObjectName(edge.dst.namespace, edge.authority)
        default: object(edge.dst, pod: edge.dstPod)
        }
    }

    /// Whether `object` is what `end` names. An authority names its namespace itself.
    package static func matches(_ object: ObjectName, _ end: TrafficEnd) -> Bool {
        if end.kind == .authority, !end.name.isEmpty { return object.name == end.name }
        return (end.namespace.isEmpty || object.namespace == end.namespace)
            && (end.name.isEmpty || object.name == end.name)
    }
}
