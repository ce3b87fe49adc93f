import Foundation
import MeshCompression
import NIOCore
import Testing

/// The inputs that the fuzzers begin with, and what they found (`Tests/Fuzz`).
@Suite("Compressed inputs of the corpus", .timeLimit(.minutes(1))) struct CorpusTests {
    private static func corpus(_ name: String) throws -> [(name: String, bytes: [UInt8])] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus/\(name)")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .map { ($0.deletingPathExtension().lastPathComponent, try [UInt8](Data(contentsOf: $0))) }
            .sorted { $0.0 < $1.0 }
    }

    @Test("What is whole and within its bound is expanded, every defect is refused")
    func documents() throws {
        let accepted = try Self.corpus("gzip").filter { _, bytes in
            // The first byte only tells the fuzzer how to cut.
            let whole = try? Gzip.expand(ByteBuffer(bytes: bytes.dropFirst()), outputBytesMax: 100_000)
            return whole.map { $0.readableBytes <= 100_000 } ?? false
        }
        #expect(
            accepted.map(\.name) == [
                "at-bound", "bytewise", "document", "empty", "header-fields", "stored-block", "trailing", "two-members",
            ])
    }
}
