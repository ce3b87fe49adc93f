package import Logging
package import MeshRollup
package import RollupStore

/// Owns what is remembered of each pod's series, and feeds the store.
package actor Ingestor {
    /// What the scraper reports about itself.
    package struct Status: Sendable, Equatable {
        package var scrapes: UInt64 = 0
        package var failedScrapes: UInt64 = 0
        package var malformedLines: UInt64 = 0
        package var scrapedBytes: UInt64 = 0
        package var pods = 0
        package var series = 0
        package var foldedEdges = 0
    }

    /// When a pod was last heard of.
    package struct PodStatus: Sendable, Equatable {
        package var scrapedAt: UnixTime?
        package var processStart: UnixTime?
        /// Why the last scrape failed; `nil` after one that worked.
        package var failure: String?
    }

    private let store: RollupStore
    private let rules: CursorRules
    private let clusterDomain: String
    private let logger: Logger
    private var pods: [String: PodIngest] = [:]
    private var failures: [String: String] = [:]
    private var shared: PodIngest.Shared
    private var status = Status()
    private var nextPhase = 0

    /// - Parameters:
    ///   - rules: How deltas are read; the interval is that of the scraper.
    ///   - destinationsMax: Distinct edges kept per workload.
    package init(
        store: RollupStore, rules: CursorRules, clusterDomain: String, destinationsMax: Int = 256,
        logger: Logger
    ) {
        self.store = store
        self.rules = rules
        self.clusterDomain = clusterDomain
        self.logger = logger
        shared = PodIngest.Shared(budget: LabelBudget(destinationsMax: destinationsMax))
    }

    /// Takes in the text of one scrape of a pod, taken at `at`.
    package func ingest(_ body: [UInt8], of facts: PodFacts, at: UnixTime) async {
        let id = facts.cursorID
        if pods[id] == nil {
            let cursor = await store.takeCursor(of: id)
            nextPhase += 7
            // Another scrape of the pod may have come while the store answered.
            if pods[id] == nil {
                pods[id] = PodIngest(
                    facts: facts, cursor: cursor, basePhase: nextPhase, clusterDomain: clusterDomain)
            }
        }
        let wantsBase = await store.wantsBase(of: id)
        // Moved out and back in, so that its arrays are not copied.
        guard var pod = pods.removeValue(forKey: id) else { return }
        let record = pod.ingest(body, at: at, rules: rules, wantsBase: wantsBase, shared: &shared)
        status.scrapes += 1
        status.scrapedBytes += UInt64(body.count)
        status.malformedLines += UInt64(pod.malformedLineCount)
        pods[id] = pod
        failures[id] = nil
        await store.ingest(record)
    }

    /// Notes that a pod did not answer.
    package func failed(_ facts: PodFacts, _ reason: String) {
        status.failedScrapes += 1
        failures[facts.cursorID] = reason
    }

    /// Forgets a pod that is gone; its connections read as closed.
    package func forget(_ id: String, at: UnixTime) async {
        failures[id] = nil
        if var pod = pods.removeValue(forKey: id), let record = pod.farewell(at: at) {
            await store.ingest(record)
        }
        await store.forget(pod: id)
    }

    /// Makes room in the label budget for edges that are gone.
    package func renewBudget() {
        shared.budget.retain(Set(pods.values.flatMap(\.edges)))
    }

    /// Drops cursors of pods that vanished while nobody watched.
    package func forgetUnclaimed() async { await store.forgetUnclaimedCursors() }

    /// When a pod was last heard of.
    package func podStatus(_ id: String) -> PodStatus {
        PodStatus(scrapedAt: pods[id]?.scrapedAt, processStart: pods[id]?.processStart, failure: failures[id])
    }

    /// Counters for `/metrics`.
    package func currentStatus() -> Status {
        var status = status
        status.pods = pods.count
        status.series = pods.values.reduce(0) { $0 + $1.seriesCount }
        status.foldedEdges = shared.budget.foldedCount
        return status
    }
}
