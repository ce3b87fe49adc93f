import MeshWire
import NIOCore
import Testing

@Suite("Protocol detection", .timeLimit(.minutes(1))) struct ProtocolDetectorTests {
    private func detect(_ text: String) -> WireProtocol {
        ProtocolDetector.detect(ByteBuffer(string: text).readableBytesUInt8Span)
    }

    @Test(
        "The first read decides",
        arguments: [
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", WireProtocol.http2),
            ("PRI * HTTP/2.0", .http2),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", .http1),
            ("GET / HTTP/1.0\r\n", .http1),
            ("GET /a/long/pat", .http1),
            ("OPTIONS * HTTP/1.1\r\n", .http1),
            ("X-CUSTOM.METHOD /x HTTP/1.1\r\n", .http1),
            ("\r\n\r\nGET / HTTP/1.1\r\n", .http1),
            ("GET / HTTP/1.1\r\nbroken head without colon", .http1),
            ("PRI * HTTP/2", .opaque),
            ("GET / HTTP/1.", .opaque),
            ("GET / HTTP/2.0\r\n", .opaque),
            ("GET  / HTTP/1.1\r\n", .opaque),
            ("SSH-2.0-OpenSSH_9.2p1\r\n", .opaque),
            ("*1\r\n$4\r\nPING\r\n\r\n", .opaque),
            ("EHLO mail.example.org\r\n", .opaque),
            ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}0000", .opaque),
            ("GET / HTTP/1.1 trailing words\r\n", .opaque),
            ("short", .opaque),
        ])
    func firstRead(text: String, expected: WireProtocol) {
        #expect(detect(text) == expected)
    }

    @Test("A method longer than any real one is not HTTP")
    func longMethod() {
        #expect(detect(String(repeating: "A", count: 40) + " / HTTP/1.1\r\n") == .opaque)
    }
}
