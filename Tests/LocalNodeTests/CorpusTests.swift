import Foundation
import LocalNode
import Testing

/// The inputs that the fuzzers begin with, and what they found (`Tests/Fuzz`).
@Suite("DNS queries of the corpus", .timeLimit(.minutes(1))) struct CorpusTests {
    private static func corpus(_ name: String) throws -> [(name: String, bytes: [UInt8])] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus/\(name)")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .map { ($0.deletingPathExtension().lastPathComponent, try [UInt8](Data(contentsOf: $0))) }
            .sorted { $0.0 < $1.0 }
    }

    @Test("What is a query is answered within its bound, the rest is refused")
    func queries() throws {
        let records = (0..<64).map { DNSRecord(ttlSeconds: 5, content: .address([10, 0, 0, UInt8($0)])) }
        var accepted: [String] = []
        for (name, bytes) in try Self.corpus("dns-query") {
            guard let query = try? DNSQuery(parsing: bytes) else { continue }
            accepted.append(name)
            let answer = DNSAnswer(code: .noError, answers: records).encoded(for: query, bytesMax: query.answerBytesMax)
            #expect(answer.count <= query.answerBytesMax, "\(name)")
            #expect(throws: DNSFormatError.isAnswer, "\(name)") { try DNSQuery(parsing: answer) }
        }
        #expect(
            accepted == ["a", "case-grows", "dot-in-label", "edns", "edns-cut", "edns-small", "not-utf8", "root", "srv"])
    }
}
