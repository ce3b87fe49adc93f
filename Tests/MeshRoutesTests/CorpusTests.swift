import Foundation
import MeshRoutes
import Testing

/// The inputs that the fuzzers begin with, and what they found (`Tests/Fuzz`).
@Suite("Path patterns of the corpus", .timeLimit(.minutes(1))) struct CorpusTests {
    private static func corpus(_ name: String) throws -> [(name: String, bytes: [UInt8])] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus/\(name)")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .map { ($0.deletingPathExtension().lastPathComponent, try [UInt8](Data(contentsOf: $0))) }
            .sorted { $0.0 < $1.0 }
    }

    @Test("Patterns within the language are read, and match at once")
    func patterns() throws {
        var matching: [String] = []
        var other: [String] = []
        for (name, bytes) in try Self.corpus("path-pattern") {
            let parts = bytes.split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false)
            guard let pattern = try? PathPattern(String(decoding: parts[0], as: UTF8.self)) else { continue }
            if pattern.matches(Array(parts[1]).span) { matching.append(name) } else { other.append(name) }
        }
        #expect(
            matching == [
                "alternation", "anchors", "caseless", "class", "empty-branch", "group-name", "hex", "lazy", "literal", "many-states",
                "posix", "repeat-of-empty",
            ])
        #expect(other == ["counted", "exponential", "not-utf8"])
    }
}
