import NIOCore
import ProxyCore
import Testing

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

@Suite("Inbound HTTP/1", .timeLimit(.minutes(2))) struct InboundHTTP1Tests {
    @Test("Requests on one connection share one upstream connection, and all are counted")
    func keepAlive() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            for _ in 0..<3 {
                try await client.send("GET / HTTP/1.1\r\nHost: web.ns.svc.cluster.local:80\r\n\r\n")
                #expect(try await client.take(through: "hi") == ok)
            }
            #expect(server.acceptedCount == 1)
            let labels = [
                "direction": "inbound", "authority": "web.ns.svc.cluster.local", "tls": "disabled",
                "target_port": "\(server.address.port ?? 0)",
            ]
            #expect(try await proxy.metric("request_total", labels) == 3)
            #expect(
                try await proxy.metric(
                    "response_total",
                    labels.merging(["classification": "success", "status_code": "200"]) { $1 }) == 3)
            #expect(try await proxy.metric("response_latency_ms_count", labels) == 3)
            #expect(
                try await proxy.metric("tcp_open_connections", ["direction": "inbound", "peer": "src"]) == 1)
            #expect(
                try await proxy.metric("tcp_write_bytes_total", ["direction": "inbound", "peer": "src"])
                    == Double(3 * ok.utf8.count))
            await client.close()
            try await eventually("the close is counted") {
                try await proxy.metric("tcp_close_total", ["peer": "src", "errno": ""]) == 1
            }
        }
    }

    @Test(
        "Only a 5xx counts as failure",
        arguments: [(200, "success"), (404, "success"), (500, "failure"), (503, "failure")])
    func classifies(status: Int, classification: String) async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.answering(
                "HTTP/1.1 \(status) X\r\nContent-Length: 0\r\n\r\n", on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try await client.takeHead()
            let labels = ["classification": classification, "status_code": "\(status)"]
            #expect(try await proxy.metric("response_total", labels) == 1)
            #expect(try await proxy.metric("response_total") == 1)
        }
    }

    @Test("Names outside the cluster get no label, so that nobody can inflate the metrics")
    func foreignAuthority() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            _ = try await client.take(through: "hi")
            #expect(try await proxy.metric("request_total") == 1)
            #expect(try await proxy.metric("request_total", ["authority": "evil.example"]) == 0)
        }
    }

    @Test("Hop-by-hop fields and claimed identities stay behind, everything else arrives as it was sent")
    func fields() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send(
                "GET /p?q HTTP/1.1\r\nHOST: a\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nX-Odd:  two  \r\n"
                    + "l5d-client-id: root\r\nKeep-Alive: 5\r\n\r\n")
            let upstream = try await server.next()
            #expect(try await upstream.takeHead() == "GET /p?q HTTP/1.1\r\nHOST: a\r\nX-Odd:  two  \r\n\r\n")
            try await upstream.send(
                "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nX: 1\r\nContent-Length: 0\r\n\r\n"
            )
            #expect(try await client.takeHead() == "HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 0\r\n\r\n")
        }
    }

    @Test("Pipelined requests are answered in order, one at a time")
    func pipelining() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            let request = { (name: String, body: String) in
                "POST /\(name) HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
            }
            try await client.send(request("1", "aaaa") + request("2", "") + request("3", "ccc"))
            let upstream = try await server.next()
            for (name, body) in [("1", "aaaa"), ("2", ""), ("3", "ccc")] {
                #expect(try await upstream.takeHead().hasPrefix("POST /\(name) "))
                #expect(try await upstream.take(count: body.utf8.count) == body)
                #expect(upstream.received.isEmpty)
                try await upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(name)")
            }
            for name in ["1", "2", "3"] {
                _ = try await client.takeHead()
                #expect(try await client.take(count: 1) == name)
            }
        }
    }

    @Test("Chunked bodies pass byte for byte, both ways, with trailers")
    func chunked() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            let body = "4;ext=1\r\nWiki\r\n6\r\npedia \r\n0\r\nTrailer: x\r\n\r\n"
            let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            try await client.send(head + body.prefix(9))
            let upstream = try await server.next()
            #expect(try await upstream.takeHead() == head)
            try await client.send(String(body.dropFirst(9)))
            #expect(try await upstream.take(count: body.utf8.count) == body)
            let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(body)"
            for piece in answer.split(every: 7) { try await upstream.send(piece) }
            #expect(try await client.take(count: answer.utf8.count) == answer)
            try await client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await upstream.takeHead().hasPrefix("GET /next"))
        }
    }

    @Test(
        "Answers without a body end with their head",
        arguments: [
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
            ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
            ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"),
        ])
    func bodiless(method: String, answer: String) async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.answering(answer, on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            for _ in 0..<2 {
                try await client.send("\(method) / HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try await client.takeHead() == answer)
            }
            #expect(server.acceptedCount == 1)
        }
    }

    @Test("An HTTP/1.0 client gets a closed connection, or a kept one when it asks")
    func http10() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group) { connection in
                let head = try await connection.takeHead()
                #expect(head.hasPrefix("GET / HTTP/1.0\r\n"))
                #expect(!head.lowercased().contains("connection"))
                try await connection.send("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            }
            let closing = try await proxy.inbound(to: server.address)
            try await closing.send("GET / HTTP/1.0\r\n\r\n")
            #expect(
                try await closing.takeToEnd()
                    == "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nconnection: close\r\n\r\nhi")
            let keeping = try await proxy.inbound(to: server.address)
            for _ in 0..<2 {
                try await keeping.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                #expect(try await keeping.takeHead().contains("connection: keep-alive\r\n"))
                #expect(try await keeping.take(count: 2) == "hi")
            }
        }
    }

    @Test("A body that lasts until the connection closes closes ours")
    func untilClose() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group) { connection in
                _ = try await connection.takeHead()
                try await connection.send("HTTP/1.1 200 OK\r\n\r\nall of ")
                try await connection.send("it")
                await connection.close()
            }
            let client = try await proxy.inbound(to: server.address)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.takeToEnd() == "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it")
            #expect(try await proxy.metric("response_total", ["classification": "success"]) == 1)
        }
    }

    @Test("100 Continue passes, and the body follows it")
    func expectContinue() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send(
                "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
            let upstream = try await server.next()
            #expect(try await upstream.takeHead().contains("Expect: 100-continue\r\n"))
            try await upstream.send("HTTP/1.1 100 Continue\r\n\r\n")
            #expect(try await client.takeHead() == "HTTP/1.1 100 Continue\r\n\r\n")
            try await client.send("body")
            #expect(try await upstream.take(count: 4) == "body")
            try await upstream.send(ok)
            #expect(try await client.take(through: "hi") == ok)
            #expect(try await proxy.metric("response_total") == 1)
        }
    }

    @Test(
        "After 101, or 2xx to CONNECT, bytes flow freely until both sides end",
        arguments: [
            (
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
                "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
            ),
            ("CONNECT db:1 HTTP/1.1\r\nHost: db:1\r\n\r\n", "HTTP/1.1 200 Established\r\n\r\n"),
        ])
    func tunnel(request: String, answer: String) async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send(request)
            let upstream = try await server.next()
            #expect(try await upstream.takeHead() == request)
            try await upstream.send(answer + "first")
            #expect(try await client.takeHead() == answer)
            #expect(try await client.take(count: 5) == "first")
            try await client.send("\0\u{1}binary")
            #expect(try await upstream.take(count: 8) == "\0\u{1}binary")
            try await client.closeOutput()
            try await eventually("half-close arrives") { upstream.isInputClosed }
            try await upstream.send("last words")
            await upstream.close()
            #expect(try await client.takeToEnd() == "last words")
            try await eventually("both closes are counted") {
                try await proxy.metric("tcp_open_connections", ["direction": "inbound"]) == 0
            }
        }
    }
}

extension String {
    /// The text in pieces of at most `count` bytes; ASCII only.
    func split(every count: Int) -> [String] {
        let bytes = Array(utf8)
        return stride(from: 0, to: bytes.count, by: count).map {
            String(decoding: bytes[$0..<min($0 + count, bytes.count)], as: UTF8.self)
        }
    }
}
