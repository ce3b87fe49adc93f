import MeshMetrics
import MeshRollup
import Testing

@Suite("Golden metrics", .timeLimit(.minutes(1)))
struct GoldenMetricsTests {
    @Test("A quiet window has no success rate, not zero")
    func quiet() {
        #expect(Rollup().successRate == nil)
        #expect(Rollup().requestsPerSecond(over: 60_000) == 0)
    }

    @Test("Success rate and rate per second")
    func rates() {
        var rollup = Rollup()
        rollup[.successes] = 100
        rollup[.failures] = 20
        #expect(rollup.successRate == 100.0 / 120)
        #expect(rollup.requestsPerSecond(over: 60_000) == 2)
    }

    @Test("Quantiles interpolate within the bucket, as histogram_quantile does")
    func quantiles() throws {
        var histogram = LatencyHistogram()
        #expect(histogram.quantile(0.5) == nil)
        histogram[5] = 100  // (5, 10] ms
        let median = try #require(histogram.quantile(0.5))
        #expect(median.milliseconds == 7.5)
        #expect(median.errorMillisecondsMax == 2.5)
        histogram[9] = 100  // (40, 50] ms
        #expect(histogram.quantile(0.5)?.milliseconds == 10)
        #expect(histogram.quantile(0.75)?.milliseconds == 45)
        histogram[25] = 10_000
        let top = try #require(histogram.quantile(0.99))
        #expect(top.milliseconds == 50_000)
        #expect(top.errorMillisecondsMax == .infinity)
    }

    @Test("The true quantile is within the named error", arguments: (1...20).map { UInt64($0) })
    func errorBound(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var latencies: [UInt64] = []
        var histogram = LatencyHistogram()
        for _ in 0..<500 {
            let latency = UInt64.random(in: 0..<(random.chance(10) ? 9_000 : 60), using: &random)
            latencies.append(latency)
            histogram[LatencyBuckets.index(milliseconds: latency)] += 1
        }
        latencies.sort()
        for quantile in [0.5, 0.95, 0.99] {
            let estimate = try #require(histogram.quantile(quantile))
            let truth = Double(latencies[Int((quantile * 500).rounded(.up)) - 1])
            #expect(
                abs(estimate.milliseconds - truth) <= estimate.errorMillisecondsMax,
                "seed \(seed) p\(quantile)")
        }
    }

    @Test("Windows end at the last complete bucket")
    func windows() {
        let now = UnixTime(milliseconds: 1_700_000_011_999)
        let window = Window.last(.seconds(60), before: now)
        #expect(window.to.milliseconds == 1_700_000_000_000)
        #expect(window.milliseconds == 60_000)
        #expect(Window.last(.seconds(60), before: now.advanced(by: 1)).to.milliseconds == 1_700_000_010_000)
    }

    @Test("The label budget folds the tail, and counts it")
    func budget() {
        var budget = LabelBudget(destinationsMax: 3)
        let src = WorkloadKey(namespace: "a", kind: "deployment", name: "web")
        func edge(_ name: Int, pod: String = "p") -> EdgeKey {
            EdgeKey(
                src: src, srcPod: pod, dst: WorkloadKey(namespace: "b", kind: "deployment", name: "d\(name)"))
        }
        for name in 0..<3 { #expect(budget.admit(edge(name)) == edge(name)) }
        #expect(budget.admit(edge(9)).dst == .other)
        #expect(budget.admit(edge(1, pod: "q")) == edge(1, pod: "q"), "another pod of a known edge has room")
        #expect(budget.foldedCount == 1)
        budget.retain([edge(0).rolledUp])
        #expect(budget.admit(edge(9)) == edge(9))
    }
}

@Suite("Window plans", .timeLimit(.minutes(1)))
struct WindowPlanTests {
    private let now = UnixTime(milliseconds: 1_700_006_400_000)  // Midnight UTC plus some.

    @Test("Reads cover a window once, without overlap", arguments: (1...200).map { UInt64($0) })
    func coverage(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let length = Int64.random(in: 1...(random.chance(50) ? 2_000 : 100_000), using: &random) * 10_000
        let to = now.advanced(by: -Int64.random(in: 0...2_000, using: &random) * 10_000).floored(to: 10_000)
        let window = Window(from: to.advanced(by: -length), to: to)
        let reads = WindowPlan.reads(for: window, keepsPods: false, now: now)
        var cursor = window.from.floored(to: reads.first?.tier.bucketMilliseconds ?? 10_000)
        for read in reads {
            let part = read.clip ?? read.spans
            #expect(part.from == cursor, "seed \(seed)")
            #expect(read.spans.from.milliseconds % read.tier.spanMilliseconds == 0)
            #expect(read.spans.to.milliseconds % read.tier.spanMilliseconds == 0)
            #expect(read.spans.from <= part.from && part.to <= read.spans.to)
            cursor = part.to
        }
        #expect(cursor == window.to, "seed \(seed)")
    }

    @Test("A month is read from few headers")
    func month() {
        let window = Window(from: now.advanced(by: -30 * 86_400_000), to: now)
        let reads = WindowPlan.reads(for: window, keepsPods: false, now: now)
        #expect(reads.contains { $0.tier == .hour && $0.clip == nil })
        #expect(reads.count <= 8)
    }
}

@Suite("Hot series", .timeLimit(.minutes(1)))
struct HotSeriesTests {
    @Test("Sums equal a brute-force sum, in any order of arrival", arguments: (1...20).map { UInt64($0) })
    func sums(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var series = HotSeries()
        var truth: [Int64: UInt64] = [:]
        let base: Int64 = 1_700_000_000_000
        for _ in 0..<300 {
            let bucket = base + Int64.random(in: 0..<90, using: &random) * 10_000
            var rollup = Rollup()
            rollup[.requests] = UInt64.random(in: 1..<50, using: &random)
            truth[bucket, default: 0] += rollup[.requests]
            series.add(rollup, at: UnixTime(milliseconds: bucket))
        }
        for _ in 0..<20 {
            let from = base + Int64.random(in: 0..<90, using: &random) * 10_000
            let window = Window(
                from: UnixTime(milliseconds: from),
                to: UnixTime(milliseconds: from + Int64.random(in: 0..<60, using: &random) * 10_000))
            var total = Rollup()
            series.accumulate(window, into: &total)
            let expected = truth.filter { window.contains(UnixTime(milliseconds: $0.key)) }.values.reduce(
                0, +)
            #expect(total[.requests] == expected, "seed \(seed)")
        }
        series.trim(before: UnixTime(milliseconds: base + 450_000))
        var rest = Rollup()
        series.accumulate(
            Window(from: UnixTime(milliseconds: base), to: UnixTime(milliseconds: base + 900_000)),
            into: &rest)
        #expect(
            rest[.requests] == truth.filter { $0.key >= base + 450_000 }.values.reduce(0, +), "seed \(seed)")
    }
}
