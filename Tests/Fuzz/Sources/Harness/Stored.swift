// What the rollup store reads from its file: whatever is in it, the process must live, and must not believe it.

import MeshRollup

/// The first byte says how many buckets the span has; the body comes without its checksum, which is added here.
func rollupChunk(_ bytes: [UInt8]) {
    rollups(bytes)
    guard let first = bytes.first else { return }
    let bucketsMax = Int(first)
    var body = Array(bytes.dropFirst())
    let sum = body.reduce(UInt32(0x811C_9DC5)) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    body += [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: sum >> $0) }
    guard let chunk = try? Chunk(body: body, totals: nil, bucketsMax: bucketsMax) else { return }
    require(chunk.buckets.count <= bucketsMax, "buckets fit their span")
    for (left, right) in zip(chunk.buckets, chunk.buckets.dropFirst()) { require(left.index < right.index, "buckets ascend") }
    if let last = chunk.buckets.last { require(last.index < bucketsMax, "buckets fit their span") }
    let again = try? Chunk(body: chunk.encodedBody(), totals: chunk.totals.encoded(), bucketsMax: bucketsMax)
    require(again == chunk, "a chunk changed when it was written")
    // A bit that tips over is found.
    for position in [0, body.count / 2, body.count - 1] {
        var bent = body
        bent[position] ^= 1 << UInt8(position & 7)
        require((try? Chunk(body: bent, totals: nil, bucketsMax: bucketsMax)) == nil, "a bent chunk was believed")
    }
}

/// One rollup after another.
private func rollups(_ bytes: [UInt8]) {
    var reader = ByteReader(bytes)
    while !reader.isAtEnd, let rollup = try? Rollup(from: &reader) {
        var copy = ByteReader(rollup.encoded())
        require((try? Rollup(from: &copy)) == rollup && copy.isAtEnd, "a rollup changed when it was written")
        if let quantile = rollup.latency.quantile(0.99) {
            require(quantile.milliseconds.isFinite && quantile.milliseconds >= 0, "a quantile is a number")
        }
    }
}

/// Two bytes of length and a base, then as often two bytes of length and a step.
func rollupCursor(_ bytes: [UInt8]) {
    var parts: [[UInt8]] = []
    var rest = bytes[...]
    while rest.count >= 2, parts.count < 16 {
        let length = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
        parts.append(Array(rest.dropFirst(2).prefix(length)))
        rest = rest.dropFirst(2 + length)
    }
    guard let base = parts.first, var cursor = try? SeriesCursor(base: base) else { return }
    check(cursor)
    for step in parts.dropFirst() {
        guard (try? cursor.apply(step: step)) != nil else { return }
        check(cursor)
    }
    // The process counts on from what was restored.
    let id = SeriesID(high: 0x5EED, low: 0xF00D)
    let slot = cursor.insert(id)
    require(cursor.slot(of: id) == slot && cursor.slot(of: id, guess: 0) == slot, "a new series has its slot")
    check(cursor)
}

private func check(_ cursor: SeriesCursor) {
    require(cursor.seriesCount <= cursor.slotCount, "every series has a slot")
    let base = cursor.encodedBase()
    guard let again = try? SeriesCursor(base: base) else { fatalError("a cursor that was written cannot be read") }
    require(again.seriesCount == cursor.seriesCount && again.slotCount == cursor.slotCount, "a cursor changed its size")
    require(again.scrapedAt == cursor.scrapedAt && again.processStart == cursor.processStart, "a cursor changed its times")
    require(again.encodedBase() == base, "a cursor changed when it was written")
}

/// The counts of one scrape.
func rollupJournal(_ bytes: [UInt8]) {
    guard let parts = try? JournalCodec.decode(bytes) else { return }
    require(parts.count <= bytes.count, "parts lie in their bytes")
    let again = try? JournalCodec.decode(JournalCodec.encode(parts))
    let isSame = again?.elementsEqual(parts) { $0.keyID == $1.keyID && $0.bucket == $1.bucket && $0.rollup == $1.rollup }
    require(isSame == true, "a journal changed when it was written")
}
