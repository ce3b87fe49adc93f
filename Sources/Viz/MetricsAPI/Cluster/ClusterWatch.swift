package import Logging
package import MeshKubernetes
import Synchronization

/// Watches the kinds that viz reports on, and keeps their index.
package final class ClusterWatch: Sendable {
    private struct Cached {
        var generations: [UInt64] = []
        var index: ClusterIndex
    }

    private let pods: ObjectCache<Pod>
    private let namespaces: ObjectCache<Namespace>
    private let services: ObjectCache<Service>
    private let deployments: ObjectCache<Deployment>
    private let replicaSets: ObjectCache<ReplicaSet>
    private let statefulSets: ObjectCache<StatefulSet>
    private let daemonSets: ObjectCache<DaemonSet>
    private let jobs: ObjectCache<Job>
    private let profiles: ObjectCache<ServiceProfile>
    private let trafficSplits: ObjectCache<TrafficSplit>
    private let controllerNamespace: String
    private let cached: Mutex<Cached>

    /// Watches through `client`; nothing is asked before `run`.
    package init(client: KubernetesClient, controllerNamespace: String, logger: Logger) {
        pods = ObjectCache(client: client, logger: logger)
        namespaces = ObjectCache(client: client, logger: logger)
        services = ObjectCache(client: client, logger: logger)
        deployments = ObjectCache(client: client, logger: logger)
        replicaSets = ObjectCache(client: client, logger: logger)
        statefulSets = ObjectCache(client: client, logger: logger)
        daemonSets = ObjectCache(client: client, logger: logger)
        jobs = ObjectCache(client: client, logger: logger)
        profiles = ObjectCache(client: client, logger: logger)
        trafficSplits = ObjectCache(client: client, logger: logger)
        self.controllerNamespace = controllerNamespace
        cached = Mutex(Cached(index: ClusterIndex(controllerNamespace: controllerNamespace)))
    }

    /// Watches until cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.pods.run() }
            group.addTask { await self.namespaces.run() }
            group.addTask { await self.services.run() }
            group.addTask { await self.deployments.run() }
            group.addTask { await self.replicaSets.run() }
            group.addTask { await self.statefulSets.run() }
            group.addTask { await self.daemonSets.run() }
            group.addTask { await self.jobs.run() }
            group.addTask { await self.profiles.run() }
            group.addTask { await self.trafficSplits.run() }
        }
    }

    /// Whether every kind was listed once. Profiles and splits are left out: a cluster need not know them, or let
    /// them be read, for traffic to be counted.
    package var isSynced: Bool {
        pods.isSynced && namespaces.isSynced && services.isSynced && deployments.isSynced
            && replicaSets.isSynced
            && statefulSets.isSynced && daemonSets.isSynced && jobs.isSynced
    }

    /// Changes when the pods or their owners may have.
    package var podVersion: UInt64 {
        // Each only grows, so their sum changes with each.
        pods.generation &+ replicaSets.generation &+ jobs.generation &+ (isSynced ? 1 : 0)
    }

    /// A tick for every change of pods, several in a row becoming one.
    package func podChanges() -> AsyncStream<Void> { pods.changes() }

    /// Whether a namespace asks that its pods be left alone by taps.
    package func isTapDisabled(namespace: String) -> Bool {
        let object = namespaces[ObjectKey(namespace: "", name: namespace)]
        let value = object?.metadata.annotations?["viz.linkerd.io/disable-tap"] ?? ""
        return ["1", "t", "T", "true", "TRUE", "True"].contains(value)
    }

    /// The cluster now. Rebuilt only when something changed.
    package func index() -> ClusterIndex {
        let generations = [
            pods.generation, namespaces.generation, services.generation, deployments.generation,
            replicaSets.generation, statefulSets.generation, daemonSets.generation, jobs.generation,
            profiles.generation, trafficSplits.generation,
        ]
        let known = cached.withLock { $0.generations == generations ? $0.index : nil }
        if let known { return known }
        let index = ClusterIndex(
            pods: Array(pods.snapshot().values), namespaces: Array(namespaces.snapshot().values),
            services: Array(services.snapshot().values), deployments: Array(deployments.snapshot().values),
            replicaSets: Array(replicaSets.snapshot().values),
            statefulSets: Array(statefulSets.snapshot().values),
            daemonSets: Array(daemonSets.snapshot().values), jobs: Array(jobs.snapshot().values),
            profiles: Array(profiles.snapshot().values), trafficSplits: Array(trafficSplits.snapshot().values),
            controllerNamespace: controllerNamespace)
        cached.withLock { $0 = Cached(generations: generations, index: index) }
        return index
    }
}
