import Foundation
import MeshRollup
import Testing

/// The bytes that the fuzzers begin with, and what they found (`Tests/Fuzz`).
@Suite("Damaged bytes of the corpus", .timeLimit(.minutes(1)))
struct CorpusTests {
    private static func corpus(_ name: String) throws -> [(name: String, bytes: [UInt8])] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus/\(name)")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .map { ($0.deletingPathExtension().lastPathComponent, try [UInt8](Data(contentsOf: $0))) }
            .sorted { $0.0 < $1.0 }
    }

    @Test("Chunks: what is whole is read, every defect is refused")
    func chunks() throws {
        var accepted: [String] = []
        for (name, bytes) in try Self.corpus("rollup-chunk") where !name.hasPrefix("rollup") {
            var body = Array(bytes.dropFirst())
            let sum = body.reduce(UInt32(0x811C_9DC5)) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
            body += [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: sum >> $0) }
            let bucketsMax = bytes.first.map(Int.init) ?? 0
            guard let chunk = try? Chunk(body: body, totals: nil, bucketsMax: bucketsMax) else { continue }
            accepted.append(name)
            #expect(try Chunk(body: chunk.encodedBody(), totals: chunk.totals.encoded(), bucketsMax: bucketsMax) == chunk, "\(name)")
        }
        #expect(accepted == ["counter-wraps", "empty", "gauge-wraps", "no-span", "two-buckets"])
    }

    @Test("Cursors: what is whole is read, every defect is refused")
    func cursors() throws {
        var accepted: [String] = []
        for (name, bytes) in try Self.corpus("rollup-cursor") {
            // Two bytes of length before a base and each of its steps.
            var parts: [[UInt8]] = []
            var rest = bytes[...]
            while rest.count >= 2 {
                let length = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
                parts.append(Array(rest.dropFirst(2).prefix(length)))
                rest = rest.dropFirst(2 + length)
            }
            guard var cursor = try? SeriesCursor(base: parts.first ?? []) else { continue }
            guard parts.dropFirst().allSatisfy({ (try? cursor.apply(step: $0)) != nil }) else { continue }
            accepted.append(name)
            let again = try SeriesCursor(base: cursor.encodedBase())
            #expect(again.seriesCount == cursor.seriesCount && again.slotCount == cursor.slotCount, "\(name)")
        }
        #expect(
            accepted == [
                "base", "changed-wraps", "grows-again", "no-series", "same-home", "step-is-old", "steps", "vanished-twice",
            ])
    }
}
