import MeshModel
package import MeshRollup
package import RollupStore

/// What the services answer from: the cluster, and a backend.
package struct VizSources: Sendable {
    package let backend: any MetricsBackend
    /// The cluster now.
    package let index: @Sendable () -> ClusterIndex
    /// Whether the cluster was listed once.
    package let isSynced: @Sendable () -> Bool
    package let now: @Sendable () -> UnixTime
    /// Namespaces that `ListPods` leaves out.
    package let ignoredNamespaces: Set<String>
    package let clusterDomain: String
    /// Counts what was asked.
    package let metrics = RPCMetrics()

    /// Answers from any backend.
    package init(
        backend: any MetricsBackend, index: @escaping @Sendable () -> ClusterIndex,
        isSynced: @escaping @Sendable () -> Bool, now: @escaping @Sendable () -> UnixTime,
        ignoredNamespaces: Set<String> = ["kube-system"], clusterDomain: String = "cluster.local"
    ) {
        self.backend = backend
        self.index = index
        self.isSynced = isSynced
        self.now = now
        self.ignoredNamespaces = ignoredNamespaces
        self.clusterDomain = clusterDomain
    }

    /// Answers from the built-in store.
    package init(
        store: RollupStore, ingestor: Ingestor, index: @escaping @Sendable () -> ClusterIndex,
        isSynced: @escaping @Sendable () -> Bool, now: @escaping @Sendable () -> UnixTime,
        ignoredNamespaces: Set<String> = ["kube-system"], clusterDomain: String = "cluster.local"
    ) {
        let backend = StoreBackend(store: store, index: index) {
            var notes: [ObjectName: ScrapeNote] = [:]
            for pod in index().pods {
                let status = await ingestor.podStatus(pod.cursorID)
                guard let at = status.scrapedAt else { continue }
                notes[ObjectName(pod.namespace, pod.name)] = ScrapeNote(
                    scrapedAt: at, processStart: status.processStart)
            }
            return notes
        }
        self.init(
            backend: backend, index: index, isSynced: isSynced, now: now, ignoredNamespaces: ignoredNamespaces,
            clusterDomain: clusterDomain)
    }
}
