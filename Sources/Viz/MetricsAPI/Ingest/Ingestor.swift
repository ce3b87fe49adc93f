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
        package var unusableValues: UInt64 = 0
        /// Series that scrapes left out, summed over all scrapes.
        package var ignoredSeries: UInt64 = 0
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

    /// Series that one pod may have; a busy gateway has some 20,000.
    package static let podSeriesMax = 50_000
    /// Series that all pods together may have: 50 bytes each.
    package static let seriesMax = 3_000_000

    private let store: RollupStore
    private let rules: CursorRules
    private let clusterDomain: String
    private let logger: Logger
    private var pods: [String: PodIngest] = [:]
    private var targets: [String: TargetStatus] = [:]
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
    ///
    /// - Parameters:
    ///   - needsEnd: Whether a document without `# EOF` is cut short.
    ///   - milliseconds: How long the answer took.
    package func ingest(
        _ body: [UInt8], of facts: PodFacts, at: UnixTime, needsEnd: Bool = false, milliseconds: Int64 = 0
    ) async {
        await store.waitForRoom(now: at)
        let id = facts.cursorID
        if pods[id] == nil {
            let cursor = await store.takeCursor(of: id)
            nextPhase += 7
            // Another scrape of the pod may have come while the store answered.
            if pods[id] == nil {
                status.series += cursor?.seriesCount ?? 0
                pods[id] = PodIngest(
                    facts: facts, cursor: cursor, basePhase: nextPhase, clusterDomain: clusterDomain)
            }
        }
        let wantsBase = await store.wantsBase(of: id)
        // Moved out and back in, so that its arrays are not copied.
        guard var pod = pods.removeValue(forKey: id) else { return }
        let before = pod.seriesCount
        let seriesMax = min(Self.podSeriesMax, before + max(0, Self.seriesMax - status.series))
        let record = pod.ingest(
            body, at: at, rules: rules, wantsBase: wantsBase, seriesMax: seriesMax, needsEnd: needsEnd,
            shared: &shared)
        status.series += pod.seriesCount - before
        note(pod.report, bytes: body.count, of: facts, at: at, milliseconds: milliseconds)
        pods[id] = pod
        if let record { await store.ingest(record) }
    }

    private func note(_ report: ScrapeReport, bytes: Int, of facts: PodFacts, at: UnixTime, milliseconds: Int64) {
        status.scrapedBytes += UInt64(bytes)
        status.malformedLines += UInt64(report.malformedLines)
        status.unusableValues += UInt64(report.unusableValues)
        status.ignoredSeries += UInt64(report.ignoredSeries)
        var target = targets[facts.cursorID] ?? TargetStatus(facts)
        target.bytes = bytes
        target.milliseconds = milliseconds
        target.series = report.seriesCount
        target.problems = report.problems
        if report.rejection == nil {
            status.scrapes += 1
            target.scrapedAt = at
            target.failures = 0
            target.health = report.problems.isEmpty ? .up : .faulty
        } else {
            status.failedScrapes += 1
            target.failures += 1
            target.health = .down
        }
        targets[facts.cursorID] = target
    }

    /// Notes that a pod did not answer.
    package func failed(_ facts: PodFacts, _ reason: String, milliseconds: Int64 = 0) {
        status.failedScrapes += 1
        var target = targets[facts.cursorID] ?? TargetStatus(facts)
        target.health = .down
        target.problems = [reason]
        target.failures += 1
        target.milliseconds = milliseconds
        targets[facts.cursorID] = target
    }

    /// Forgets a pod that is gone; its connections read as closed.
    package func forget(_ id: String, at: UnixTime) async {
        targets[id] = nil
        if var pod = pods.removeValue(forKey: id) {
            status.series -= pod.seriesCount
            if let record = pod.farewell(at: at) { await store.ingest(record) }
        }
        await store.forget(pod: id)
    }

    /// Makes room in the label budget for what is gone.
    package func renewBudget() {
        shared.budget.retain(Set(pods.values.flatMap(\.edges)))
        shared.budget.retain(Set(pods.values.flatMap(\.routes)))
        shared.budget.retain(Set(pods.values.flatMap(\.arrivals)))
    }

    /// Drops cursors of pods that vanished while nobody watched.
    package func forgetUnclaimed() async { await store.forgetUnclaimedCursors() }

    /// When a pod was last heard of.
    package func podStatus(_ id: String) -> PodStatus {
        let target = targets[id]
        return PodStatus(
            scrapedAt: pods[id]?.scrapedAt, processStart: pods[id]?.processStart,
            failure: target?.health == .down ? target?.problems.first : nil)
    }

    /// What became of the scrapes of each pod, by namespace and name.
    package func targetStatuses() -> [TargetStatus] {
        targets.values.sorted { ($0.namespace, $0.pod, $0.address) < ($1.namespace, $1.pod, $1.address) }
    }

    /// Counters for `/metrics`.
    package func currentStatus() -> Status {
        var status = status
        status.pods = pods.count
        status.foldedEdges = shared.budget.foldedCount
        return status
    }
}
