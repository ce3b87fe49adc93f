// Watches of every controlled kind. Objects are kept as trees, not as typed values, because a controller that
// copies a pod template must not lose the fields that this version does not know.

import Logging
import MeshKubernetes
import MeshModel

/// Names one controlled kind in the type system, as `ObjectCache` needs it.
protocol WatchedKind: Sendable {
    static var kind: ControlledKind { get }
}

/// An object as a tree, with its metadata read.
struct WatchedObject<Kind: WatchedKind>: KubernetesObject {
    static var resource: APIResource { Kind.kind.resource }

    var metadata: ObjectMeta
    let tree: JSONValue

    private enum CodingKeys: String, CodingKey { case metadata }

    init(from decoder: any Decoder) throws {
        var tree = try JSONValue(from: decoder)
        metadata = try decoder.container(keyedBy: CodingKeys.self).decode(ObjectMeta.self, forKey: .metadata)
        // Items of a list do not repeat what kind they are.
        tree["apiVersion"] = .string(Self.resource.apiVersion)
        tree["kind"] = .string(Self.resource.kind)
        self.tree = tree
    }

    func encode(to encoder: any Encoder) throws { try tree.encode(to: encoder) }
}

/// One watch, whatever its kind.
protocol KindCache: Sendable {
    var kind: ControlledKind { get }
    var isSynced: Bool { get }
    func run() async
    func objects() -> [ObjectKey: JSONValue]
    func object(_ key: ObjectKey) -> JSONValue?
    func changes() -> AsyncStream<Void>
}

private struct TypedCache<Kind: WatchedKind>: KindCache {
    private let cache: ObjectCache<WatchedObject<Kind>>

    init(_: Kind.Type, client: KubernetesClient, logger: Logger) {
        cache = ObjectCache(client: client, logger: logger)
    }

    var kind: ControlledKind { Kind.kind }
    var isSynced: Bool { cache.isSynced }
    func run() async { await cache.run() }
    func objects() -> [ObjectKey: JSONValue] { cache.snapshot().mapValues(\.tree) }
    func object(_ key: ObjectKey) -> JSONValue? { cache[key]?.tree }
    func changes() -> AsyncStream<Void> { cache.changes() }
}

/// The watches of all controlled kinds.
struct KindCaches: Sendable {
    let all: [any KindCache]

    init(client: KubernetesClient, logger: Logger) {
        func cache(_ kind: (some WatchedKind).Type) -> any KindCache {
            TypedCache(kind, client: client, logger: logger)
        }
        all = [
            cache(Namespaces.self), cache(Nodes.self), cache(Pods.self), cache(Services.self),
            cache(EndpointsKind.self),
            cache(ConfigMaps.self), cache(Secrets.self), cache(ServiceAccounts.self), cache(Claims.self),
            cache(Deployments.self), cache(ReplicaSets.self), cache(StatefulSets.self),
            cache(DaemonSets.self),
            cache(ControllerRevisions.self), cache(Jobs.self), cache(CronJobs.self),
            cache(EndpointSlices.self),
        ]
    }

    var isSynced: Bool { all.allSatisfy(\.isSynced) }

    func state(now: Int, caPEM: String?) -> ClusterState {
        let objects = Dictionary(all.map { ($0.kind, $0.objects()) }, uniquingKeysWith: { first, _ in first })
        return ClusterState(now: now, caPEM: caPEM, objects: objects)
    }

    func object(_ kind: ControlledKind, _ key: ObjectKey) -> JSONValue? {
        all.first { $0.kind == kind }?.object(key)
    }

    private enum Namespaces: WatchedKind { static let kind = ControlledKind.namespaces }
    private enum Nodes: WatchedKind { static let kind = ControlledKind.nodes }
    private enum Pods: WatchedKind { static let kind = ControlledKind.pods }
    private enum Services: WatchedKind { static let kind = ControlledKind.services }
    private enum EndpointsKind: WatchedKind { static let kind = ControlledKind.endpoints }
    private enum ConfigMaps: WatchedKind { static let kind = ControlledKind.configMaps }
    private enum Secrets: WatchedKind { static let kind = ControlledKind.secrets }
    private enum ServiceAccounts: WatchedKind { static let kind = ControlledKind.serviceAccounts }
    private enum Claims: WatchedKind { static let kind = ControlledKind.claims }
    private enum Deployments: WatchedKind { static let kind = ControlledKind.deployments }
    private enum ReplicaSets: WatchedKind { static let kind = ControlledKind.replicaSets }
    private enum StatefulSets: WatchedKind { static let kind = ControlledKind.statefulSets }
    private enum DaemonSets: WatchedKind { static let kind = ControlledKind.daemonSets }
    private enum ControllerRevisions: WatchedKind { static let kind = ControlledKind.controllerRevisions }
    private enum Jobs: WatchedKind { static let kind = ControlledKind.jobs }
    private enum CronJobs: WatchedKind { static let kind = ControlledKind.cronJobs }
    private enum EndpointSlices: WatchedKind { static let kind = ControlledKind.endpointSlices }
}
