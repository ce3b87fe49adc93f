import NIOCore
import ProxyCore
import Testing

/// A client, two meshed proxies and a server, where the endpoint takes HTTP/1 over HTTP/2.
private struct Carried {
    let pair: MeshPair
    let server: ScriptedServer
    let client: TestConnection

    static func run(
        isHTTP2: Bool = true, _ body: (Carried) async throws -> Void
    ) async throws {
        try await MeshPair.run { pair in
            let server = try await ScriptedServer.start(on: pair.near.group)
            try await pair.serve(server.address, hint: .init(isHTTP2: isHTTP2))
            let client = try await pair.near.outbound(to: pair.address)
            try await body(Carried(pair: pair, server: server, client: client))
        }
    }

    /// Requests that the far proxy counted.
    func farCount(_ labels: [String: String] = [:]) async throws -> Double {
        try await pair.far.metric("response_total", labels.merging(["direction": "inbound"]) { $1 })
    }
}

/// Fields that every restored request has behind the client's own.
private let added =
    "l5d-dst-canonical: \(MeshPair.service)\r\nl5d-client-id: \(MeshPair.web)\r\n"
/// What chunks hold.
private func content(of chunks: String) -> String {
    var bytes = Array(chunks.utf8)[...]
    var content: [UInt8] = []
    while let end = bytes.firstIndex(of: 10),
        let size = Int(String(decoding: bytes[bytes.startIndex..<end - 1], as: UTF8.self), radix: 16), size > 0
    {
        content += bytes[end + 1..<end + 1 + size]
        bytes = bytes[(end + size + 3)...]
    }
    return String(decoding: content, as: UTF8.self)
}

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
private let okCarried = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"

@Suite("HTTP/1 over HTTP/2 between proxies", .timeLimit(.minutes(2))) struct OrigProtoTests {
    @Test("Requests of many clients share one connection between the proxies, and each side counts each once")
    func shared() async throws {
        try await Carried.run { mesh in
            let other = try await mesh.pair.near.outbound(to: mesh.pair.address)
            for client in [mesh.client, other, mesh.client] {
                try await client.send("GET /p?q=1 HTTP/1.1\r\nHost: voting\r\n\r\n")
                let upstream = try await mesh.server.next()
                #expect(try await upstream.takeHead() == "GET /p?q=1 HTTP/1.1\r\nhost: voting\r\n\(added)\r\n")
                try await upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
                await upstream.close()
                #expect(try await client.take(through: "hi") == okCarried)
            }
            #expect(try await mesh.pair.near.metric("tcp_open_total", ["peer": "dst", "direction": "outbound"]) == 1)
            #expect(try await mesh.pair.near.metric("request_total") == 3)
            #expect(try await mesh.pair.near.metric("response_total", ["status_code": "200"]) == 3)
            #expect(try await mesh.farCount(["status_code": "200", "classification": "success"]) == 3)
        }
    }

    @Test("An endpoint that does not ask for it gets plain HTTP/1")
    func notAsked() async throws {
        try await Carried.run(isHTTP2: false) { mesh in
            try await mesh.client.send("GET / HTTP/1.1\r\nHost: voting\r\nX-Case: kept\r\n\r\n")
            let upstream = try await mesh.server.next()
            #expect(try await upstream.takeHead().contains("X-Case: kept\r\n"))
            try await upstream.send(ok)
            #expect(try await mesh.client.take(through: "hi") == ok)
        }
    }

    @Test("Fields arrive in order, doubled ones too; what concerns one hop, and forged names, do not")
    func fields() async throws {
        try await Carried.run { mesh in
            try await mesh.client.send(
                "GET / HTTP/1.1\r\nX-B: 2\r\nHost: voting\r\nX-A: 1\r\nX-B: 3\r\nCookie: a=1\r\nX-Empty:\r\nTE: trailers, deflate\r\n"
                    + "Connection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTransfer-Encoding: chunked\r\n"
                    + "l5d-client-id: forged\r\nl5d-orig-proto: HTTP/1.0\r\nl5d-dst-canonical: evil:1\r\n\r\n0\r\n\r\n")
            let upstream = try await mesh.server.next()
            #expect(
                try await upstream.takeHead()
                    == "GET / HTTP/1.1\r\nx-b: 2\r\nhost: voting\r\nx-a: 1\r\nx-b: 3\r\ncookie: a=1\r\nx-empty: \r\n"
                    + "\(added)transfer-encoding: chunked\r\n\r\n")
            #expect(try await upstream.take(through: "0\r\n\r\n") == "0\r\n\r\n")
            try await upstream.send(
                "HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nKeep-Alive: 9\r\nConnection: x-hop\r\nX-Hop: 1\r\n"
                    + "Content-Length: 0\r\n\r\n")
            // The client asked for the close; the phrase is all that HTTP/2 cannot carry.
            #expect(
                try await mesh.client.takeToEnd()
                    == "HTTP/1.1 200 OK\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
    }

    @Test(
        "Targets keep their form, and the version comes back",
        arguments: [
            ("GET http://other:81/x?y HTTP/1.1\r\nHost: voting\r\n\r\n", "GET http://other:81/x?y HTTP/1.1\r\nhost: voting\r\n"),
            ("GET http://voting HTTP/1.1\r\nHost: voting\r\n\r\n", "GET http://voting/ HTTP/1.1\r\nhost: voting\r\n"),
            ("OPTIONS * HTTP/1.1\r\nHost: voting\r\n\r\n", "OPTIONS * HTTP/1.1\r\nhost: voting\r\n"),
            ("OPTIONS http://voting HTTP/1.1\r\nHost: voting\r\n\r\n", "OPTIONS http://voting HTTP/1.1\r\nhost: voting\r\n"),
            ("BREW /pot HTTP/1.1\r\nHost: voting\r\n\r\n", "BREW /pot HTTP/1.1\r\nhost: voting\r\n"),
            ("GET /old HTTP/1.0\r\n\r\n", "GET /old HTTP/1.0\r\n"),
            ("GET http://voting/ HTTP/1.0\r\nHost: voting\r\n\r\n", "GET http://voting/ HTTP/1.0\r\nhost: voting\r\n"),
        ])
    func forms(request: String, expected: String) async throws {
        try await Carried.run { mesh in
            try await mesh.client.send(request)
            let upstream = try await mesh.server.next()
            #expect(try await upstream.takeHead() == "\(expected)\(added)\r\n")
            let version = request.contains("HTTP/1.0") ? "HTTP/1.0" : "HTTP/1.1"
            try await upstream.send("\(version) 204 No Content\r\n\r\n")
            let head = try await mesh.client.takeHead()
            #expect(head.hasPrefix("\(version) 204 No Content\r\n"))
            #expect(!head.contains("content-length") && !head.contains("orig-proto"))
            #expect(try await mesh.pair.near.metric("tcp_open_total", ["peer": "dst", "direction": "outbound"]) == 1)
        }
    }

    @Test("Bodies and trailers pass both ways, whatever their chunks were")
    func bodies() async throws {
        try await Carried.run { mesh in
            try await mesh.client.send(
                "POST / HTTP/1.1\r\nHost: voting\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n4;e=1\r\nWi")
            let upstream = try await mesh.server.next()
            #expect(try await upstream.takeHead().hasSuffix("transfer-encoding: chunked\r\n\r\n"))
            #expect(try await upstream.take(through: "2\r\nWi\r\n") == "2\r\nWi\r\n")
            try await mesh.client.send("ki\r\n6\r\npedia \r\n0\r\nX-Sum: 7\r\nContent-Length: 1\r\n\r\n")
            let rest = try await upstream.take(through: "0\r\nx-sum: 7\r\n\r\n")
            #expect(content(of: rest) == "kipedia ")
            let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-End: yes\r\n\r\n"
            for piece in answer.split(every: 5) { try await upstream.send(piece) }
            #expect(try await mesh.client.takeHead() == "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            let body = try await mesh.client.take(through: "0\r\nx-end: yes\r\n\r\n")
            #expect(content(of: body) == "abcde")
            // The connections on both sides go on.
            try await mesh.client.send("PUT / HTTP/1.1\r\nHost: voting\r\nContent-Length: 5\r\n\r\nhello")
            #expect(try await upstream.takeHead().contains("content-length: 5\r\n"))
            #expect(try await upstream.take(count: 5) == "hello")
            try await upstream.send(ok)
            #expect(try await mesh.client.take(through: "hi") == okCarried)
            #expect(mesh.server.acceptedCount == 1)
        }
    }

    @Test(
        "Answers without a body end with their head",
        arguments: [
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"),
            ("GET", "HTTP/1.1 304 Not Modified\r\nETag: 1\r\n\r\n", "HTTP/1.1 304 Not Modified\r\netag: 1\r\n\r\n"),
            ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
            ("GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
        ])
    func bodiless(method: String, answer: String, expected: String) async throws {
        try await Carried.run { mesh in
            for round in 0..<2 {
                try await mesh.client.send("\(method) / HTTP/1.1\r\nHost: voting\r\n\r\n")
                if round == 0 {
                    let upstream = try await mesh.server.next()
                    Task {
                        while true {  // Until the proxy closes its connection.
                            _ = try await upstream.takeHead()
                            try await upstream.send(answer)
                        }
                    }
                }
                #expect(try await mesh.client.takeHead() == expected)
            }
            #expect(mesh.server.acceptedCount == 1)
        }
    }

    @Test("100 Continue passes, and the body follows it")
    func expectContinue() async throws {
        try await Carried.run { mesh in
            try await mesh.client.send(
                "PUT / HTTP/1.1\r\nHost: voting\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
            let upstream = try await mesh.server.next()
            #expect(try await upstream.takeHead().contains("expect: 100-continue\r\n"))
            try await upstream.send("HTTP/1.1 100 Continue\r\n\r\n")
            #expect(try await mesh.client.takeHead() == "HTTP/1.1 100 Continue\r\n\r\n")
            try await mesh.client.send("body")
            #expect(try await upstream.take(count: 4) == "body")
            try await upstream.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok)
            #expect(try await mesh.client.takeHead() == "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
            #expect(try await mesh.client.take(through: "hi") == okCarried)
        }
    }

    @Test("Pipelined requests are answered in order")
    func pipelining() async throws {
        try await Carried.run { mesh in
            let request = { (name: String) in "POST /\(name) HTTP/1.1\r\nHost: voting\r\nContent-Length: 2\r\n\r\n\(name)\(name)" }
            try await mesh.client.send(["1", "2", "3"].map(request).joined())
            let upstream = try await mesh.server.next()
            for name in ["1", "2", "3"] {
                #expect(try await upstream.takeHead().hasPrefix("POST /\(name) "))
                #expect(try await upstream.take(count: 2) == "\(name)\(name)")
                try await upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(name)")
            }
            for name in ["1", "2", "3"] {
                _ = try await mesh.client.takeHead()
                #expect(try await mesh.client.take(count: 1) == name)
            }
        }
    }

    @Test("A body that lasts until the connection closes arrives whole, in chunks for a client that knows them")
    func untilClose() async throws {
        try await Carried.run { mesh in
            try await mesh.client.send("GET / HTTP/1.1\r\nHost: voting\r\n\r\n")
            let upstream = try await mesh.server.next()
            _ = try await upstream.takeHead()
            try await upstream.send("HTTP/1.1 200 OK\r\n\r\nall of it")
            await upstream.close()
            #expect(
                try await mesh.client.take(through: "0\r\n\r\n")
                    == "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nall of it\r\n0\r\n\r\n")
            let old = try await mesh.pair.near.outbound(to: mesh.pair.address)
            try await old.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            let second = try await mesh.server.next()
            _ = try await second.takeHead()
            try await second.send("HTTP/1.0 200 OK\r\n\r\nall of it")
            await second.close()
            #expect(try await old.takeToEnd() == "HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nall of it")
        }
    }

    @Test("An early answer ends the exchange, and the client's connection with it")
    func early() async throws {
        try await Carried.run { mesh in
            try await mesh.client.send("POST / HTTP/1.1\r\nHost: voting\r\nContent-Length: 1000\r\n\r\npart")
            let upstream = try await mesh.server.next()
            _ = try await upstream.take(through: "part")
            try await upstream.send("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n")
            #expect(try await mesh.client.takeToEnd().hasPrefix("HTTP/1.1 413 Payload Too Large\r\n"))
            try await eventually("the application's connection closes") { upstream.isInputClosed }
            #expect(try await mesh.pair.near.metric("response_total", ["status_code": "413"]) == 1)
            #expect(try await mesh.farCount(["status_code": "413"]) == 1)
        }
    }

    @Test("A refused application is a 502 that says why, over HTTP/2 and at the client")
    func refused() async throws {
        try await Carried.run { mesh in
            await mesh.server.stop()
            try await mesh.client.send("GET / HTTP/1.1\r\nHost: voting\r\n\r\n")
            let answer = try await mesh.client.takeToEnd()
            #expect(answer.hasPrefix("HTTP/1.1 502 Bad Gateway\r\n"))
            #expect(answer.contains("l5d-proxy-error: Connection refused (os error 111)\r\n"))
            #expect(!answer.contains("l5d-proxy-connection"))
            #expect(answer.contains("connection: close\r\n"))
            #expect(try await mesh.pair.far.metric("inbound_http_errors_total", ["error": "i/o"]) == 1)
        }
    }

    @Test("An answer that breaks off breaks the client's connection; one that never began is a 502")
    func broken() async throws {
        try await Carried.run { mesh in
            try await mesh.client.send("GET / HTTP/1.1\r\nHost: voting\r\n\r\n")
            let upstream = try await mesh.server.next()
            _ = try await upstream.takeHead()
            try await upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            _ = try await mesh.client.take(through: "half")
            await upstream.close()
            #expect(try await mesh.client.takeToEnd().isEmpty)
            let second = try await mesh.pair.near.outbound(to: mesh.pair.address)
            try await second.send("POST / HTTP/1.1\r\nHost: voting\r\nContent-Length: 0\r\n\r\n")
            let silent = try await mesh.server.next()
            _ = try await silent.takeHead()
            await silent.close()
            #expect(try await second.takeHead().hasPrefix("HTTP/1.1 502 Bad Gateway\r\n"))
        }
    }

    @Test("A client that leaves takes its request with it; the connection between the proxies stays")
    func abandoned() async throws {
        try await Carried.run { mesh in
            try await mesh.client.send("GET / HTTP/1.1\r\nHost: voting\r\n\r\n")
            let upstream = try await mesh.server.next()
            _ = try await upstream.takeHead()
            await mesh.client.close()
            try await eventually("the application sees it") { upstream.isInputClosed }
            #expect(try await mesh.pair.near.metric("tcp_open_connections", ["peer": "dst", "direction": "outbound"]) == 1)
        }
    }

    @Test("Bytes wait at their source when the other end does not read, in both directions")
    func pressure() async throws {
        try await Carried.run { mesh in
            let count = 20_000_000
            try await mesh.client.send("POST / HTTP/1.1\r\nHost: voting\r\nContent-Length: \(count)\r\n\r\n")
            let upstream = try await mesh.server.next()
            _ = try await upstream.takeHead()
            try await upstream.setReading(false)
            let sent = mesh.client.sendLater(count: count)
            let far = ["peer": "src", "direction": "inbound"]
            try await eventually("the far proxy stops reading") {
                let first = try await mesh.pair.far.metric("tcp_read_bytes_total", far)
                try await Task.sleep(for: .milliseconds(100))
                let second = try await mesh.pair.far.metric("tcp_read_bytes_total", far)
                return first > 100_000 && second == first
            }
            #expect(try await mesh.pair.far.metric("tcp_read_bytes_total", far) < Double(count) / 2)
            try await upstream.setReading(true)
            try await sent.get()
            try await eventually("the whole request", within: .seconds(60)) { upstream.receivedCount >= count }
            _ = try await upstream.take(count: count)
            try await mesh.client.setReading(false)
            try await upstream.send("HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n")
            let answered = upstream.sendLater(count: count)
            let near = ["peer": "dst", "direction": "outbound"]
            try await eventually("the near proxy stops reading") {
                let first = try await mesh.pair.near.metric("tcp_read_bytes_total", near)
                try await Task.sleep(for: .milliseconds(100))
                let second = try await mesh.pair.near.metric("tcp_read_bytes_total", near)
                return first > 50_000 && second == first
            }
            #expect(try await mesh.pair.near.metric("tcp_read_bytes_total", near) < Double(count) / 2)
            try await mesh.client.setReading(true)
            try await answered.get()
            try await eventually("the whole response", within: .seconds(60)) { mesh.client.receivedCount > count }
            _ = try await mesh.client.takeHead()
            _ = try await mesh.client.take(count: count)
        }
    }

    @Test(
        "Upgrades and CONNECT go as HTTP/1, and become tunnels through both proxies",
        arguments: [
            (
                "GET / HTTP/1.1\r\nHost: voting\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
                "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
            ),
            ("CONNECT db:1 HTTP/1.1\r\nHost: db:1\r\n\r\n", "HTTP/1.1 200 Established\r\n\r\n"),
        ])
    func tunnels(request: String, answer: String) async throws {
        try await Carried.run { mesh in
            try await mesh.client.send(request)
            let upstream = try await mesh.server.next()
            #expect(try await upstream.takeHead() == String(request.dropLast()) + added + "\r\n")
            try await upstream.send(answer + "first")
            #expect(try await mesh.client.takeHead() == answer)
            #expect(try await mesh.client.take(count: 5) == "first")
            try await mesh.client.send("\0\u{1}binary")
            #expect(try await upstream.take(count: 8) == "\0\u{1}binary")
            try await mesh.client.closeOutput()
            try await eventually("half-close arrives") { upstream.isInputClosed }
            try await upstream.send("last words")
            await upstream.close()
            #expect(try await mesh.client.takeToEnd() == "last words")
            let written = request.utf8.count + added.utf8.count + 8
            try await eventually("every byte is counted") {
                let app = ["peer": "dst", "direction": "inbound"]
                let open = try await mesh.pair.far.metric("tcp_open_connections", ["direction": "inbound"])
                let count = try await mesh.pair.far.metric("tcp_write_bytes_total", app)
                return open == 0 && count == Double(written)
            }
            #expect(
                try await mesh.pair.near.metric("tcp_write_bytes_total", ["peer": "src", "direction": "outbound"])
                    == Double(answer.utf8.count + 15))
        }
    }

    @Test("An upgrade to h2c is not passed on: the request stays what it is")
    func h2c() async throws {
        try await Carried.run { mesh in
            try await mesh.client.send(
                "GET / HTTP/1.1\r\nHost: voting\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n")
            let upstream = try await mesh.server.next()
            #expect(try await upstream.takeHead() == "GET / HTTP/1.1\r\nhost: voting\r\n\(added)\r\n")
            try await upstream.send(ok)
            #expect(try await mesh.client.take(through: "hi") == okCarried)
        }
    }

    @Test(
        "What no HTTP/1 parser should trust is refused at the client's side",
        arguments: [
            "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT db:1 HTTP/1.0\r\n\r\n", "GET db:1 HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: voting\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nbad line\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: voting\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ])
    func malformed(request: String) async throws {
        try await Carried.run { mesh in
            try await mesh.client.send(request)
            #expect(try await mesh.client.takeToEnd().hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        }
    }
}
