import Foundation
import Testing

@testable import MetricsAPI

/// The inputs that the fuzzers begin with, and what they found (`Tests/Fuzz`).
@Suite("Selectors of the corpus", .timeLimit(.minutes(1))) struct SelectorCorpusTests {
    private static func corpus(_ name: String) throws -> [(name: String, bytes: [UInt8])] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus/\(name)")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .map { ($0.deletingPathExtension().lastPathComponent, try [UInt8](Data(contentsOf: $0))) }
            .sorted { $0.0 < $1.0 }
    }

    private func split(_ bytes: [UInt8]) -> (selector: String, value: String) {
        let parts = bytes.split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false)
        return (String(decoding: parts[0], as: UTF8.self), parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : "")
    }

    @Test("Series selectors are read or refused at once, however many alternatives they have")
    func series() throws {
        let accepted = try Self.corpus("series-selector").filter { _, bytes in
            let (selector, value) = split(bytes)
            guard let matcher = try? SeriesMatcher(selector) else { return false }
            _ = matcher.matches(name: value, [("a", value)])
            return true
        }
        #expect(
            accepted.map(\.name) == [
                "anchors", "braces-only", "colons", "combining", "escapes", "groups", "groups-then-long", "labels", "name",
            ])
    }

    @Test("Label selectors")
    func labels() throws {
        let accepted = try Self.corpus("label-selector").filter { (try? LabelQuery(split($0.bytes).selector)) != nil }
        #expect(
            accepted.map(\.name) == ["double-equals", "empty", "equals", "presence", "sets", "slash", "spaces"])
    }
}
