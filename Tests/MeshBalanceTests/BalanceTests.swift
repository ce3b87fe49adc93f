import MeshBalance
import Testing

@Suite("Power of two choices", .timeLimit(.minutes(1))) struct P2CTests {
    @Test("Never a candidate that does not exist, and always two different ones", arguments: [2, 3, 7, 100])
    func distinct(count: Int) {
        var random = XorShift(seed: 42)
        for _ in 0..<10_000 {
            let (first, second) = random.twoDistinct(below: count)
            #expect(first != second)
            #expect((0..<count).contains(first) && (0..<count).contains(second))
        }
    }

    @Test("Nothing to choose from, nothing chosen; one is chosen without thinking")
    func few() {
        var random = XorShift(seed: 1)
        #expect(P2C.choose(among: 0, using: &random) { _ in 0 } == nil)
        #expect(P2C.choose(among: 1, using: &random) { _ in .infinity } == 0)
    }

    @Test("Equal endpoints share the load evenly")
    func even() {
        var random = XorShift(seed: 7)
        var counts = [Int](repeating: 0, count: 5)
        for _ in 0..<50_000 { counts[P2C.choose(among: 5, using: &random) { _ in 1 } ?? 0] += 1 }
        for count in counts { #expect(abs(count - 10_000) < 600, "seed 7: \(counts)") }
    }

    @Test("The most expensive of many is never chosen")
    func worst() {
        var random = XorShift(seed: 9)
        for _ in 0..<10_000 {
            #expect(P2C.choose(among: 4, using: &random) { $0 == 2 ? 100 : 1 } != 2)
        }
    }
}

@Suite("Peak EWMA", .timeLimit(.minutes(1))) struct PeakEWMATests {
    @Test("A worse sample counts at once, a better one slowly")
    func peaks() {
        var estimate = PeakEWMA()
        estimate.record(100_000_000, at: 1_000_000_000)
        #expect(estimate.nanoseconds == 100_000_000)
        estimate.record(1_000_000, at: 2_000_000_000)
        #expect(estimate.nanoseconds < 100_000_000)
        #expect(estimate.nanoseconds > 85_000_000)
        estimate.record(1_000_000, at: 100_000_000_000)
        #expect(estimate.nanoseconds < 1_100_000)
    }

    @Test("A late sample never rewinds the clock nor lowers the estimate")
    func late() {
        var estimate = PeakEWMA()
        estimate.record(50_000_000, at: 5_000_000_000)
        estimate.record(1, at: 4_000_000_000)
        #expect(estimate.nanoseconds == 50_000_000)
    }

    @Test("The estimate stays between the best and the worst sample, whatever comes")
    func bounded() {
        var random = XorShift(seed: 3)
        var estimate = PeakEWMA(initialNanoseconds: 1_000, at: 0)
        var now: UInt64 = 0
        for _ in 0..<10_000 {
            now += random.next() % 1_000_000_000
            estimate.record(1_000 + random.next() % 1_000_000, at: now)
            #expect(estimate.nanoseconds >= 1_000 && estimate.nanoseconds <= 1_001_000)
        }
    }

    @Test("Queued requests make an endpoint dearer")
    func load() {
        let tracker = LoadTracker(at: 0)
        let idle = tracker.cost(at: 0)
        tracker.started()
        #expect(tracker.cost(at: 0) == idle * 2)
        tracker.answered(latencyNanoseconds: 1_000_000, at: 1)
        #expect(tracker.pendingCount == 0)
        tracker.started()
        tracker.abandoned()
        #expect(tracker.pendingCount == 0)
    }

    @Test("No endpoint starves, even when the others have proved fast")
    func nobodyStarves() {
        var random = XorShift(seed: 7)
        var now: UInt64 = 1_000_000_000_000
        let trackers = (0..<3).map { _ in LoadTracker(at: now) }
        var counts = [0, 0, 0]
        for _ in 0..<300 {
            now += 5_000_000
            let index = P2C.choose(among: 3, using: &random) { trackers[$0].cost(at: now) } ?? 0
            counts[index] += 1
            trackers[index].started()
            trackers[index].answered(latencyNanoseconds: 1_000_000, at: now)
        }
        #expect(counts.allSatisfy { $0 > 60 }, "seed 7: \(counts)")
    }

    @Test("P2C over peak EWMA sends little to a slow endpoint")
    func slowEndpoint() {
        var random = XorShift(seed: 11)
        let trackers = (0..<4).map { _ in LoadTracker(at: 0) }
        var counts = [Int](repeating: 0, count: 4)
        var now: UInt64 = 1
        for _ in 0..<10_000 {
            now += 1_000_000
            let index = P2C.choose(among: 4, using: &random) { trackers[$0].cost(at: now) } ?? 0
            counts[index] += 1
            trackers[index].started()
            trackers[index].answered(latencyNanoseconds: index == 0 ? 200_000_000 : 2_000_000, at: now)
        }
        #expect(counts[0] < 500, "seed 11: \(counts)")
    }
}

@Suite("Back-off", .timeLimit(.minutes(1))) struct BackoffTests {
    @Test("Delays double up to the bound, and jitter never passes it")
    func doubles() {
        var random = XorShift(seed: 5)
        let plain = Backoff(minNanoseconds: 100, maxNanoseconds: 500, jitter: 0)
        #expect(
            (0..<5).map { plain.nanoseconds(afterFailures: $0, using: &random) } == [100, 200, 400, 500, 500])
        let jittered = Backoff(minNanoseconds: 100, maxNanoseconds: 500, jitter: 0.5)
        for attempt in 0..<200 {
            let delay = jittered.nanoseconds(afterFailures: attempt, using: &random)
            #expect((100...500).contains(delay))
        }
        #expect(plain.nanoseconds(afterFailures: .max, using: &random) == 500)
    }
}
