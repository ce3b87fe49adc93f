// From counters to deltas. A cursor is what was last read from one pod; advancing it by a scrape yields how
// much each series grew, over which stretch of time. The rules, in the order they apply:
//
//   first sight    a proxy that started at most `firstSightAgeMax` ago counts from its start; an older one
//                  only sets the baseline, since when its counts happened is not known
//   restart        `process_start_time_seconds` moved by more than a second: every series counts from 0,
//                  and the stretch begins at the start
//   new series     counts from 0: the pod was watched before, and the series was not there
//   reset          a value below the last one counts from 0; for a histogram the whole group does
//   vanished       a series that a scrape lacks is forgotten, so that its return counts from 0: proxies drop idle
//                  series and start them anew. Scrapes that are not whole must not get here
//   clock steps    a scrape not later than the last one has an empty stretch and is marked estimated
//   gap            a stretch longer than two intervals is marked estimated; `Spread` divides it

/// Tunes how deltas are read from scrapes.
public struct CursorRules: Sendable {
    /// Time between scrapes, milliseconds.
    public var intervalMilliseconds: Int64
    /// Age up to which a proxy seen for the first time counts from its start.
    public var firstSightAgeMaxMilliseconds: Int64

    /// Rules for scrapes every `intervalMilliseconds`.
    public init(intervalMilliseconds: Int64 = 10_000, firstSightAgeMaxMilliseconds: Int64 = 300_000) {
        self.intervalMilliseconds = intervalMilliseconds
        self.firstSightAgeMaxMilliseconds = firstSightAgeMaxMilliseconds
    }
}

/// What one scrape said, by slots of the cursor it belongs to. Reused, so that it stops allocating.
public struct Scrape: Sendable {
    struct Reading: Sendable {
        let slot: Int32
        let isGauge: Bool
        let value: UInt64
    }

    var readings: [Reading] = []
    /// When the scrape was taken.
    public var at: UnixTime
    /// What `process_start_time_seconds` said, if anything.
    public var processStart: UnixTime?

    /// An empty scrape taken at `at`.
    public init(at: UnixTime, processStart: UnixTime? = nil) {
        self.at = at
        self.processStart = processStart
    }

    /// Empties the scrape for the next one, keeping its memory.
    public mutating func reset(at: UnixTime) {
        readings.removeAll(keepingCapacity: true)
        self.at = at
        processStart = nil
    }

    /// Adds a reading; negative and NaN read as 0, and counters are whole numbers.
    public mutating func add(slot: Int, isGauge: Bool, value: Double) {
        add(slot: slot, isGauge: isGauge, whole: Self.whole(value) ?? 0)
    }

    /// Adds a reading that is a whole number already.
    public mutating func add(slot: Int, isGauge: Bool, whole: UInt64) {
        readings.append(Reading(slot: Int32(truncatingIfNeeded: slot), isGauge: isGauge, value: whole))
    }

    /// Largest value that expositions, which are read as doubles everywhere, tell apart from its neighbours.
    public static let valueMax: Double = 9_007_199_254_740_992

    /// The count that a value stands for; `nil` when it stands for none: NaN, negative, or beyond 2⁵³.
    public static func whole(_ value: Double) -> UInt64? {
        value >= 0 && value <= valueMax ? UInt64(exactly: value.rounded()) : nil
    }
}

/// What advancing a cursor found.
public struct ScrapeDelta: Sendable, Equatable {
    /// One series that grew, or one gauge.
    public struct Change: Sendable, Equatable {
        public let slot: Int
        /// Growth of a counter; value of a gauge.
        public let amount: UInt64
    }

    /// The stretch that the counts belong to, `(from, to]`.
    public var from: UnixTime
    public var to: UnixTime
    /// Whether the counts have to be spread over a gap.
    public var isEstimated = false
    /// Counters that grew, by slot order of the scrape.
    public var counters: [Change] = []
    /// All gauges.
    public var gauges: [Change] = []
    /// Slots whose series the scrape lacked; they are free for reuse after this delta was handled.
    public var vanishedSlots: [Int] = []
    /// Whether the process behind the pod started anew.
    public var isRestart = false
    /// What `SeriesCursor.apply(step:)` needs to do the same to a copy of the cursor before.
    public var step: [UInt8] = []
}

/// The last raw values of one pod's series. A value: copy it, and the copy goes its own way.
public struct SeriesCursor: Sendable {
    struct Entry: Sendable {
        var id: SeriesID
        var value: UInt64
        /// Scrape that last had the series; 0 is never.
        var generation: UInt32
        /// Histogram it belongs to; negative is none.
        var group: Int32
    }

    var entries: [Entry] = []
    var table = SlotTable()
    var freeSlots: [Int32] = []
    var generation: UInt32 = 1
    /// Start of the process that the values belong to.
    public internal(set) var processStart: UnixTime?
    /// Time of the last scrape; `nil` before the first.
    public internal(set) var scrapedAt: UnixTime?

    /// A cursor that has seen nothing.
    public init() {}

    /// Series held.
    public var seriesCount: Int { table.count }
    /// One more than the highest slot in use.
    public var slotCount: Int { entries.count }

    /// The slot of a known series.
    public func slot(of id: SeriesID) -> Int? { table.slot(of: id, in: entries).map(Int.init) }

    /// The slot of a known series, which is likely to be `guess`: scrapes keep their order.
    public func slot(of id: SeriesID, guess: Int) -> Int? {
        if guess < entries.count, guess >= 0, entries[guess].id == id { return guess }
        return slot(of: id)
    }

    /// What the series in `slot` said last.
    public func value(inSlot slot: Int) -> UInt64 { entries[slot].value }

    /// Gives a series a slot.
    ///
    /// - Parameter group: Number of the histogram it is a bucket of, so that a reset is one for all of them.
    /// - Returns: Its slot; that of a vanished series may be used again. A known series keeps its own.
    public mutating func insert(_ id: SeriesID, group: Int? = nil) -> Int {
        if let known = slot(of: id) { return known }
        let entry = Entry(id: id, value: 0, generation: 0, group: Int32(group ?? -1))
        if let free = freeSlots.popLast() {
            entries[Int(free)] = entry
            table.insert(free, in: entries)
            return Int(free)
        }
        entries.append(entry)
        table.insert(Int32(entries.count - 1), in: entries)
        return entries.count - 1
    }

    /// Names the histogram of a series that a restored cursor knows only by id.
    public mutating func setGroup(_ group: Int, ofSlot slot: Int) { entries[slot].group = Int32(group) }

    /// Takes in `scrape` and tells what grew.
    ///
    /// - Parameter countsNewSeries: Whether a series not seen before counts from 0; else its value is a baseline.
    /// - Returns: The delta; on first sight of an old process it has no counters, only gauges.
    /// - Complexity: O(series).
    public mutating func advance(
        _ scrape: Scrape, rules: CursorRules, countsNewSeries: Bool = true
    ) -> ScrapeDelta {
        let isFirstSight = scrapedAt == nil
        let isRestart = !isFirstSight && hasRestarted(scrape.processStart)
        var delta = stretch(of: scrape, isFirstSight: isFirstSight, isRestart: isRestart, rules: rules)
        let countsFromZero = isRestart || (isFirstSight && isYoung(scrape, rules))
        let resetGroups = isFirstSight || isRestart ? [] : resetGroups(in: scrape)

        var step = CursorStepWriter()

        for reading in scrape.readings {
            let slot = Int(reading.slot)
            let entry = entries[slot]
            guard entry.generation != generation else { continue }  // A series printed twice counts once.
            entries[slot].value = reading.value
            entries[slot].generation = generation
            if entry.generation == 0 {
                step.add(new: entry.id, slot: slot, value: reading.value)
            } else if entry.value != reading.value {
                step.add(changed: slot, from: entry.value, to: reading.value)
            }
            if reading.isGauge {
                delta.gauges.append(ScrapeDelta.Change(slot: slot, amount: reading.value))
                continue
            }
            let isReset =
                reading.value < entry.value || (entry.group >= 0 && resetGroups.contains(entry.group))
            let isBaseline = isFirstSight || (entry.generation == 0 && !countsNewSeries)
            let base = countsFromZero || isReset ? 0 : (isBaseline ? reading.value : entry.value)
            if reading.value > base {
                delta.counters.append(ScrapeDelta.Change(slot: slot, amount: reading.value - base))
            }
        }
        forgetVanished(&delta, &step)
        processStart = scrape.processStart ?? processStart
        scrapedAt = scrape.at
        delta.step = step.finish(at: scrape.at, processStart: processStart)
        generation = generation == .max ? 1 : generation + 1
        return delta
    }

    /// Takes back the slots that were given out for a scrape that will not be taken in.
    ///
    /// - Returns: Those slots.
    public mutating func abandon(_ scrape: Scrape) -> [Int] {
        var abandoned: [Int] = []
        for reading in scrape.readings {
            let slot = Int(reading.slot)
            guard entries[slot].generation == 0, isUsed(slot) else { continue }
            table.remove(entries[slot].id, in: entries)
            entries[slot].id = .none
            freeSlots.append(reading.slot)
            abandoned.append(slot)
        }
        return abandoned
    }

    /// Whether a slot holds a series.
    func isUsed(_ slot: Int) -> Bool { table.slot(of: entries[slot].id, in: entries) == Int32(slot) }

    private func hasRestarted(_ start: UnixTime?) -> Bool {
        guard let start, let processStart else { return false }
        return abs(start.since(processStart)) > 1_000
    }

    private func isYoung(_ scrape: Scrape, _ rules: CursorRules) -> Bool {
        guard let start = scrape.processStart else { return false }
        return (0...rules.firstSightAgeMaxMilliseconds).contains(scrape.at.since(start))
    }

    private func stretch(
        of scrape: Scrape, isFirstSight: Bool, isRestart: Bool, rules: CursorRules
    ) -> ScrapeDelta {
        var from = scrapedAt ?? scrape.at
        if isRestart, let start = scrape.processStart { from = max(from, start) }
        if isFirstSight, isYoung(scrape, rules), let start = scrape.processStart { from = start }
        let isBackwards = from > scrape.at
        from = min(from, scrape.at)
        var delta = ScrapeDelta(from: from, to: scrape.at)
        delta.isEstimated = isBackwards || scrape.at.since(from) > 2 * rules.intervalMilliseconds
        delta.isRestart = isRestart
        return delta
    }

    private func resetGroups(in scrape: Scrape) -> Set<Int32> {
        var groups: Set<Int32> = []
        for reading in scrape.readings where !reading.isGauge {
            let entry = entries[Int(reading.slot)]
            if entry.group >= 0, reading.value < entry.value { groups.insert(entry.group) }
        }
        return groups
    }

    private mutating func forgetVanished(_ delta: inout ScrapeDelta, _ step: inout CursorStepWriter) {
        for slot in entries.indices where entries[slot].generation != generation {
            guard isUsed(slot) else { continue }
            table.remove(entries[slot].id, in: entries)
            entries[slot].id = .none  // A guess must not find it.
            freeSlots.append(Int32(slot))
            delta.vanishedSlots.append(slot)
            step.add(vanished: slot)
        }
    }
}
