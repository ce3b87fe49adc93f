import MeshMetrics
import MeshRollup
import RollupStore

/// Turns the scrapes of one pod into records for the store. In the steady state a line costs a hash and a
/// lookup: labels are read once per series.
struct PodIngest {
    /// What the pods of one ingestor use in turn.
    struct Shared {
        /// Bounds the distinct edges of a workload.
        var budget: LabelBudget
        /// Names of metrics that are not kept: proxies have some fifty.
        var otherNames: Set<SeriesID> = []
        static let otherNamesMax = 1_024
        /// Memory for the scrape at hand.
        var scrape = Scrape(at: UnixTime(milliseconds: 0))
    }

    /// What the buckets of one histogram add to.
    struct Histogram {
        let object: Int16
        let peer: Int16
        /// Its number in the cursor: a reset of one bucket is one of all.
        let group: Int32
    }

    /// Scrapes between two bases of the cursor.
    static let scrapesPerBase = 60
    /// Keys held before those of vanished peers are let go.
    static let keysMax = 8_192
    /// Bytes of steps before a base may come early.
    static let stepBytesMin = 256 << 10
    /// Growth between two scrapes beyond which a counter lies: 100 Gbit/s for a whole minute.
    static let growthMax: UInt64 = 1_000_000_000_000

    private let pod: String
    let workload: WorkloadKey
    let podName: String
    /// Of its proxy, as labels spell it.
    let adminPort: String?
    let clusterDomain: String
    var cursor: SeriesCursor
    /// By slot of the cursor.
    var targets: [SeriesTarget?] = []
    /// By what the buckets of one histogram share.
    var histograms: [SeriesID: Histogram] = [:]
    /// Latency bounds that the pod's histograms have, one bit each; all of one proxy's have the same.
    var bounds: UInt32 = 0
    private var keyNumbers: [RollupKey: Int16] = [:]
    private var keys: [RollupKey] = []
    /// By key: the open connections last reported.
    private var lastGauges: [UInt64] = []
    private var rollups: [Rollup] = []
    private var gaugeSums: [UInt64?] = []
    /// By key: whether something was added since the last parts were made.
    private var isTouched: [Bool] = []
    private var scrapesSinceBase: Int
    private var stepBytes = 0
    var seriesMax = 0
    /// What was found wrong with the last scrape.
    var report = ScrapeReport()

    /// Series the cursor holds.
    var seriesCount: Int { cursor.seriesCount }
    /// When the pod was last scraped.
    var scrapedAt: UnixTime? { cursor.scrapedAt }
    /// When its proxy started.
    var processStart: UnixTime? { cursor.processStart }

    /// Continues from a restored cursor, or starts anew.
    ///
    /// - Parameter basePhase: Spreads the bases of many pods over time.
    init(facts: PodFacts, cursor: SeriesCursor?, basePhase: Int, clusterDomain: String) {
        pod = facts.cursorID
        workload = facts.workload
        podName = facts.name
        adminPort = facts.adminPort.map { String($0) }
        self.clusterDomain = clusterDomain
        self.cursor = cursor ?? SeriesCursor()
        scrapesSinceBase = cursor == nil ? Self.scrapesPerBase : basePhase % Self.scrapesPerBase
        addTotals()
    }

    /// Edges that it has series of.
    var edges: [EdgeKey] {
        keys.compactMap { key in
            if case .edge(let edge) = key { edge } else { nil }
        }
    }

    /// Routes that it has series of.
    var routes: [RouteKey] {
        keys.compactMap { key in
            if case .route(let route) = key { route } else { nil }
        }
    }

    /// Arrivals that it has series of.
    var arrivals: [ArrivalKey] {
        keys.compactMap { key in
            if case .arrival(let arrival) = key { arrival } else { nil }
        }
    }

    /// Takes in the text of one scrape.
    ///
    /// - Parameters:
    ///   - wantsBase: Whether the store lost its chain of steps.
    ///   - seriesMax: Series that the pod may have; what goes beyond is left out and reported.
    ///   - needsEnd: Whether a document without `# EOF` is cut short (OpenMetrics).
    ///   - shared: What all pods use in turn.
    /// - Returns: `nil` when the scrape is no whole one, for the reason in `report`; nothing changes then.
    mutating func ingest(
        _ body: [UInt8], at: UnixTime, rules: CursorRules, wantsBase: Bool, seriesMax: Int, needsEnd: Bool = false,
        shared: inout Shared
    ) -> ScrapeRecord? {
        if keys.count > Self.keysMax { forgetTargets() }
        shared.scrape.reset(at: at)
        let hadIgnored = report.ignoredSeries > 0
        report = ScrapeReport()
        self.seriesMax = seriesMax
        read(body, &shared)
        report.rejection = rejection(of: shared.scrape, needsEnd: needsEnd)
        if report.rejection != nil {
            for slot in cursor.abandon(shared.scrape) { targets[slot] = nil }
            return nil
        }
        // What was left out until now has counted all along: its first value is a baseline.
        let delta = cursor.advance(shared.scrape, rules: rules, countsNewSeries: !hadIgnored)
        apply(delta)
        let parts = makeParts(delta)
        for slot in delta.vanishedSlots where slot < targets.count { targets[slot] = nil }
        report.seriesCount = cursor.seriesCount
        scrapesSinceBase += 1
        stepBytes += delta.step.count
        // Many new series make steps that are larger than what they change.
        let isBase = wantsBase || scrapesSinceBase > Self.scrapesPerBase
            || stepBytes > max(Self.stepBytesMin, 64 * cursor.seriesCount)
        if isBase {
            scrapesSinceBase = 0
            stepBytes = 0
        }
        return ScrapeRecord(
            pod: pod, at: at, step: delta.step, base: isBase ? cursor.encodedBase() : nil, parts: parts)
    }

    /// A scrape that lost its end would make series vanish, and count them from zero when they return.
    private func rejection(of scrape: Scrape, needsEnd: Bool) -> String? {
        if needsEnd, !report.hasEnd { return "the answer is cut short: an OpenMetrics document without # EOF" }
        if cursor.processStart != nil, scrape.processStart == nil {
            return "the answer is no whole scrape: process_start_time_seconds is missing"
        }
        return nil
    }

    /// What is to be recorded once the pod is gone: its connections are closed.
    mutating func farewell(at: UnixTime) -> ScrapeRecord? {
        var parts: [ScrapeRecord.Part] = []
        for (number, gauge) in lastGauges.enumerated() where gauge > 0 {
            var rollup = Rollup()
            rollup.openConnections = ConnectionGauge(0)
            lastGauges[number] = 0
            parts.append(
                ScrapeRecord.Part(key: keys[number], bucket: Spread.bucket(endingAt: at), rollup: rollup))
        }
        return parts.isEmpty ? nil : ScrapeRecord(pod: pod, at: at, step: [], base: nil, parts: parts)
    }

    /// The pod's totals come first and are always reported, so that a quiet pod differs from an unseen one.
    private mutating func addTotals() {
        _ = number(of: .object(TrafficKey(direction: .inbound, workload: workload, pod: podName)))
        _ = number(of: .object(TrafficKey(direction: .outbound, workload: workload, pod: podName)))
    }

    /// Reads all labels anew with the next scrape, so that keys of peers long gone are dropped.
    private mutating func forgetTargets() {
        targets = []
        histograms = [:]
        keyNumbers = [:]
        keys = []
        lastGauges = []
        rollups = []
        gaugeSums = []
        isTouched = []
        addTotals()
    }

    /// The number of a key, given out now if it is new; -1 when there are no more.
    mutating func number(of key: RollupKey) -> Int16 {
        if let number = keyNumbers[key] { return number }
        // Past `keysMax` in one scrape, the rest of it is counted with the pod's totals alone.
        guard keys.count < Int(Int16.max) else { return -1 }
        let number = Int16(keys.count)
        keyNumbers[key] = number
        keys.append(key)
        lastGauges.append(0)
        rollups.append(Rollup())
        gaugeSums.append(nil)
        isTouched.append(false)
        return number
    }

    private mutating func apply(_ delta: ScrapeDelta) {
        for change in delta.counters {
            guard let target = targets[change.slot] else { continue }
            guard change.amount <= Self.growthMax else {
                report.implausibleCounters += 1
                continue
            }
            if target.object >= 0 { add(change.amount, target.action, to: target.object) }
            if target.peer >= 0 { add(change.amount, target.action, to: target.peer) }
        }
        for change in delta.gauges {
            guard let target = targets[change.slot] else { continue }
            if target.object >= 0 { addGauge(change.amount, to: target.object) }
            if target.peer >= 0 { addGauge(change.amount, to: target.peer) }
        }
        gaugeSums[0] = gaugeSums[0] ?? 0
        gaugeSums[1] = gaugeSums[1] ?? 0
    }

    private mutating func addGauge(_ amount: UInt64, to number: Int16) {
        gaugeSums[Int(number)] = (gaugeSums[Int(number)] ?? 0) &+ amount
    }

    private mutating func add(_ amount: UInt64, _ action: SeriesTarget.Action, to number: Int16) {
        let index = Int(number)
        isTouched[index] = true
        switch action {
        case .add(let counter): rollups[index][counter] &+= amount
        case .response(let isSuccess, let status, let isGRPC):
            rollups[index][isSuccess ? .successes : .failures] &+= amount
            if let status { rollups[index][status] &+= amount }
            if isGRPC { rollups[index][.grpcResponses] &+= amount }
        case .bucket(let bound):
            let bucket = Int(bound)
            // Buckets are cumulative: what is under this bound is not in the next one that the proxy has.
            // Wrapping differences of all buckets add up, in any order.
            rollups[index].latency.add(amount, at: bucket)
            let above = bounds & ~((1 << UInt32(bucket + 1)) - 1)
            if above != 0 { rollups[index].latency.add(0 &- amount, at: above.trailingZeroBitCount) }
        case .gauge, .ignore: break
        }
    }

    private mutating func makeParts(_ delta: ScrapeDelta) -> [ScrapeRecord.Part] {
        var parts: [ScrapeRecord.Part] = []
        parts.reserveCapacity(delta.isEstimated ? 0 : keys.count)
        for number in keys.indices {
            let gauge = gaugeSums[number] ?? (lastGauges[number] > 0 ? 0 : nil)
            gaugeSums[number] = nil
            guard gauge != nil || isTouched[number] else { continue }
            isTouched[number] = false
            if let gauge {
                rollups[number].openConnections = ConnectionGauge(gauge)
                lastGauges[number] = gauge
            }
            // A scrape is no snapshot: a bucket may be read after the one above it. Such a deficit is none.
            rollups[number].latency.dropDeficits()
            Spread.forEachPart(rollups[number], from: delta.from, to: delta.to, isGap: delta.isEstimated) { bucket, rollup in
                parts.append(ScrapeRecord.Part(key: keys[number], bucket: bucket, rollup: rollup))
            }
            rollups[number] = Rollup()
        }
        return parts
    }
}
