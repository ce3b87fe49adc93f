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
        /// Memory for the scrape at hand.
        var scrape = Scrape(at: UnixTime(milliseconds: 0))
    }

    /// Scrapes between two bases of the cursor.
    static let scrapesPerBase = 60
    /// Keys held before those of vanished peers are let go.
    static let keysMax = 8_192

    private let pod: String
    private let workload: WorkloadKey
    private let podName: String
    private let clusterDomain: String
    private var cursor: SeriesCursor
    /// By slot of the cursor.
    private var targets: [SeriesTarget?] = []
    private var groups: [SeriesID: Int] = [:]
    /// Latency bounds that the pod's histograms have, one bit each; all of one proxy's have the same.
    private var bounds: UInt32 = 0
    private var keyNumbers: [RollupKey: Int16] = [:]
    private var keys: [RollupKey] = []
    /// By key: the open connections last reported.
    private var lastGauges: [UInt64] = []
    private var rollups: [Rollup] = []
    private var gaugeSums: [UInt64?] = []
    private var touched: Set<Int16> = []
    private var scrapesSinceBase: Int
    /// Lines of the last scrape that could not be read.
    private(set) var malformedLineCount = 0

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
        self.clusterDomain = clusterDomain
        self.cursor = cursor ?? SeriesCursor()
        scrapesSinceBase = cursor == nil ? Self.scrapesPerBase : basePhase % Self.scrapesPerBase
        addTotals()
    }

    /// Edges that it has series of, between workloads.
    var edges: [EdgeKey] {
        keys.compactMap { key in
            if case .edge(let edge) = key { edge.rolledUp } else { nil }
        }
    }

    /// Takes in the text of one scrape.
    ///
    /// - Parameters:
    ///   - wantsBase: Whether the store lost its chain of steps.
    ///   - shared: What all pods use in turn.
    mutating func ingest(
        _ body: [UInt8], at: UnixTime, rules: CursorRules, wantsBase: Bool, shared: inout Shared
    ) -> ScrapeRecord {
        if keys.count > Self.keysMax { forgetTargets() }
        shared.scrape.reset(at: at)
        var parser = ExpositionParser()
        parser.forEachSample(in: body) { sample in take(sample, body, &shared) }
        malformedLineCount = parser.malformedLineCount
        let delta = cursor.advance(shared.scrape, rules: rules)
        apply(delta)
        let parts = makeParts(delta)
        for slot in delta.vanishedSlots where slot < targets.count { targets[slot] = nil }
        scrapesSinceBase += 1
        let isBase = wantsBase || scrapesSinceBase > Self.scrapesPerBase
        if isBase { scrapesSinceBase = 0 }
        return ScrapeRecord(
            pod: pod, at: at, step: delta.step, base: isBase ? cursor.encodedBase() : nil, parts: parts)
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
        groups = [:]
        keyNumbers = [:]
        keys = []
        lastGauges = []
        rollups = []
        gaugeSums = []
        addTotals()
    }

    private mutating func take(_ sample: ExpositionSample, _ body: [UInt8], _ shared: inout Shared) {
        guard let family = Family(body, sample.name) else { return }
        if family == .processStart {
            shared.scrape.processStart = UnixTime(seconds: sample.value)
            return
        }
        let id = SeriesID(hashing: body, in: sample.series)
        let slot = cursor.slot(of: id) ?? cursor.insert(id)
        while targets.count <= slot { targets.append(nil) }
        let target: SeriesTarget
        if let known = targets[slot] {
            target = known
        } else {
            target = makeTarget(family, sample, body, slot, &shared.budget)
            targets[slot] = target
        }
        shared.scrape.add(slot: slot, isGauge: target.action == .gauge, value: sample.value)
    }

    private mutating func makeTarget(
        _ family: Family, _ sample: ExpositionSample, _ body: [UInt8], _ slot: Int,
        _ budget: inout LabelBudget
    ) -> SeriesTarget {
        var labels = ExpositionParser.labels(of: sample, in: body)
        let isAuthz = family == .authzAllow || family == .authzDeny
        if isAuthz { labels["direction"] = "inbound" }
        let direction: Direction
        switch labels["direction"] {
        case "inbound": direction = .inbound
        case "outbound": direction = .outbound
        default: return SeriesTarget(action: .ignore, object: -1, edge: -1)
        }
        let object = number(of: .object(TrafficKey(direction: direction, workload: workload, pod: podName)))
        var edgeNumber: Int16 = -1
        let edge = EdgeLabels.edge(labels, src: workload, srcPod: podName, clusterDomain: clusterDomain)
        if let edge { edgeNumber = number(of: .edge(budget.admit(edge))) }
        let action = SeriesTarget.Action(family, labels)
        if case .bucket(let bound) = action {
            cursor.setGroup(group(of: labels), ofSlot: slot)
            bounds |= 1 << UInt32(bound)
        }
        return SeriesTarget(action: action, object: object, edge: edgeNumber)
    }

    private mutating func group(of labels: [String: String]) -> Int {
        let text = labels.filter { $0.key != "le" }.sorted { $0.key < $1.key }
            .map { "\($0.key)=\($0.value)" }.joined(separator: "\u{0}")
        let bytes = Array(text.utf8)
        let id = SeriesID(hashing: bytes, in: bytes.indices)
        if let group = groups[id] { return group }
        groups[id] = groups.count
        return groups.count - 1
    }

    private mutating func number(of key: RollupKey) -> Int16 {
        if let number = keyNumbers[key] { return number }
        // Past `keysMax` in one scrape, the rest of it is counted with the pod's outbound total alone.
        guard keys.count < Int(Int16.max) else { return -1 }
        let number = Int16(keys.count)
        keyNumbers[key] = number
        keys.append(key)
        lastGauges.append(0)
        rollups.append(Rollup())
        gaugeSums.append(nil)
        return number
    }

    private mutating func apply(_ delta: ScrapeDelta) {
        for change in delta.counters {
            guard let target = targets[change.slot] else { continue }
            if target.object >= 0 { add(change.amount, target.action, to: target.object) }
            if target.edge >= 0 { add(change.amount, target.action, to: target.edge) }
        }
        for change in delta.gauges {
            guard let target = targets[change.slot] else { continue }
            for number in [target.object, target.edge] where number >= 0 {
                gaugeSums[Int(number)] = (gaugeSums[Int(number)] ?? 0) &+ change.amount
            }
        }
        gaugeSums[0] = gaugeSums[0] ?? 0
        gaugeSums[1] = gaugeSums[1] ?? 0
    }

    private mutating func add(_ amount: UInt64, _ action: SeriesTarget.Action, to number: Int16) {
        touched.insert(number)
        let index = Int(number)
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
            rollups[index].latency[bucket] &+= amount
            let above = bounds & ~((1 << UInt32(bucket + 1)) - 1)
            if above != 0 { rollups[index].latency[above.trailingZeroBitCount] &-= amount }
        case .gauge, .ignore: break
        }
    }

    private mutating func makeParts(_ delta: ScrapeDelta) -> [ScrapeRecord.Part] {
        var parts: [ScrapeRecord.Part] = []
        for number in keys.indices {
            let gauge = gaugeSums[number] ?? (lastGauges[number] > 0 ? 0 : nil)
            gaugeSums[number] = nil
            guard gauge != nil || touched.contains(Int16(number)) else { continue }
            var rollup = rollups[number]
            rollups[number] = Rollup()
            if let gauge {
                rollup.openConnections = ConnectionGauge(gauge)
                lastGauges[number] = gauge
            }
            // A scrape is no snapshot: a bucket may be read after the one above it. Such a deficit is none.
            for bin in 0..<LatencyHistogram.bucketCount where rollup.latency[bin] > UInt64(Int64.max) {
                rollup.latency[bin] = 0
            }
            let spread = Spread.parts(rollup, from: delta.from, to: delta.to, isGap: delta.isEstimated)
            parts += spread.map { ScrapeRecord.Part(key: keys[number], bucket: $0.bucket, rollup: $0.rollup) }
        }
        touched.removeAll(keepingCapacity: true)
        return parts
    }
}
