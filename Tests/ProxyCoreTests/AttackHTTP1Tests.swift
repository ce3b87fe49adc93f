// What a hostile HTTP/1 client can do to a running proxy, each against the bound or rule that stops it
// (`HTTP1Limits`, `HTTP1Fields`).

import MeshWire
import NIOCore
import ProxyCore
import Testing

@Suite("Attacks by HTTP/1", .timeLimit(.minutes(3)))
struct AttackHTTP1Tests {
    /// Requests that two readers could cut differently. A second request hides behind each.
    static let smuggling: [(String, String)] = [
        ("length beside transfer coding", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("transfer coding beside length", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
        ("two lengths", "Content-Length: 4\r\nContent-Length: 0\r\n\r\nabcd"),
        ("two lengths on one line", "Content-Length: 4, 4\r\n\r\nabcd"),
        ("a signed length", "Content-Length: +4\r\n\r\nabcd"), ("a hexadecimal length", "Content-Length: 0x4\r\n\r\nabcd"),
        ("a length past 64 bits", "Content-Length: 18446744073709551620\r\n\r\nabcd"),
        ("an empty length", "Content-Length:\r\n\r\nabcd"), ("a negative length", "Content-Length: -1\r\n\r\n"),
        ("chunked twice", "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
        ("chunked in two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("chunked not last", "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        ("a coding without chunked", "Transfer-Encoding: gzip\r\n\r\n"),
        ("a coding of another spelling", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ("a blank before the colon", "Content-Length : 4\r\n\r\nabcd"),
        ("a tab before the colon", "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"),
        ("a folded line", "X: a\r\n Content-Length: 4\r\n\r\nabcd"),
        ("a folded coding", "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
        ("a bare line feed between fields", "X: a\nContent-Length: 4\r\n\r\nabcd"),
        ("a bare line feed at the end", "X: a\r\n\nContent-Length: 4\r\n\r\nabcd"),
        ("a bare carriage return", "X: a\rContent-Length: 4\r\n\r\nabcd"),
        ("a null in a value", "X: a\0b\r\n\r\n"), ("a null in a name", "X\0: a\r\n\r\n"),
        ("a pseudo header", ":path: /admin\r\n\r\n"), ("a name that is none", "\u{1}: a\r\n\r\n"),
        ("two hosts", "Host: b\r\n\r\n"), ("a host with a path", "X-A: b\r\nHost: b/c\r\n\r\n"),
    ]

    @Test("Smuggled requests never reach the server, and the connection ends", arguments: smuggling)
    func smuggled(what: String, rest: String) async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker()
            let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
            try await attacker.send("POST / HTTP/1.1\r\nHost: a\r\n\(rest)\(hidden)")
            let answer = try await attacker.takeToEnd()
            #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"), "\(what): \(answer)")
            #expect(!answer.dropFirst(12).contains("HTTP/1.1 "), "\(what) was answered twice")
            #expect(siege.server.acceptedCount == 1, "\(what) reached the server")
        }
    }

    @Test(
        "Chunks that two readers could cut differently end both connections",
        arguments: [
            "5\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "-5\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5;\nhello\r\n0\r\n\r\n", "\r\nhello\r\n0\r\n\r\n",
            "ffffffffffffffff\r\nhello", "5\rX\nhello\r\n0\r\n\r\n", "0\r\nX: a\n\r\n", "0\r\n X: a\r\n\r\n",
        ])
    func chunks(body: String) async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker()
            try await attacker.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(body)")
            let answer = try await attacker.takeToEnd()
            #expect(!answer.contains(" 200 ") || answer.contains("onnection: close"), "\(body.debugDescription): \(answer)")
        }
    }

    @Test("A head past the bound is refused as soon as it is, whether it ends or not", arguments: [true, false])
    func oversized(isOneField: Bool) async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker()
            try await attacker.send("GET / HTTP/1.1\r\nHost: a\r\n")
            let line = isOneField ? "" : "X: " + String(repeating: "y", count: 1_000) + "\r\n"
            if isOneField { try await attacker.send("X: ") }
            let piece = isOneField ? String(repeating: "y", count: 1_024) : line
            try await siege.flood(attacker, most: HTTP1Limits.headBytesMax / 1_000 + 200) { _ in Array(piece.utf8) }
            #expect(siege.server.acceptedCount == 1)
        }
    }

    @Test("A request line without end is refused at the same bound")
    func endlessTarget() async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker()
            try await attacker.send("GET /" + String(repeating: "a", count: 100))
            try await siege.flood(attacker, most: 400) { _ in [UInt8](repeating: 0x61, count: 1_024) }
            #expect(siege.server.acceptedCount == 1)
        }
    }

    @Test("More fields than the bound are refused")
    func fieldCount() async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker()
            let fields = (0..<HTTP1Limits.fieldCountMax).map { "x\($0): y\r\n" }.joined()
            try await attacker.send("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
            #expect(try await attacker.takeToEnd().hasPrefix("HTTP/1.1 400 "))
        }
    }

    @Test("Trailers and chunk extensions have bounds", arguments: ["0\r\nX: ", "5;"])
    func endlessFraming(start: String) async throws {
        try await Siege.run { siege in
            let attacker = try await siege.attacker()
            try await attacker.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(start)")
            try await siege.flood(attacker, most: 400) { _ in [UInt8](repeating: 0x61, count: 1_024) }
        }
    }

    @Test("A head that drips in is cut off in time, however steadily it drips")
    func slowHead() async throws {
        try await Siege.run(["LINKERD2_PROXY_INBOUND_HTTP1_HEAD_TIMEOUT": "300ms"]) { siege in
            let attacker = try await siege.attacker()
            try await attacker.send("GET / HTTP/1.1\r\nHost: a\r\n")
            var dripped = 0
            try await eventually("the connection is cut off") {
                if attacker.isInputClosed { return true }
                dripped += 1
                do { try await attacker.send("x\(dripped): y\r\n") } catch { return attacker.isInputClosed }
                return false
            }
            #expect(attacker.received.hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
            #expect(siege.server.acceptedCount == 1)
            #expect(try await siege.proxy.metric("inbound_http_errors_total", ["error": "unexpected"]) == 1)
        }
    }

    @Test("A body that drips in holds its own connection and nothing else")
    func slowBodies() async throws {
        try await Siege.run { siege in
            var attackers: [TestConnection] = []
            for _ in 0..<50 {
                let attacker = try await siege.attacker()
                try await attacker.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx")
                attackers.append(attacker)
            }
            for round in 0..<5 {
                for attacker in attackers { try await attacker.send("y") }
                if round % 2 == 0 { try await siege.holds() }
            }
            for attacker in attackers { await attacker.close() }
            try await eventually("all are gone") {
                try await siege.proxy.metric("tcp_open_connections", ["direction": "inbound", "peer": "src"]) == 1
            }
        }
    }

    @Test("Connections past the bound are closed as they come, and counted")
    func connections() async throws {
        try await Siege.run(["LINKERD2_PROXY_INBOUND_CONNECTIONS_MAX": "5"]) { siege in
            var held: [TestConnection] = []
            for _ in 0..<4 { held.append(try await siege.attacker()) }
            let extra = try await siege.attacker()
            try await eventually("the extra one is closed") { extra.isInputClosed }
            #expect(try await siege.proxy.metric("inbound_tcp_errors_total", ["error": "loadshed"]) >= 1)
            await held[0].close()
            try await eventually("room again") {
                let next = try await siege.attacker()
                do { try await next.send(Siege.get) } catch { return false }
                try await eventually("an answer or an end") { next.isInputClosed || next.receivedCount > 0 }
                return next.receivedCount > 0
            }
        }
    }

    @Test("Pipelined requests without end are held back by the answers, not in memory")
    func pipelining() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let attacker = try await proxy.inbound(to: server.address)
            let chunk = String(repeating: Siege.get, count: 10_000)
            let promise = attacker.channel.eventLoop.makePromise(of: Void.self)
            attacker.channel.writeAndFlush(ByteBuffer(string: String(repeating: chunk, count: 100)), promise: promise)
            _ = try await server.next()
            // The server never answers: what the proxy reads comes to a stop.
            var last = -1.0
            try await eventually("the proxy stops reading") {
                let now = try await proxy.metric("tcp_read_bytes_total", ["direction": "inbound", "peer": "src"])
                defer { last = now }
                return now > 0 && now == last
            }
            #expect(last < 1_000_000)
            await attacker.close()
            // The connection went away under the write.
            try? await promise.futureResult.get()
        }
    }

    @Test("A client's claims about identity and names do not get past the proxy")
    func forged() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send(
                "GET / HTTP/1.1\r\nHost: a\r\nL5d-Client-Id: admin\r\nConnection: x-secret, content-length\r\nX-Secret: 1\r\n\r\n")
            let upstream = try await server.next()
            let head = try await upstream.takeHead().lowercased()
            #expect(!head.contains("l5d-client-id"))
            #expect(!head.contains("x-secret"))
        }
    }
}
