// How cursors are kept. A base holds every series of a pod; a step holds what one scrape changed. The store
// commits a step with the deltas of the same scrape, and a base now and then, so that a restart replays
// base and steps and counts on from there: what happened while nobody scraped is in the next delta.
//
//   base   version, scrape time, process start, slots, then per series: gap of slots, id, value
//   step   version, scrape time, process start, then counted lists of
//          new (gap, id, value) · changed (gap, difference) · vanished (gap)
//
// Gaps are zigzag differences to the slot before. A steady series costs two bytes a scrape that way.

/// Collects what one scrape changes in a cursor.
struct CursorStepWriter {
    private var new = ByteWriter()
    private var changed = ByteWriter()
    private var vanished = ByteWriter()
    private var newCount: UInt64 = 0
    private var changedCount: UInt64 = 0
    private var vanishedCount: UInt64 = 0
    private var newLast = 0
    private var changedLast = 0
    private var vanishedLast = 0

    mutating func add(new id: SeriesID, slot: Int, value: UInt64) {
        new.zigzag(Int64(slot - newLast))
        new.fixed64(id.high)
        new.fixed64(id.low)
        new.varint(value)
        newLast = slot
        newCount += 1
    }

    mutating func add(changed slot: Int, from old: UInt64, to value: UInt64) {
        changed.zigzag(Int64(slot - changedLast))
        changed.zigzag(Int64(bitPattern: value &- old))
        changedLast = slot
        changedCount += 1
    }

    mutating func add(vanished slot: Int) {
        vanished.zigzag(Int64(slot - vanishedLast))
        vanishedLast = slot
        vanishedCount += 1
    }

    func finish(at: UnixTime, processStart: UnixTime?) -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(SeriesCursor.codecVersion)
        writer.zigzag(at.milliseconds)
        writer.zigzag(processStart?.milliseconds ?? -1)
        writer.varint(newCount)
        writer.bytes += new.bytes
        writer.varint(changedCount)
        writer.bytes += changed.bytes
        writer.varint(vanishedCount)
        writer.bytes += vanished.bytes
        return writer.bytes
    }
}

extension SeriesCursor {
    static let codecVersion: UInt8 = 1
    /// Slots of one pod; more than twice the series that metrics-api lets it have. A few damaged bytes can ask for as
    /// many, for every pod of the store.
    private static let slotsMax = 1 << 17

    /// Every series with its value.
    public func encodedBase() -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(Self.codecVersion)
        writer.zigzag(scrapedAt?.milliseconds ?? -1)
        writer.zigzag(processStart?.milliseconds ?? -1)
        writer.varint(UInt64(entries.count))
        writer.varint(UInt64(table.count))
        var last = 0
        for slot in entries.indices where isUsed(slot) {
            writer.zigzag(Int64(slot - last))
            writer.fixed64(entries[slot].id.high)
            writer.fixed64(entries[slot].id.low)
            writer.varint(entries[slot].value)
            last = slot
        }
        return writer.bytes
    }

    /// Reads a base.
    public init(base: [UInt8]) throws(CodecError) {
        self.init()
        var reader = ByteReader(base)
        let version = try reader.byte()
        guard version == Self.codecVersion else { throw .unknownVersion(version) }
        scrapedAt = Self.time(try reader.zigzag())
        processStart = Self.time(try reader.zigzag())
        let slotCount = try reader.count(max: Self.slotsMax)
        let seriesCount = try reader.count(max: slotCount)
        generation = 2
        let unused = Entry(id: .none, value: 0, generation: 1, group: -1)
        entries = Array(repeating: unused, count: slotCount)
        var slot = 0
        for _ in 0..<seriesCount {
            slot = try Self.slot(after: slot, &reader, max: slotCount)
            let id = SeriesID(high: try reader.fixed64(), low: try reader.fixed64())
            try place(id, slot: slot, value: try reader.varint())
        }
        guard reader.isAtEnd else { throw .trailingBytes }
        rebuildFreeSlots()
    }

    /// Applies what a later scrape changed; one not later than the cursor is already in it and is skipped.
    public mutating func apply(step: [UInt8]) throws(CodecError) {
        var reader = ByteReader(step)
        let version = try reader.byte()
        guard version == Self.codecVersion else { throw .unknownVersion(version) }
        let at = Self.time(try reader.zigzag())
        let start = Self.time(try reader.zigzag())
        if let at, let scrapedAt, at <= scrapedAt { return }
        var slot = 0
        for _ in 0..<(try reader.count(max: Self.slotsMax)) {
            slot = try Self.slot(after: slot, &reader, max: Self.slotsMax)
            let id = SeriesID(high: try reader.fixed64(), low: try reader.fixed64())
            try place(id, slot: slot, value: try reader.varint())
        }
        slot = 0
        for _ in 0..<(try reader.count(max: Self.slotsMax)) {
            slot = try Self.slot(after: slot, &reader, max: entries.count)
            entries[slot].value = entries[slot].value &+ UInt64(bitPattern: try reader.zigzag())
        }
        slot = 0
        for _ in 0..<(try reader.count(max: Self.slotsMax)) {
            slot = try Self.slot(after: slot, &reader, max: entries.count)
            guard isUsed(slot) else { continue }
            table.remove(entries[slot].id, in: entries)
            entries[slot].id = .none
        }
        guard reader.isAtEnd else { throw .trailingBytes }
        scrapedAt = at
        processStart = start ?? processStart
        rebuildFreeSlots()
    }

    private mutating func place(_ id: SeriesID, slot: Int, value: UInt64) throws(CodecError) {
        guard table.slot(of: id, in: entries) == nil else { throw .valueOutOfRange }
        let unused = Entry(id: .none, value: 0, generation: 1, group: -1)
        while entries.count <= slot { entries.append(unused) }
        guard !isUsed(slot) else { throw .valueOutOfRange }
        entries[slot] = Entry(id: id, value: value, generation: 1, group: -1)
        table.insert(Int32(slot), in: entries)
    }

    private mutating func rebuildFreeSlots() {
        freeSlots = entries.indices.filter { !isUsed($0) }.map { Int32($0) }
    }

    private static func slot(
        after last: Int, _ reader: inout ByteReader, max limit: Int
    ) throws(CodecError) -> Int {
        let slot = Int64(last) &+ (try reader.zigzag())
        guard slot >= 0, slot < Int64(limit) else { throw .valueOutOfRange }
        return Int(slot)
    }

    private static func time(_ milliseconds: Int64) -> UnixTime? {
        milliseconds < 0 ? nil : UnixTime(milliseconds: milliseconds)
    }
}
