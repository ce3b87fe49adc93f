import Foundation
import MeshModel
import Testing

/// The inputs that the fuzzers begin with, and what they found (`Tests/Fuzz`).
@Suite("Durations and flags of the corpus", .timeLimit(.minutes(1))) struct CorpusTests {
    private static func corpus(_ name: String) throws -> [(name: String, bytes: [UInt8])] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus/\(name)")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .map { ($0.deletingPathExtension().lastPathComponent, try [UInt8](Data(contentsOf: $0))) }
            .sorted { $0.0 < $1.0 }
    }

    @Test("Durations are read as Go reads them, and days")
    func durations() throws {
        var accepted: [String] = []
        for (name, bytes) in try Self.corpus("go-notation") where !name.hasPrefix("flags") {
            let text = String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self)
            guard let duration = GoDuration.parse(text) else { continue }
            accepted.append(name)
            let again = try #require(GoDuration.parse(GoDuration.format(duration)))
            #expect(abs((again - duration).seconds) <= max(1e-9, abs(duration.seconds) * 1e-14), "\(name)")
        }
        #expect(accepted == ["days", "micro", "micro-greek", "mixed", "plus", "seconds", "tiny", "zero"])
    }

    @Test("Flags are rewritten once, and none is lost")
    func flags() throws {
        for (name, bytes) in try Self.corpus("go-notation") where name.hasPrefix("flags") {
            let arguments = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
                .map(String.init)
            let once = GoFlags.normalise(arguments, booleans: ["pprof", "enable-h2-upgrade"])
            #expect(once.count == arguments.count, "\(name)")
            #expect(GoFlags.normalise(once, booleans: ["pprof", "enable-h2-upgrade"]) == once, "\(name)")
        }
    }
}
