import Foundation
import MeshWire
import Testing

/// The bytes that the fuzzers begin with, and what they found (`Tests/Fuzz`).
@Suite("Inputs of the corpus", .timeLimit(.minutes(1))) struct CorpusTests {
    private static func corpus(_ name: String) throws -> [(name: String, bytes: [UInt8])] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus/\(name)")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .map { ($0.deletingPathExtension().lastPathComponent, try [UInt8](Data(contentsOf: $0))) }
            .sorted { $0.0 < $1.0 }
    }

    private func accepted(_ corpus: String, _ accepts: ([UInt8]) -> Bool) throws -> [String] {
        try Self.corpus(corpus).filter { accepts($0.bytes) }.map(\.name)
    }

    @Test("Transport headers")
    func transportHeaders() throws {
        let names = try accepted("transport-header") { bytes in
            guard let read = try? TransportHeader.parse(bytes.span) else { return false }
            let encoded = read.header.encoded
            return (try? TransportHeader.parse(encoded.span))?.header == read.header
        }
        #expect(names == ["http1", "http2-named", "name-with-dot", "port", "unknown-fields"])
    }

    @Test("Requests of HTTP/1")
    func requests() throws {
        let names = try accepted("http1-request") { bytes in
            var parser = HTTP1RequestParser(rules: [])
            return (try? parser.parse(bytes.span)) ?? false
        }
        #expect(
            names == [
                "absolute-target", "connect", "expect", "get", "http10-keepalive", "leading-empty-lines", "length-twice-equal",
                "nominated-fields", "options-asterisk", "own-fields", "post-chunked-trailers", "post-length", "upgrade-h2c",
                "upgrade-websocket",
            ])
    }

    @Test("Server names")
    func serverNames() throws {
        let names = try accepted("client-hello") { bytes in
            if case .serverName = ClientHello.peek(bytes.span) { true } else { false }
        }
        #expect(names == ["behind-alpn", "whole", "with-session"])
    }

    @Test("Authorities and DNS names")
    func authorities() throws {
        #expect(try accepted("authority") { DNSName.parse($0.span) != nil } == ["bare", "name-underscore", "name-upper"])
    }
}
