extension Chunk {
    /// Reads a body, and checks it against its totals.
    ///
    /// - Parameters:
    ///   - totals: The encoded totals kept beside the body; `nil` skips that check.
    ///   - bucketsMax: Buckets in a span of the tier.
    /// - Throws: `CodecError` for any bytes that `encodedBody` cannot have written.
    public init(body: [UInt8], totals: [UInt8]?, bucketsMax: Int) throws(CodecError) {
        self.init()
        guard body.count > 5 else { throw .truncated }
        var trailer = ByteReader(body, from: body.count - 4)
        var expected: UInt32 = 0
        for shift: UInt32 in [0, 8, 16, 24] { expected |= UInt32(try trailer.byte()) << shift }
        guard Self.checksum(body, upTo: body.count - 4) == expected else { throw .checksumMismatch }

        var reader = ByteReader(body, to: body.count - 4)
        let version = try reader.byte()
        guard version == Self.version || version == Self.versionWithExtremes else { throw .unknownVersion(version) }
        let count = try reader.count(max: bucketsMax)
        let indices = try Self.indices(&reader, count: count, bucketsMax: bucketsMax)
        var rollups = [Rollup](repeating: Rollup(), count: count)
        try Self.decodeMask(&reader, count: count) { rollups[$0].isEstimated = true }
        try Self.decodeCounters(&reader, &rollups)
        try Self.decodeGauges(&reader, &rollups)
        try Self.decodeHistograms(&reader, &rollups)
        if version == Self.versionWithExtremes { try Self.decodeExtremes(&reader, &rollups) }
        guard reader.isAtEnd else { throw .trailingBytes }
        for (index, rollup) in zip(indices, rollups) { append(rollup, at: index) }
        guard let totals else { return }
        var totalsReader = ByteReader(totals)
        let kept = try Rollup(from: &totalsReader)
        guard totalsReader.isAtEnd, kept == self.totals else { throw .totalsMismatch }
    }

    private static func indices(
        _ reader: inout ByteReader, count: Int, bucketsMax: Int
    ) throws(CodecError) -> [Int] {
        var indices: [Int] = []
        indices.reserveCapacity(count)
        var next = 0
        for _ in 0..<count {
            let index = next + (try reader.count(max: bucketsMax))
            guard index < bucketsMax else { throw .valueOutOfRange }
            indices.append(index)
            next = index + 1
        }
        return indices
    }

    private static func decodeMask(
        _ reader: inout ByteReader, count: Int, _ set: (Int) -> Void
    ) throws(CodecError) {
        var byte: UInt8 = 0
        for position in 0..<count {
            if position & 7 == 0 { byte = try reader.byte() }
            if byte & (1 << UInt8(position & 7)) != 0 { set(position) }
        }
    }

    private static func decodeCounters(
        _ reader: inout ByteReader, _ rollups: inout [Rollup]
    ) throws(CodecError) {
        let mask = try reader.varint()
        guard mask < 1 << 16 else { throw .valueOutOfRange }
        for index in 0..<16 where mask & (1 << UInt64(index)) != 0 {
            var value: UInt64 = 0
            for position in rollups.indices {
                value = value &+ UInt64(bitPattern: try reader.zigzag())
                rollups[position].counters[index] = value
            }
        }
    }

    private static func decodeGauges(
        _ reader: inout ByteReader, _ rollups: inout [Rollup]
    ) throws(CodecError) {
        var positions: [Int] = []
        try decodeMask(&reader, count: rollups.count) { positions.append($0) }
        for position in positions {
            let last = try reader.varint()
            let highest = last &+ (try reader.varint())
            rollups[position].openConnections = ConnectionGauge(last: last, max: highest)
        }
    }

    private static func decodeExtremes(
        _ reader: inout ByteReader, _ rollups: inout [Rollup]
    ) throws(CodecError) {
        var positions: [Int] = []
        try decodeMask(&reader, count: rollups.count) { positions.append($0) }
        for position in positions { rollups[position].extremes = try LatencyExtremes(from: &reader) }
    }

    private static func decodeHistograms(
        _ reader: inout ByteReader, _ rollups: inout [Rollup]
    ) throws(CodecError) {
        let union = try reader.varint()
        guard union < 1 << UInt64(LatencyHistogram.bucketCount) else { throw .valueOutOfRange }
        guard union != 0 else { return }
        let bins = (0..<LatencyHistogram.bucketCount).filter { union & (1 << UInt64($0)) != 0 }
        for position in rollups.indices {
            let mask = try reader.varint()
            guard mask < 1 << UInt64(bins.count) else { throw .valueOutOfRange }
            for (bit, bin) in bins.enumerated() where mask & (1 << UInt64(bit)) != 0 {
                rollups[position].latency[bin] = try reader.varint()
            }
        }
    }
}
