import MeshRollup
import Testing

/// A pod whose true counts are known: it serves requests, restarts, loses series, and is scraped unevenly.
private struct SimulatedPod {
    var random: SeededRandom
    var now: Int64 = 1_700_000_000_000
    var start: Int64
    var counters: [UInt64: UInt64] = [:]
    /// What a perfect observer has seen, by series; what a restart hid from every scraper is left out.
    var observable: UInt64 = 0
    private var unseen: UInt64 = 0

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        start = now - 1_000
    }

    mutating func serve() {
        for name in 0..<6 as Range<UInt64> where random.chance(60) {
            let count = UInt64.random(in: 0..<20, using: &random)
            counters[name, default: 0] += count
            unseen += count
        }
    }

    mutating func scraped() {
        observable += unseen
        unseen = 0
    }

    mutating func restart() {
        unseen = 0
        counters = [:]
        start = now
    }
}

@Suite("Whatever happens between scrapes, the sum is the truth", .timeLimit(.minutes(1)))
struct SimulatorTests {
    @Test("Resets, gaps, clock steps and reordered series", arguments: (1...40).map { UInt64($0) })
    func sums(seed: UInt64) {
        var pod = SimulatedPod(seed: seed)
        var cursor = SeriesCursor()
        let rules = CursorRules()
        var buckets: [UnixTime: UInt64] = [:]
        for round in 0..<150 {
            pod.serve()
            pod.now +=
                round > 0 && pod.random.chance(8)
                ? Int64.random(in: 30_000...2_000_000, using: &pod.random) : 10_000
            if round > 0, pod.random.chance(4) {
                pod.now -= Int64.random(in: 0...120_000, using: &pod.random)
            }
            if pod.random.chance(5) {
                pod.restart()
                pod.serve()
            }
            var scrape = Scrape(
                at: UnixTime(milliseconds: pod.now), processStart: UnixTime(milliseconds: pod.start))
            for name in pod.counters.keys.shuffled(using: &pod.random) {
                let id = SeriesID(high: 0, low: name)
                let slot = cursor.slot(of: id) ?? cursor.insert(id)
                scrape.add(slot: slot, isGauge: false, value: Double(pod.counters[name] ?? 0))
            }
            let delta = cursor.advance(scrape, rules: rules)
            pod.scraped()
            var rollup = Rollup()
            for change in delta.counters { rollup[.requests] += change.amount }
            let parts = Spread.parts(rollup, from: delta.from, to: delta.to, isGap: delta.isEstimated)
            for part in parts { buckets[part.bucket, default: 0] += part.rollup[.requests] }
        }
        #expect(buckets.values.reduce(0, +) == pod.observable, "seed \(seed)")
    }

    @Test(
        "A gap is spread evenly, adds up, and is marked",
        arguments: [(35_000, 7), (600_000, 1_001), (90_000_000, 5_000)])
    func spread(length: Int64, count: UInt64) throws {
        let to = UnixTime(milliseconds: 1_700_000_003_000)
        var rollup = Rollup()
        rollup[.requests] = count
        rollup.latency[3] = count
        rollup.openConnections = ConnectionGauge(4)
        let parts = Spread.parts(rollup, from: to.advanced(by: -length), to: to, isGap: true)
        #expect(parts.reduce(0) { $0 + $1.rollup[.requests] } == count)
        #expect(parts.reduce(0) { $0 + $1.rollup.latency[3] } == count)
        #expect(parts.allSatisfy { $0.rollup.isEstimated })
        #expect(parts.count <= 400)
        #expect(try #require(parts.last).rollup.openConnections == ConnectionGauge(4))
        #expect(parts.dropLast().allSatisfy { $0.rollup.openConnections == nil })
        #expect(parts.map(\.bucket) == parts.map(\.bucket).sorted())
    }

    @Test("A scrape in time counts in the bucket it ends")
    func inTime() {
        var rollup = Rollup()
        rollup[.requests] = 3
        let end = UnixTime(milliseconds: 1_700_000_010_000)
        let parts = Spread.parts(rollup, from: end.advanced(by: -10_000), to: end, isGap: false)
        #expect(parts.map(\.bucket) == [end.advanced(by: -10_000)])
    }
}
