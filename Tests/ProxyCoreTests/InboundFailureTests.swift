import NIOCore
import ProxyCore
import Testing

@Suite("Inbound failures", .timeLimit(.minutes(2))) struct InboundFailureTests {
    private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

    @Test("A refused connection is 502, closes, and counts as the endpoint's failure")
    func refused() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            await server.stop()
            let client = try await proxy.inbound(to: server.address)
            try await client.send(get)
            let answer = try await client.takeToEnd()
            #expect(answer == "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            let labels = ["classification": "failure", "status_code": "502"]
            #expect(try await proxy.metric("response_total", labels) == 1)
            #expect(try await proxy.metric("inbound_http_errors_total", ["error": "i/o"]) == 1)
        }
    }

    @Test(
        "Bytes that are no request are 400 and the end of the connection",
        arguments: [
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nX : y\r\n\r\n",
        ])
    func malformed(request: String) async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send(request)
            #expect(try await client.takeToEnd().hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            #expect(server.acceptedCount == 0)
            #expect(try await proxy.metric("request_total") == 0)
        }
    }

    @Test("A pooled connection that the application closed is replaced without the client noticing")
    func staleConnection() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send(get)
            let first = try await server.next()
            _ = try await first.takeHead()
            try await first.send(ok)
            _ = try await client.take(through: "hi")
            try await client.send(get)
            _ = try await first.takeHead()
            await first.close()  // The application gave up just as the request was written.
            let second = try await server.next()
            #expect(try await second.takeHead() == get)
            try await second.send(ok)
            #expect(try await client.take(through: "hi") == ok)
            #expect(try await proxy.metric("request_total") == 2)
            #expect(try await proxy.metric("response_total", ["classification": "success"]) == 2)
        }
    }

    @Test("What may not be repeated is 502 instead")
    func stalePost() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
            for isLast in [false, true] {
                try await client.send(post)
                if isLast { continue }
                let upstream = try await server.next()
                _ = try await upstream.takeHead()
                try await upstream.send(ok)
                _ = try await client.take(through: "hi")
                try await client.send(post)
                _ = try await upstream.take(through: "x")
                _ = try await upstream.take(through: "x")
                await upstream.close()
                break
            }
            #expect(try await client.takeToEnd().hasPrefix("HTTP/1.1 502 "))
            #expect(server.acceptedCount == 1)
        }
    }

    @Test("A response that breaks off breaks the client's connection, and is a failure")
    func truncated() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group) { connection in
                _ = try await connection.takeHead()
                try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                await connection.close()
            }
            let client = try await proxy.inbound(to: server.address)
            try await client.send(get)
            let text = try await client.takeToEnd()
            #expect("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".hasPrefix(text))
            #expect(
                try await proxy.metric(
                    "response_total", ["classification": "failure", "error": "unclassified"]) == 1)
        }
    }

    @Test("A malformed answer is 502")
    func malformedAnswer() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.answering("HTTP/1.1 banana split\r\n\r\n", on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send(get)
            #expect(try await client.takeToEnd().hasPrefix("HTTP/1.1 502 "))
        }
    }

    @Test("101 that nobody asked for is 502, and what comes behind it reaches nobody", arguments: ["", "Upgrade: h2c\r\n"])
    func unaskedSwitch(field: String) async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            // An upgrade that the proxy takes off is not asked for either.
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\(field)\r\n")
            let upstream = try await server.next()
            _ = try await upstream.takeHead()
            try await upstream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbytes")
            let answer = try await client.takeToEnd()
            #expect(answer.hasPrefix("HTTP/1.1 502 Bad Gateway\r\n") && answer.hasSuffix("\r\n\r\n"))
            try await eventually("the application's connection closes") { upstream.isInputClosed }
            #expect(try await proxy.metric("inbound_http_errors_total", ["error": "unexpected"]) == 1)
            #expect(try await proxy.metric("response_total", ["status_code": "502", "classification": "failure"]) == 1)
        }
    }

    @Test("A client that hangs up cancels its request")
    func hangUp() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send(get)
            let upstream = try await server.next()
            _ = try await upstream.takeHead()
            await client.close()
            try await eventually("the upstream connection closes") { upstream.isInputClosed }
            #expect(try await proxy.metric("response_total") == 0)
        }
    }

    @Test("An answer before the request's end reaches the client, and nothing is reused")
    func earlyAnswer() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart")
            let upstream = try await server.next()
            _ = try await upstream.take(through: "part")
            try await upstream.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            #expect(try await client.takeToEnd() == "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            try await eventually("the upstream connection closes") { upstream.isInputClosed }
        }
    }

    @Test("A client that does not read stops the server, and loses nothing")
    func backPressure() async throws {
        try await ProxyFixture.run { proxy in
            let total = 32 << 20
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.setReading(false)
            try await client.send(get)
            let upstream = try await server.next()
            _ = try await upstream.takeHead()
            try await upstream.send("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
            let sending = upstream.sendLater(count: total)
            // The kernel's buffers and the proxy's bounded queue fill up, then the counter stands still.
            var last = -1.0
            try await eventually("the proxy stops reading") {
                let now = try await proxy.metric(
                    "tcp_read_bytes_total", ["direction": "inbound", "peer": "dst"])
                defer { last = now }
                return now > 0 && now == last
            }
            #expect(last < Double(total) * 0.75)
            try await client.setReading(true)
            _ = try await client.takeHead()
            try await eventually("all bytes arrive") { client.receivedCount == total }
            try await sending.get()
        }
    }

    @Test("The other direction too: a server that does not read stops the client")
    func requestBackPressure() async throws {
        try await ProxyFixture.run { proxy in
            let total = 32 << 20
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(total)\r\n\r\n")
            let upstream = try await server.next()
            try await upstream.setReading(false)
            let sending = client.sendLater(count: total)
            var last = -1.0
            try await eventually("the proxy stops reading") {
                let now = try await proxy.metric(
                    "tcp_read_bytes_total", ["direction": "inbound", "peer": "src"])
                defer { last = now }
                return now > 0 && now == last
            }
            #expect(last < Double(total) * 0.75)
            try await upstream.setReading(true)
            try await sending.get()
            _ = try await upstream.takeHead()
            try await eventually("all bytes arrive") { upstream.receivedCount == total }
            try await upstream.send(ok)
            #expect(try await client.take(through: "hi") == ok)
        }
    }

    @Test("Between the signal and the drain, whoever has not heard of it is still served")
    func acceptGrace() async throws {
        let environment = ["LINKERD2_PROXY_SHUTDOWN_ACCEPT_GRACE": "500ms"]
        try await ProxyFixture.run(environment) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            async let drained: Void = proxy.runtime.drain()
            try await eventually("readiness is withdrawn") { !proxy.runtime.isReady }
            let client = try await proxy.inbound(to: server.address)
            try await client.send(get)
            #expect(try await client.take(through: "hi") == ok)
            await client.close()
            await drained
        }
    }

    @Test("Draining lets the exchange finish, says close, and accepts nothing new")
    func drain() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD": "30s"]) { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send(get)
            let upstream = try await server.next()
            _ = try await upstream.takeHead()
            async let drained: Void = proxy.runtime.drain()
            try await eventually("readiness is withdrawn") {
                try await proxy.admin("GET", "/ready").head.hasPrefix("HTTP/1.1 503 ")
            }
            try await eventually("the listener closes") {
                do {
                    await (try await proxy.inbound(to: server.address)).close()
                    return false
                } catch is DeadlineError {
                    throw DeadlineError(description: "unexpected")
                } catch {
                    return true
                }
            }
            try await upstream.send(ok)
            #expect(
                try await client.takeToEnd()
                    == "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: close\r\n\r\nhi")
            await client.close()
            await drained
        }
    }
}
