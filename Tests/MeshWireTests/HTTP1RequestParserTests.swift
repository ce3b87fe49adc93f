import MeshWire
import NIOCore
import Testing

/// A parsed request as values that a test can compare.
final class ParsedRequest {
    let parser: HTTP1RequestParser
    let buffer: ByteBuffer

    /// `nil` when the head is incomplete.
    init?(_ text: String, rules: HTTP1FieldRules = []) throws(HTTP1ParseError) {
        let bytes = ByteBuffer(string: text)
        var parsed = HTTP1RequestParser(rules: rules)
        guard try parsed.parse(bytes.readableBytesUInt8Span) else { return nil }
        parser = parsed
        buffer = bytes
    }

    func text(_ range: Range<Int>) -> String {
        buffer.getString(at: range.lowerBound, length: range.count) ?? ""
    }

    /// The head as it travels on.
    func forwarded(adding additions: String? = nil) -> String {
        var output = ByteBuffer()
        HTTP1HeadCopy.append(
            head: buffer, from: parser.leadingBytes, removals: parser.removals, fieldsEnd: parser.fieldsEnd,
            additions: additions.map(ByteBuffer.init(string:)), to: &output)
        return String(buffer: output)
    }
}

@Suite("HTTP/1 request heads", .timeLimit(.minutes(1))) struct HTTP1RequestParserTests {
    @Test("An ordinary request")
    func ordinary() throws {
        let head = "GET /index?x=1 HTTP/1.1\r\nHost: Web.Example:8080 \r\nAccept: */*\r\n\r\n"
        let request = try #require(try ParsedRequest(head + "rest"))
        #expect(request.parser.method == .get)
        #expect(request.text(request.parser.target) == "/index?x=1")
        #expect(request.text(request.parser.authority) == "Web.Example:8080")
        #expect(request.parser.headBytes == head.utf8.count)
        #expect(request.parser.framing == .none)
        #expect(request.parser.keepsConnection == true)
        #expect(request.parser.removals == [])
        #expect(request.forwarded() == head)
    }

    @Test("Every prefix of a head is incomplete, never wrong")
    func prefixes() throws {
        let head = "\r\nPOST http://a:1/b HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\nX: \u{e9} y\t\r\n\r\n"
        let bytes = Array(head.utf8)
        for count in 0..<bytes.count {
            var parser = HTTP1RequestParser(rules: [])
            #expect(try !parser.parse(ByteBuffer(bytes: bytes[..<count]).readableBytesUInt8Span))
        }
        #expect(try ParsedRequest(head) != nil)
    }

    @Test(
        "Bodies are framed by the fields",
        arguments: [
            ("Content-Length: 0\r\n", HTTP1Framing.none),
            ("Content-Length: 12\r\n", .length(12)),
            ("content-length:12\r\nCONTENT-LENGTH: 12\r\n", .length(12)),
            ("Transfer-Encoding: chunked\r\n", .chunked),
            ("Transfer-Encoding: gzip, chunked\r\n", .chunked),
            ("Transfer-Encoding: gzip\r\nTransfer-Encoding: Chunked\r\n", .chunked),
            ("", .none),
        ])
    func framing(fields: String, expected: HTTP1Framing) throws {
        let request = try #require(try ParsedRequest("POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"))
        #expect(request.parser.framing == expected)
    }

    @Test(
        "What two readers could understand differently is refused",
        arguments: [
            (
                "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                HTTP1ParseError.contentLengthAndTransferEncoding
            ),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", .conflictingContentLength),
            ("POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n", .badContentLength),
            ("POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\n", .badContentLength),
            ("POST / HTTP/1.1\r\nContent-Length: 0x3\r\n\r\n", .badContentLength),
            ("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", .badContentLength),
            ("POST / HTTP/1.1\r\nContent-Length: \r\n\r\n", .badContentLength),
            ("POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\n", .badFieldName),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", .badTransferEncoding),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", .badTransferEncoding),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", .badTransferEncoding),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                .badTransferEncoding
            ),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: \u{b}chunked\r\n\r\n", .badFieldValue),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", .transferEncodingInHTTP10),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", .duplicateHost),
            ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", .badHost),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", .badHost),
            ("GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", .obsoleteFold),
            ("GET / HTTP/1.1\r\n X: a\r\n\r\n", .obsoleteFold),
            ("GET / HTTP/1.1\r\nX: a\nY: b\r\n\r\n", .bareLineFeed),
            ("GET / HTTP/1.1\r\nX: a\rY: b\r\n\r\n", .bareCarriageReturn),
            ("GET / HTTP/1.1\nX: a\r\n\r\n", .badRequestLine),
            ("GET / HTTP/1.1\r\n\nX: a\r\n\r\n", .bareLineFeed),
            ("GET / HTTP/1.1\r\n: a\r\n\r\n", .badFieldName),
            ("GET / HTTP/1.1\r\nX\u{0}: a\r\n\r\n", .badFieldName),
            ("GET / HTTP/1.1\r\nX: a\u{0}\r\n\r\n", .badFieldValue),
            ("GET / HTTP/1.1\r\nX: a\u{7f}\r\n\r\n", .badFieldValue),
            ("GET  / HTTP/1.1\r\n\r\n", .badTarget),
            ("GET /  HTTP/1.1\r\n\r\n", .badVersion),
            ("GET\t/ HTTP/1.1\r\n\r\n", .badRequestLine),
            ("GET / HTTP/1.2\r\n\r\n", .badVersion),
            ("GET / http/1.1\r\n\r\n", .badVersion),
            ("GET / Http/1.1\r\n\r\n", .badVersion),
            ("GET / HTTP\u{f}1.1\r\n\r\n", .badVersion),
            ("GET / HTTP/1\u{e}1\r\n\r\n", .badVersion),
            ("GET / HTTP/2.0\r\n\r\n", .badVersion),
            ("GET * HTTP/1.1\r\n\r\n", .badTarget),
            ("GET nowhere HTTP/1.1\r\n\r\n", .badTarget),
            ("GET http:///x HTTP/1.1\r\n\r\n", .badTarget),
            ("GET http://u@h/x HTTP/1.1\r\n\r\n", .badTarget),
            ("GET ://a/x HTTP/1.1\r\n\r\n", .badTarget),
            ("GET h{t://a/x HTTP/1.1\r\n\r\n", .badTarget),
            ("GET 1a://a/x HTTP/1.1\r\n\r\n", .badTarget),
            ("CONNECT /x HTTP/1.1\r\n\r\n", .badTarget),
            ("CONNECT a:1 HTTP/1.0\r\n\r\n", .badTarget),
            ("\nGET / HTTP/1.1\r\n\r\n", .badRequestLine),
        ])
    func smuggling(head: String, expected: HTTP1ParseError) {
        #expect(throws: expected) { try ParsedRequest(head) }
    }

    @Test(
        "Hop-by-hop fields stay behind",
        arguments: [
            (
                "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nX: 1\r\n",
                "X: 1\r\n"
            ),
            ("X: 1\r\nConnection: close, X-Hop\r\nX-Hop: 2\r\nY: 3\r\n", "X: 1\r\nY: 3\r\n"),
            ("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: abc\r\n", ""),
            (
                "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n",
                "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
            ),
            ("Upgrade: websocket\r\n", ""),
            (
                "Connection: content-length, host, transfer-encoding\r\nContent-Length: 3\r\n",
                "Content-Length: 3\r\n"
            ),
            ("Content-Length: 3\r\nX: 1\r\nContent-Length: 3\r\n", "Content-Length: 3\r\nX: 1\r\n"),
            ("Content-Length: 3\r\nContent-Length: 3\r\nConnection: X\r\n", "Content-Length: 3\r\n"),
        ])
    func hopByHop(fields: String, remaining: String) throws {
        let request = try #require(try ParsedRequest("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"))
        #expect(request.forwarded() == "GET / HTTP/1.1\r\nHost: a\r\n\(remaining)\r\n")
    }

    @Test("A client cannot claim an identity, nor choose the canonical name on the way out")
    func spoofing() throws {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nL5D-Client-Id: admin\r\nl5d-dst-canonical: b:80\r\n\r\n"
        let inbound = try #require(try ParsedRequest(head, rules: .dropsClientID))
        #expect(inbound.forwarded() == "GET / HTTP/1.1\r\nHost: a\r\nl5d-dst-canonical: b:80\r\n\r\n")
        #expect(inbound.text(inbound.parser.canonicalName) == "b:80")
        let outbound = try #require(try ParsedRequest(head, rules: .dropsCanonicalName))
        #expect(
            outbound.forwarded(adding: "l5d-dst-canonical: c:80\r\n")
                == "GET / HTTP/1.1\r\nHost: a\r\nL5D-Client-Id: admin\r\nl5d-dst-canonical: c:80\r\n\r\n")
    }

    @Test(
        "The connection goes on when both sides may",
        arguments: [
            ("HTTP/1.1", "", true), ("HTTP/1.1", "Connection: close\r\n", false),
            ("HTTP/1.1", "Connection: Keep-Alive, CLOSE\r\n", false), ("HTTP/1.0", "", false),
            ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
        ])
    func keepAlive(version: String, fields: String, expected: Bool) throws {
        let request = try #require(try ParsedRequest("GET / \(version)\r\nHost: a\r\n\(fields)\r\n"))
        #expect(request.parser.keepsConnection == expected)
    }

    @Test(
        "Methods are known by their exact spelling",
        arguments: [
            ("GET", HTTP1Method.get), ("HEAD", .head), ("PUT", .put), ("DELETE", .delete), ("OPTIONS", .options),
            ("TRACE", .trace), ("POST", .other), ("Head", .other), ("get", .other), ("PATCH", .other),
        ])
    func methods(text: String, expected: HTTP1Method) throws {
        let request = try #require(try ParsedRequest("\(text) / HTTP/1.1\r\nHost: a\r\n\r\n"))
        #expect(request.parser.method == expected)
        #expect(request.text(request.parser.methodText) == text)
    }

    @Test("The target's authority wins over Host")
    func absoluteForm() throws {
        let request = try #require(try ParsedRequest("GET http://b:81?q HTTP/1.1\r\nHost: a\r\n\r\n"))
        #expect(request.text(request.parser.authority) == "b:81")
        let connect = try #require(try ParsedRequest("CONNECT db:5432 HTTP/1.1\r\nHost: x\r\n\r\n"))
        #expect(connect.text(connect.parser.authority) == "db:5432")
    }

    @Test("Heads have bounds")
    func bounds() {
        let long = "GET / HTTP/1.1\r\nX: " + String(repeating: "a", count: HTTP1Limits.headBytesMax)
        #expect(throws: HTTP1ParseError.headTooLong) { try ParsedRequest(long) }
        let many = "GET / HTTP/1.1\r\n" + String(repeating: "X: 1\r\n", count: HTTP1Limits.fieldCountMax + 1)
        #expect(throws: HTTP1ParseError.tooManyFields) { try ParsedRequest(many + "\r\n") }
    }

    @Test("Mutated heads never trap, and an accepted one keeps its framing when it travels on")
    func mutations() throws {
        var generator = SeededGenerator(seed: 0x5EED)
        let seeds = [
            "POST /a HTTP/1.1\r\nHost: a:80\r\nContent-Length: 10\r\nConnection: close, x\r\nX: y\r\n\r\n0123456789",
            "GET http://h/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ]
        for _ in 0..<20_000 {
            var bytes = Array(seeds[Int(generator.next() % 3)].utf8)
            for _ in 0...(generator.next() % 4) {
                let index = Int(generator.next() % UInt64(bytes.count))
                switch generator.next() % 3 {
                case 0: bytes[index] = UInt8(truncatingIfNeeded: generator.next())
                case 1: bytes.remove(at: index)
                default: bytes.insert(UInt8(truncatingIfNeeded: generator.next()), at: index)
                }
            }
            let buffer = ByteBuffer(bytes: bytes)
            var parser = HTTP1RequestParser(rules: [])
            guard (try? parser.parse(buffer.readableBytesUInt8Span)) == true else { continue }
            var output = ByteBuffer()
            HTTP1HeadCopy.append(
                head: buffer, from: parser.leadingBytes, removals: parser.removals,
                fieldsEnd: parser.fieldsEnd,
                additions: nil, to: &output)
            var again = HTTP1RequestParser(rules: [])
            #expect(try again.parse(output.readableBytesUInt8Span), "seed 0x5EED: \(String(buffer: buffer))")
            #expect(again.framing == parser.framing, "seed 0x5EED: \(String(buffer: buffer))")
        }
    }
}

/// A seeded generator (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
