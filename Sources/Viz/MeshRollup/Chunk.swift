// A chunk holds one key's buckets over one span (10 minutes, an hour, a day): few rows, and columns whose
// neighbours resemble each other. Layout of the body, after a version byte:
//
//   count, bucket indices (gaps)          which buckets of the span have anything
//   estimated mask (bytes)                one bit per bucket present
//   counter mask, columns                 zigzag differences to the bucket before, per counter in use
//   gauge mask (bytes), last, max - last  per bucket with a gauge
//   histogram union mask, rows            per bucket: mask within the union, counts
//   extremes mask (bytes), values         per bucket with extremes; only in version 2, which only chunks with any are
//   checksum                              FNV-1a, 32 bits, of all before
//
// Totals (one encoded rollup) are kept beside the body, so that long windows never unpack it. The decoder
// checks bounds, checksum and that the buckets add up to the totals.

/// One key's buckets over one span of a tier.
public struct Chunk: Sendable, Equatable {
    /// The layout described above.
    public static let version: UInt8 = 1
    /// The layout with extremes.
    static let versionWithExtremes: UInt8 = 2

    /// One bucket by its position in the span.
    public struct Bucket: Sendable, Equatable {
        public let index: Int
        public var rollup: Rollup
    }

    /// Buckets with anything in them, by ascending index.
    public private(set) var buckets: [Bucket] = []

    /// No buckets.
    public init() {}

    /// Adds to the bucket at `index` of the span, as a later stretch of the same series.
    public mutating func append(_ rollup: Rollup, at index: Int) {
        insert(index) {
            $0.append(rollup)
        } orNew: {
            rollup
        }
    }

    /// Adds another series of the same time to the bucket at `index`: folding pods into a workload.
    public mutating func combine(_ rollup: Rollup, at index: Int) {
        insert(index) {
            $0.combine(rollup)
        } orNew: {
            rollup
        }
    }

    /// The whole span as one rollup.
    public var totals: Rollup {
        var totals = Rollup()
        for bucket in buckets { totals.append(bucket.rollup) }
        return totals
    }

    private mutating func insert(_ index: Int, _ merge: (inout Rollup) -> Void, orNew: () -> Rollup) {
        if let last = buckets.last, last.index < index {
            buckets.append(Bucket(index: index, rollup: orNew()))
        } else if let position = buckets.firstIndex(where: { $0.index >= index }) {
            if buckets[position].index == index {
                merge(&buckets[position].rollup)
            } else {
                buckets.insert(Bucket(index: index, rollup: orNew()), at: position)
            }
        } else {
            buckets.append(Bucket(index: index, rollup: orNew()))
        }
    }
}

extension Chunk {
    /// The body's bytes; the totals are `totals.encoded()`.
    public func encodedBody() -> [UInt8] {
        var writer = ByteWriter()
        let hasExtremes = buckets.contains { $0.rollup.extremes != nil }
        writer.byte(hasExtremes ? Self.versionWithExtremes : Self.version)
        writer.varint(UInt64(buckets.count))
        var next = 0
        for bucket in buckets {
            writer.varint(UInt64(bucket.index - next))
            next = bucket.index + 1
        }
        encodeMask(to: &writer) { $0.isEstimated }
        encodeCounters(to: &writer)
        encodeGauges(to: &writer)
        encodeHistograms(to: &writer)
        if hasExtremes {
            encodeMask(to: &writer) { $0.extremes != nil }
            for bucket in buckets { bucket.rollup.extremes?.encode(to: &writer) }
        }
        let sum = Self.checksum(writer.bytes, upTo: writer.bytes.count)
        for shift: UInt32 in [0, 8, 16, 24] { writer.byte(UInt8(truncatingIfNeeded: sum >> shift)) }
        return writer.bytes
    }

    private func encodeMask(to writer: inout ByteWriter, _ isSet: (Rollup) -> Bool) {
        var byte: UInt8 = 0
        for (position, bucket) in buckets.enumerated() {
            if isSet(bucket.rollup) { byte |= 1 << UInt8(position & 7) }
            if position & 7 == 7 || position == buckets.count - 1 {
                writer.byte(byte)
                byte = 0
            }
        }
    }

    private func encodeCounters(to writer: inout ByteWriter) {
        var used = SIMD16<UInt64>.zero
        for bucket in buckets { used |= bucket.rollup.counters }
        var mask: UInt64 = 0
        for index in 0..<16 where used[index] != 0 { mask |= 1 << UInt64(index) }
        writer.varint(mask)
        for index in 0..<16 where used[index] != 0 {
            var previous: UInt64 = 0
            for bucket in buckets {
                writer.zigzag(Int64(bitPattern: bucket.rollup.counters[index] &- previous))
                previous = bucket.rollup.counters[index]
            }
        }
    }

    private func encodeGauges(to writer: inout ByteWriter) {
        encodeMask(to: &writer) { $0.openConnections != nil }
        for bucket in buckets {
            guard let gauge = bucket.rollup.openConnections else { continue }
            writer.varint(gauge.last)
            writer.varint(gauge.max &- gauge.last)
        }
    }

    private func encodeHistograms(to writer: inout ByteWriter) {
        var union: UInt32 = 0
        for bucket in buckets { union |= bucket.rollup.latency.mask }
        writer.varint(UInt64(union))
        guard union != 0 else { return }
        let bins = (0..<LatencyHistogram.bucketCount).filter { union & (1 << UInt32($0)) != 0 }
        for bucket in buckets {
            var mask: UInt64 = 0
            for (position, bin) in bins.enumerated() where bucket.rollup.latency[bin] != 0 {
                mask |= 1 << UInt64(position)
            }
            writer.varint(mask)
            for bin in bins where bucket.rollup.latency[bin] != 0 {
                writer.varint(bucket.rollup.latency[bin])
            }
        }
    }

    /// FNV-1a, 32 bits.
    static func checksum(_ bytes: [UInt8], upTo end: Int) -> UInt32 {
        var hash: UInt32 = 0x811C_9DC5
        for offset in 0..<end { hash = (hash ^ UInt32(bytes[offset])) &* 0x0100_0193 }
        return hash
    }
}
