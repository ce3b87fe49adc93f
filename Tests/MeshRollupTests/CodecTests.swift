import MeshMetrics
import MeshRollup
import Testing

private func randomRollup(_ random: inout SeededRandom) -> Rollup {
    var rollup = Rollup()
    for counter in Counter.allCases where random.chance(40) {
        rollup[counter] = random.chance(5) ? .max : UInt64.random(in: 0..<100_000, using: &random)
    }
    for index in 0..<LatencyHistogram.bucketCount where random.chance(20) {
        rollup.latency[index] = UInt64.random(in: 1..<500, using: &random)
    }
    if random.chance(50) {
        rollup.openConnections = ConnectionGauge(last: 3, max: UInt64.random(in: 3..<9, using: &random))
    }
    if random.chance(30) {
        rollup.extremes = LatencyExtremes(best: 3, worst: UInt64.random(in: 3..<90_000, using: &random), last: 5)
    }
    rollup.isEstimated = random.chance(10)
    return rollup
}

private func randomChunk(_ random: inout SeededRandom, buckets: Int = 60) -> Chunk {
    var chunk = Chunk()
    for index in 0..<buckets where random.chance(70) { chunk.append(randomRollup(&random), at: index) }
    return chunk
}

@Suite("Stored bytes", .timeLimit(.minutes(1)))
struct CodecTests {
    @Test("A rollup survives its bytes", arguments: (1...20).map { UInt64($0) })
    func rollup(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<50 {
            let rollup = randomRollup(&random)
            var reader = ByteReader(rollup.encoded())
            #expect(try Rollup(from: &reader) == rollup, "seed \(seed)")
            #expect(reader.isAtEnd)
        }
    }

    @Test("A chunk survives its bytes, and its totals match", arguments: (1...20).map { UInt64($0) })
    func chunk(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let chunk = randomChunk(&random)
        let totals = chunk.totals.encoded()
        #expect(try Chunk(body: chunk.encodedBody(), totals: totals, bucketsMax: 60) == chunk, "seed \(seed)")
    }

    @Test("Buckets may come in any order", arguments: (1...10).map { UInt64($0) })
    func order(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var rollups: [(Int, Rollup)] = []
        for index in 0..<60 where random.chance(60) {
            var rollup = randomRollup(&random)
            rollup.openConnections = nil  // The last gauge depends on the order, counts do not.
            rollups.append((index, rollup))
        }
        var ordered = Chunk()
        var shuffled = Chunk()
        for (index, rollup) in rollups { ordered.append(rollup, at: index) }
        for (index, rollup) in rollups.shuffled(using: &random) { shuffled.append(rollup, at: index) }
        #expect(ordered == shuffled, "seed \(seed)")
    }

    @Test("Mutated chunks are refused, never a crash", arguments: (1...10).map { UInt64($0) })
    func corruption(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let chunk = randomChunk(&random)
        let body = chunk.encodedBody()
        let totals = chunk.totals.encoded()
        var acceptedCount = 0
        for _ in 0..<500 {
            let bytes = mutated(body, &random)
            guard bytes != body else { continue }
            if (try? Chunk(body: bytes, totals: totals, bucketsMax: 60)) != nil { acceptedCount += 1 }
            var reader = ByteReader(mutated(totals, &random))
            _ = try? Rollup(from: &reader)
        }
        #expect(acceptedCount == 0, "seed \(seed)")
    }

    @Test("A busy workload's ten minutes stay small")
    func size() {
        var random = SeededRandom(seed: 5)
        var chunk = Chunk()
        for index in 0..<60 {
            var rollup = Rollup()
            rollup[.requests] = UInt64.random(in: 90..<110, using: &random)
            rollup[.successes] = rollup[.requests]
            rollup[.status2xx] = rollup[.requests]
            rollup[.readBytes] = UInt64.random(in: 9_000..<11_000, using: &random)
            rollup[.writeBytes] = UInt64.random(in: 90_000..<110_000, using: &random)
            for bin in 2..<8 { rollup.latency[bin] = UInt64.random(in: 5..<25, using: &random) }
            rollup.openConnections = ConnectionGauge(6)
            chunk.append(rollup, at: index)
        }
        #expect(chunk.encodedBody().count < 1_400, "\(chunk.encodedBody().count) bytes")
    }

    @Test("Varints and zigzags survive", arguments: [0, 1, 127, 128, 300, UInt64.max - 1, .max] as [UInt64])
    func varint(value: UInt64) throws {
        var writer = ByteWriter()
        writer.varint(value)
        writer.zigzag(Int64(bitPattern: value))
        var reader = ByteReader(writer.bytes)
        #expect(try reader.varint() == value)
        #expect(try reader.zigzag() == Int64(bitPattern: value))
    }

    @Test("A varint of eleven bytes is refused")
    func longVarint() {
        var reader = ByteReader([UInt8](repeating: 0xFF, count: 11))
        #expect(throws: CodecError.varintTooLong) { try reader.varint() }
    }

    @Test("Ids of different lines differ, ids of the same line do not")
    func seriesIDs() {
        var seen: Set<SeriesID> = []
        for index in 0..<20_000 {
            let bytes = Array(
                "response_total{direction=\"inbound\",target_addr=\"10.0.\(index / 250).\(index % 250):80\"}"
                    .utf8)
            seen.insert(SeriesID(hashing: bytes, in: bytes.indices))
        }
        #expect(seen.count == 20_000)
        let bytes = Array("x response_total y".utf8)
        let plain = Array("response_total".utf8)
        #expect(SeriesID(hashing: bytes, in: 2..<16) == SeriesID(hashing: plain, in: plain.indices))
    }

    @Test("One byte more, less or changed makes another id, at every length")
    func seriesIDsOfNeighbours() {
        var seen: Set<SeriesID> = []
        var count = 0
        for length in 0...50 {
            let text = [UInt8](repeating: 0, count: length)
            seen.insert(SeriesID(hashing: text, in: text.indices))
            count += 1
            for index in text.indices {
                for bit in 0..<8 {
                    var changed = text
                    changed[index] ^= 1 << UInt8(bit)
                    seen.insert(SeriesID(hashing: changed, in: changed.indices))
                    count += 1
                }
            }
        }
        #expect(seen.count == count)
        #expect(Set(seen.map(\.low)).count == count)
    }
}
