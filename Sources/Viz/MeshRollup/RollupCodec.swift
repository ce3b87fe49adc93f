// One rollup as bytes: a flags byte, the mask of counters that are not zero and their varints, the gauge, the sparse
// histogram as a mask and the counts of its buckets, and the extremes. A quiet rollup takes three bytes.

extension Rollup {
    private struct Flags {
        static let estimated: UInt8 = 1
        static let gauge: UInt8 = 2
        static let histogram: UInt8 = 4
        static let extremes: UInt8 = 8
        static let all: UInt8 = 15
    }

    /// Appends this rollup to `writer`.
    public func encode(to writer: inout ByteWriter) {
        let histogramMask = latency.mask
        var flags: UInt8 = isEstimated ? Flags.estimated : 0
        if openConnections != nil { flags |= Flags.gauge }
        if histogramMask != 0 { flags |= Flags.histogram }
        if extremes != nil { flags |= Flags.extremes }
        writer.byte(flags)
        var mask: UInt16 = 0
        for index in 0..<16 where counters[index] != 0 { mask |= 1 << UInt16(index) }
        writer.byte(UInt8(truncatingIfNeeded: mask))
        writer.byte(UInt8(truncatingIfNeeded: mask >> 8))
        for index in 0..<16 where counters[index] != 0 { writer.varint(counters[index]) }
        if let gauge = openConnections {
            writer.varint(gauge.last)
            writer.varint(gauge.max &- gauge.last)
        }
        if histogramMask != 0 {
            writer.varint(UInt64(histogramMask))
            for index in 0..<LatencyHistogram.bucketCount where latency[index] != 0 { writer.varint(latency[index]) }
        }
        extremes?.encode(to: &writer)
    }

    /// The bytes of this rollup.
    public func encoded() -> [UInt8] {
        var writer = ByteWriter()
        encode(to: &writer)
        return writer.bytes
    }

    /// Reads one rollup and adds it as a later stretch of the same series; no intermediate value is made.
    public mutating func appendEncoded(from reader: inout ByteReader) throws(CodecError) {
        let flags = try reader.byte()
        guard flags & ~Flags.all == 0 else { throw .valueOutOfRange }
        if flags & Flags.estimated != 0 { isEstimated = true }
        let low = try reader.byte()
        let high = try reader.byte()
        var mask = UInt16(low) | UInt16(high) << 8
        while mask != 0 {
            counters[mask.trailingZeroBitCount] &+= try reader.varint()
            mask &= mask - 1
        }
        if flags & Flags.gauge != 0 {
            let last = try reader.varint()
            let highest = last &+ (try reader.varint())
            openConnections = ConnectionGauge(last: last, max: max(openConnections?.max ?? 0, highest))
        }
        if flags & Flags.histogram != 0 {
            let rawMask = try reader.varint()
            guard rawMask < 1 << UInt64(LatencyHistogram.bucketCount) else { throw .valueOutOfRange }
            var bins = UInt32(rawMask)
            while bins != 0 {
                latency[bins.trailingZeroBitCount] &+= try reader.varint()
                bins &= bins - 1
            }
        }
        guard flags & Flags.extremes != 0 else { return }
        append(try LatencyExtremes(from: &reader))
    }

    /// Reads one rollup.
    public init(from reader: inout ByteReader) throws(CodecError) {
        self.init()
        try appendEncoded(from: &reader)
    }
}

extension LatencyExtremes {
    /// Appends three varints.
    func encode(to writer: inout ByteWriter) {
        writer.varint(best)
        writer.varint(worst &- best)
        writer.varint(last)
    }

    /// Reads them.
    init(from reader: inout ByteReader) throws(CodecError) {
        let best = try reader.varint()
        let worst = best &+ (try reader.varint())
        self.init(best: best, worst: worst, last: try reader.varint())
    }
}

extension LatencyHistogram {
    /// One bit per bucket that is not zero.
    var mask: UInt32 {
        var mask: UInt32 = 0
        for index in 0..<Self.bucketCount where self[index] != 0 { mask |= 1 << UInt32(index) }
        return mask
    }
}
