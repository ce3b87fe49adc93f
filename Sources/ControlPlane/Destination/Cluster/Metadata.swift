// Objects of which discovery reads only the metadata: who owns a replica set or job, and what a
// namespace's annotations say. Their specs, which are the larger part, are never kept.

internal import MeshKubernetes

/// The owner of a replica set's pods.
struct ReplicaSetMetadata: KubernetesObject {
    static let resource = ReplicaSet.resource
    var metadata: ObjectMeta
}

/// The owner of a job's pods.
struct JobMetadata: KubernetesObject {
    static let resource = Job.resource
    var metadata: ObjectMeta
}

/// The annotations of a namespace.
struct NamespaceMetadata: KubernetesObject {
    static let resource = Namespace.resource
    var metadata: ObjectMeta
}
