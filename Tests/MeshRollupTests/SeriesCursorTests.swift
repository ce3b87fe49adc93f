import MeshRollup
import Testing

@Suite("Cursors turn counters into deltas", .timeLimit(.minutes(1)))
struct SeriesCursorTests {
    private let rules = CursorRules(intervalMilliseconds: 10_000, firstSightAgeMaxMilliseconds: 300_000)

    private func id(_ number: UInt64) -> SeriesID { SeriesID(high: 7, low: number) }
    private func time(_ seconds: Int64) -> UnixTime {
        UnixTime(milliseconds: 1_700_000_000_000 + seconds * 1_000)
    }

    /// Scrapes `values` and returns growth by series.
    private func scrape(
        _ cursor: inout SeriesCursor, _ values: [UInt64: UInt64], at: UnixTime, start: UnixTime? = nil,
        groups: [UInt64: Int] = [:]
    ) -> (ScrapeDelta, [UInt64: UInt64]) {
        var scrape = Scrape(at: at, processStart: start)
        var names: [Int: UInt64] = [:]
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            let slot = cursor.slot(of: id(name)) ?? cursor.insert(id(name), group: groups[name])
            names[slot] = name
            scrape.add(slot: slot, isGauge: false, value: Double(value))
        }
        let delta = cursor.advance(scrape, rules: rules)
        var grown: [UInt64: UInt64] = [:]
        for change in delta.counters { grown[names[change.slot] ?? 0, default: 0] += change.amount }
        return (delta, grown)
    }

    @Test("A scrape that is not taken in leaves no trace, and what follows replays")
    func notWhole() throws {
        var cursor = SeriesCursor()
        _ = scrape(&cursor, [1: 5, 2: 6], at: time(0), start: time(-9_000))
        let base = cursor.encodedBase()
        var bad = Scrape(at: time(10))
        for name in [2, 3, 4] as [UInt64] {
            bad.add(slot: cursor.slot(of: id(name)) ?? cursor.insert(id(name)), isGauge: false, whole: 9)
        }
        #expect(cursor.abandon(bad).count == 2)
        #expect(cursor.seriesCount == 2)
        #expect(cursor.slot(of: id(3), guess: 2) == nil, "a guess does not find what was taken back")
        let (delta, grown) = scrape(&cursor, [1: 7, 2: 6, 4: 1], at: time(20), start: time(-9_000))
        #expect(grown == [1: 2, 4: 1])
        var replayed = try SeriesCursor(base: base)
        try replayed.apply(step: delta.step)
        let (_, again) = scrape(&replayed, [1: 8, 2: 8, 4: 2], at: time(30), start: time(-9_000))
        #expect(again == [1: 1, 2: 2, 4: 1])
    }

    @Test("A series that was left out until now sets a baseline when it is told so")
    func latecomers() {
        var cursor = SeriesCursor()
        _ = scrape(&cursor, [1: 5], at: time(0), start: time(-9_000))
        var next = Scrape(at: time(10), processStart: time(-9_000))
        next.add(slot: cursor.insert(id(1)), isGauge: false, whole: 6)
        next.add(slot: cursor.insert(id(2)), isGauge: false, whole: 4_000)
        let delta = cursor.advance(next, rules: rules, countsNewSeries: false)
        #expect(delta.counters.map(\.amount) == [1])
        let (_, grown) = scrape(&cursor, [1: 6, 2: 4_003], at: time(20), start: time(-9_000))
        #expect(grown == [2: 3])
    }

    @Test("An old process only sets the baseline at first sight")
    func baseline() {
        var cursor = SeriesCursor()
        let (first, none) = scrape(&cursor, [1: 500], at: time(0), start: time(-9_000))
        #expect(none.isEmpty)
        #expect(first.from == first.to)
        let (_, grown) = scrape(&cursor, [1: 507], at: time(10), start: time(-9_000))
        #expect(grown == [1: 7])
    }

    @Test("A young process counts from its start")
    func youngProcess() {
        var cursor = SeriesCursor()
        let (delta, grown) = scrape(&cursor, [1: 12], at: time(0), start: time(-8))
        #expect(grown == [1: 12])
        #expect(delta.from == time(-8))
        #expect(!delta.isEstimated)
    }

    @Test("A restart counts from zero, since the start")
    func restart() {
        var cursor = SeriesCursor()
        _ = scrape(&cursor, [1: 100], at: time(0), start: time(-9_000))
        let (delta, grown) = scrape(&cursor, [1: 150], at: time(10), start: time(4))
        #expect(grown == [1: 150], "the new process counted 150 although the old one stood at 100")
        #expect(delta.isRestart)
        #expect(delta.from == time(4))
    }

    @Test("A value below the last one is a reset")
    func reset() {
        var cursor = SeriesCursor()
        _ = scrape(&cursor, [1: 100], at: time(0))
        #expect(scrape(&cursor, [1: 30], at: time(10)).1 == [1: 30])
    }

    @Test("A reset of one bucket resets its histogram")
    func groupReset() {
        var cursor = SeriesCursor()
        let groups: [UInt64: Int] = [1: 0, 2: 0, 3: 1]
        _ = scrape(&cursor, [1: 2, 2: 5, 3: 9], at: time(0), groups: groups)
        // Bucket 1 grew past its old value, which alone would look like growth by one.
        #expect(scrape(&cursor, [1: 3, 2: 3, 3: 10], at: time(10), groups: groups).1 == [1: 3, 2: 3, 3: 1])
    }

    @Test("A series that vanished counts from zero when it returns")
    func vanished() {
        var cursor = SeriesCursor()
        _ = scrape(&cursor, [1: 40, 2: 1], at: time(0))
        let (delta, _) = scrape(&cursor, [2: 1], at: time(10))
        #expect(delta.vanishedSlots.count == 1)
        #expect(cursor.seriesCount == 1)
        #expect(scrape(&cursor, [1: 41, 2: 1], at: time(20)).1 == [1: 41])
    }

    @Test(
        "A gap of more than two intervals is estimated",
        arguments: [(10, false), (20, false), (21, true), (600, true)])
    func gap(seconds: Int64, isEstimated: Bool) {
        var cursor = SeriesCursor()
        _ = scrape(&cursor, [1: 1], at: time(0))
        #expect(scrape(&cursor, [1: 5], at: time(seconds)).0.isEstimated == isEstimated)
    }

    @Test("A clock that stepped back yields an empty stretch, and no count is lost")
    func clockStep() {
        var cursor = SeriesCursor()
        _ = scrape(&cursor, [1: 1], at: time(0))
        let (delta, grown) = scrape(&cursor, [1: 5], at: time(-3_600))
        #expect(grown == [1: 4])
        #expect(delta.isEstimated)
        #expect(delta.from == delta.to)
    }

    @Test("A series printed twice counts once")
    func duplicate() {
        var cursor = SeriesCursor()
        _ = scrape(&cursor, [1: 1], at: time(0))
        var scrape = Scrape(at: time(10))
        let slot = cursor.slot(of: id(1)) ?? -1
        scrape.add(slot: slot, isGauge: false, value: 4)
        scrape.add(slot: slot, isGauge: false, value: 4)
        #expect(cursor.advance(scrape, rules: rules).counters.map(\.amount) == [3])
    }

    @Test("Base and steps rebuild the cursor", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func replay(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var live = SeriesCursor()
        var values: [UInt64: UInt64] = [:]
        var restored: SeriesCursor?
        for round in 0..<60 {
            if random.chance(30) { values[UInt64.random(in: 0..<50, using: &random)] = 0 }
            if random.chance(20), let gone = values.keys.sorted().randomElement(using: &random) {
                values[gone] = nil
            }
            for name in values.keys.sorted() where random.chance(50) {
                values[name, default: 0] += UInt64.random(in: 0..<9, using: &random)
            }
            let (delta, _) = scrape(&live, values, at: time(Int64(round) * 10), start: time(-100))
            if round == 20 || round == 45 {
                restored = try SeriesCursor(base: live.encodedBase())
            } else {
                try restored?.apply(step: delta.step)
            }
            // A step that the base already holds changes nothing.
            try restored?.apply(step: delta.step)
        }
        var copy = try #require(restored)
        for name in values.keys.sorted() { values[name, default: 0] += name + 1 }
        let later = scrape(&live, values, at: time(700), start: time(-100)).1
        #expect(scrape(&copy, values, at: time(700), start: time(-100)).1 == later, "seed \(seed)")
    }

    @Test(
        "Corrupt bases and steps are refused or harmless, never a crash", arguments: [11, 12, 13] as [UInt64])
    func corruption(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var cursor = SeriesCursor()
        var values: [UInt64: UInt64] = [:]
        for name in 0..<40 as Range<UInt64> { values[name] = name * 1_000 }
        _ = scrape(&cursor, values, at: time(0))
        let base = cursor.encodedBase()
        let step = scrape(&cursor, values.mapValues { $0 + 3 }, at: time(10)).0.step
        for _ in 0..<2_000 {
            _ = try? SeriesCursor(base: mutated(base, &random))
            var copy = cursor
            try? copy.apply(step: mutated(step, &random))
        }
    }
}

/// Flips, cuts or grows bytes.
func mutated(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
    var bytes = bytes
    switch Int.random(in: 0..<4, using: &random) {
    case 0: bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
    case 1:
        bytes += (0..<Int.random(in: 1...8, using: &random)).map { _ in
            UInt8.random(in: 0...255, using: &random)
        }
    default:
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
    }
    return bytes
}
