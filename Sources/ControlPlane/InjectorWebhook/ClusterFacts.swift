internal import Injector
internal import Logging
internal import MeshKubernetes
internal import MeshModel

/// What the API server is asked about a pod that is being created. Asked each time and never cached: a namespace is
/// annotated a moment before its first pod, and a watch would be a moment late.
struct ClusterFacts: Sendable {
    /// Owners of owners that are followed: a pod's ReplicaSet, its Deployment.
    private static let ownersMax = 4
    /// Kinds whose makers are looked up; others are taken for what a person made.
    private static let plurals = [
        "ReplicaSet": "replicasets", "Job": "jobs", "Deployment": "deployments", "StatefulSet": "statefulsets",
        "DaemonSet": "daemonsets", "CronJob": "cronjobs", "ReplicationController": "replicationcontrollers",
    ]

    let client: KubernetesClient
    let logger: Logger

    /// The annotations of a namespace.
    func namespaceAnnotations(_ name: String) async throws -> [String: String] {
        let object = try await client.raw("GET", path: "/api/v1/namespaces/\(name)")
        return (object.value(at: ["metadata", "annotations"])?.objectValue ?? [:]).compactMapValues(\.stringValue)
    }

    /// Who made a pod; `nil` when nobody's controller did.
    func owner(of pod: JSONValue, namespace: String) async -> PodOwner? {
        var owner: PodOwner?
        var object = pod
        for _ in 0..<Self.ownersMax {
            guard let next = Self.controller(of: object) else { break }
            owner = next
            guard let plural = Self.plurals[next.kind] else { break }
            let base = next.apiVersion.contains("/") ? "/apis/\(next.apiVersion)" : "/api/\(next.apiVersion)"
            do {
                object = try await client.raw("GET", path: "\(base)/namespaces/\(namespace)/\(plural)/\(next.name)")
            } catch {
                // Labels then name the nearest owner that is known, which is better than no pod.
                logger.debug("Owner not read", metadata: ["owner": "\(next.name)", "error": "\(error)"])
                break
            }
        }
        return owner
    }

    private static func controller(of object: JSONValue) -> PodOwner? {
        let references = object.value(at: ["metadata", "ownerReferences"])?.arrayValue ?? []
        guard let reference = references.first(where: { $0["controller"]?.boolValue == true }) else { return nil }
        func text(_ field: String) -> String { reference[field]?.stringValue ?? "" }
        return PodOwner(kind: text("kind"), apiVersion: text("apiVersion"), name: text("name"), uid: text("uid"))
    }
}
