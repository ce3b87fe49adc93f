import MeshWire
import NIOCore
import Testing

/// A parser that a test can pass on.
private final class ParsedResponse {
    var parser = HTTP1ResponseParser()
}

@Suite("HTTP/1 response heads", .timeLimit(.minutes(1))) struct HTTP1ResponseParserTests {
    private func parse(
        _ text: String, answering method: HTTP1Method = .get
    ) throws(HTTP1ParseError) -> ParsedResponse? {
        let response = ParsedResponse()
        let isWhole = try response.parser.parse(ByteBuffer(string: text).readableBytesUInt8Span, answering: method)
        return isWhole ? response : nil
    }

    @Test(
        "Where the body ends",
        arguments: [
            ("200 OK", "Content-Length: 5\r\n", HTTP1Method.get, HTTP1Framing.length(5)),
            ("200 OK", "Content-Length: 5\r\n", .head, .none),
            ("200 OK", "Transfer-Encoding: chunked\r\n", .get, .chunked),
            ("200 OK", "Transfer-Encoding: gzip\r\n", .get, .untilClose),
            ("200 OK", "", .get, .untilClose),
            ("204 No Content", "", .get, .none),
            ("304 Not Modified", "Content-Length: 5\r\n", .get, .none),
            ("100 Continue", "", .get, .none),
            ("101 Switching Protocols", "Upgrade: x\r\nConnection: upgrade\r\n", .get, .none),
            ("200 Established", "", .connect, .none),
            ("407 No", "Content-Length: 2\r\n", .connect, .length(2)),
        ])
    func framing(line: String, fields: String, method: HTTP1Method, expected: HTTP1Framing) throws {
        let response = try #require(try parse("HTTP/1.1 \(line)\r\n\(fields)\r\n", answering: method))
        #expect(response.parser.framing == expected)
    }

    @Test(
        "Malformed answers are refused",
        arguments: [
            "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1200 OKOK\r\n\r\n", "HTTP\u{f}1.1 200 OK\r\n\r\n", "Http/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\n\r\n\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "ICY 200 OK\r\nX: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ])
    func malformed(text: String) {
        #expect(throws: HTTP1ParseError.self) { try parse(text) }
    }

    @Test("A missing reason is fine, and 101 keeps its connection fields")
    func details() throws {
        #expect(try parse("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")?.parser.status == 200)
        let upgrade = try #require(
            try parse("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\nKeep-Alive: 1\r\n\r\n"))
        #expect(upgrade.parser.removals.count == 1)
        #expect(upgrade.parser.isInformational == false)
        #expect(try parse("HTTP/1.1 103 Early Hints\r\nX: 1\r\n\r\n")?.parser.isInformational == true)
    }
}

@Suite("HTTP/1 bodies", .timeLimit(.minutes(1))) struct HTTP1BodyReaderTests {
    /// Feeds `text` in pieces of `step` bytes; how many bytes belonged to the body.
    private func consume(
        _ text: String, _ framing: HTTP1Framing, step: Int
    ) throws(HTTP1ParseError) -> (count: Int, isDone: Bool) {
        let bytes = Array(text.utf8)
        var reader = HTTP1BodyReader(framing)
        var count = 0
        while count < bytes.count, !reader.isDone {
            let piece = ByteBuffer(bytes: bytes[count..<min(count + step, bytes.count)])
            let taken = try reader.consume(piece.readableBytesUInt8Span, from: 0)
            count += taken
            if taken < piece.readableBytes { break }
        }
        return (count, reader.isDone)
    }

    @Test(
        "The end is found wherever the reads fall", arguments: 1...40,
        [
            ("3\r\nabc\r\n0\r\n\r\n", HTTP1Framing.chunked),
            ("A;name=\"v\"\r\n0123456789\r\n00\r\nTrailer: 1\r\nOther: 2\r\n\r\n", .chunked),
            ("0\r\n\r\n", .chunked),
            ("12345", .length(5)),
        ])
    func ends(step: Int, body: (text: String, framing: HTTP1Framing)) throws {
        let result = try consume(body.text + "GET / HTTP/1.1\r\n", body.framing, step: step)
        #expect(result.isDone)
        #expect(result.count == body.text.utf8.count)
    }

    @Test(
        "Chunks that another reader could cut differently are refused",
        arguments: [
            "\r\nabc", "g\r\n", "-1\r\n", "0x3\r\nabc\r\n", "3\nabc\r\n", "3\r\nabcd\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3 \r\nabc\r\n", "3;a\nb\r\nabc\r\n", "FFFFFFFFFFFFFFFF\r\n", "0\r\nTrailer: 1\n\r\n",
            "0\r\n Trailer: 1\r\n\r\n",
            "0\r\n\r\r", "3\r\nabc\r\n\r\n",
        ])
    func refused(text: String) {
        #expect(throws: HTTP1ParseError.self) { try consume(text, .chunked, step: 1_000) }
        #expect(throws: HTTP1ParseError.self) { try consume(text, .chunked, step: 1) }
    }

    @Test("Size lines and trailers have bounds")
    func bounds() {
        let extensions = "3;" + String(repeating: "a", count: HTTP1Limits.chunkLineBytesMax)
        #expect(throws: HTTP1ParseError.badChunk) { try consume(extensions, .chunked, step: 512) }
        let trailers = "0\r\n" + String(repeating: "X: 1\r\n", count: HTTP1Limits.trailerBytesMax / 4)
        #expect(throws: HTTP1ParseError.trailersTooLong) { try consume(trailers, .chunked, step: 512) }
    }

    @Test("Until the connection closes, everything is body")
    func untilClose() throws {
        let result = try consume("anything", .untilClose, step: 3)
        #expect(result.count == 8)
        #expect(!result.isDone)
    }
}

@Suite("Authorities", .timeLimit(.minutes(1))) struct AuthorityTests {
    @Test(
        "Spelling is normalised",
        arguments: [
            ("Web.Shop.svc.cluster.local.:8080", "web.shop.svc.cluster.local:8080"),
            ("web:80", "web"), ("web", "web"), ("[FD00::1]:8080", "[fd00::1]:8080"),
            ("10.0.0.1:443", "10.0.0.1:443"),
        ])
    func labels(text: String, expected: String) throws {
        #expect(try #require(Authority(text)).label == expected)
    }

    @Test("What is no authority is nothing", arguments: ["a..", "a\u{6DD}:80", "", ":80", "a:b", "a:0", "a:70000", "fd00::1", "."])
    func invalid(text: String) {
        #expect(Authority(text) == nil)
    }

    @Test("Suffixes match whole labels")
    func suffixes() throws {
        let name = try #require(Authority("web.ns.svc.cluster.local:80"))
        #expect(name.isUnder(["svc.cluster.local."]))
        #expect(!name.isUnder(["vc.cluster.local"]))
        #expect(name.isUnder(["."]))
        #expect(!name.isUnder([]))
    }
}

@Suite("HTTP/1 content", .timeLimit(.minutes(1))) struct HTTP1ContentTests {
    private func read(_ text: String, _ framing: HTTP1Framing, every count: Int) throws -> (content: String, trailers: String, isDone: Bool) {
        var reader = HTTP1ContentReader(framing)
        var content: [UInt8] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: count) {
            let piece = Array(bytes[start..<min(start + count, bytes.count)])
            var offset = 0
            while let range = try reader.next(piece.span, from: &offset) {
                #expect(!range.isEmpty)
                content += piece[range]
            }
        }
        return (String(decoding: content, as: UTF8.self), String(decoding: reader.trailers, as: UTF8.self), reader.isDone)
    }

    @Test("Content comes without its framing, however the bytes are cut", arguments: 1...30)
    func pieces(count: Int) throws {
        let chunked = try read("4;a=b\r\nWiki\r\n0A\r\npedia\r\n\r\n.\r\n0\r\nX-A: 1\r\nB:\r\n\r\nnext", .chunked, every: count)
        #expect(chunked.content == "Wikipedia\r\n\r\n.")
        #expect(chunked.trailers == "X-A: 1\r\nB:\r\n\r\n")
        #expect(chunked.isDone)
        let bare = try read("0\r\n\r\n", .chunked, every: count)
        #expect(bare.content.isEmpty && bare.trailers == "\r\n" && bare.isDone)
        let length = try read("hello world", .length(5), every: count)
        #expect(length.content == "hello" && length.trailers.isEmpty && length.isDone)
        let open = try read("hello world", .untilClose, every: count)
        #expect(open.content == "hello world" && !open.isDone)
    }

    @Test("Field lines are walked without those left out, and trailers that are none are refused")
    func cursor() throws {
        let text = Array("A: 1\r\nB:2 \r\nC:\r\n\r\n".utf8)
        var cursor = HTTP1FieldCursor(from: 0, to: text.count)
        var seen: [String] = []
        while let line = try cursor.next(text.span, removals: [6..<12]) {
            seen.append(String(decoding: text[line.name], as: UTF8.self) + "=" + String(decoding: text[line.value], as: UTF8.self))
        }
        #expect(seen == ["A=1", "C="])
        let bad = Array("no field\r\n\r\n".utf8)
        #expect(throws: HTTP1ParseError.self) {
            var cursor = HTTP1FieldCursor(from: 0, to: bad.count)
            _ = try cursor.next(bad.span)
        }
    }
}
