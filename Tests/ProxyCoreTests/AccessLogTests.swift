import Foundation
import NIOCore
import NIOPosix
import ProxyCore
import Synchronization
import Testing

@Suite("Access log", .timeLimit(.minutes(1))) struct AccessLogTests {
    private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

    @Test("Apache lines name client, time, request and status; a client cannot break them")
    func apache() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_ACCESS_LOG": "apache"]) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send("GET /items?a=\"b HTTP/1.1\r\nHost: web\r\n\r\n")
            _ = try await client.take(through: "hi")
            let log = try #require(proxy.accessLog)
            try await eventually("a line") { log.lines.count == 1 }
            let port = client.channel.localAddress?.port ?? 0
            let pattern = try Regex(
                "127\\.0\\.0\\.1:\(port) - - \\[\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{9}Z\\] "
                    + "\"GET /items\\?a=\\\\\"b HTTP/1\\.1\" 200")
            #expect(try pattern.wholeMatch(in: log.lines[0]) != nil, "\(log.lines)")
            #expect(try await proxy.metric("proxy_access_log_dropped_total") == 0)
            #expect(try await proxy.scrape().contains("proxy_access_log_dropped_total 0"))
        }
    }

    @Test("JSON lines have the reference's keys, times and trace ids, for both versions of HTTP")
    func json() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_ACCESS_LOG": "json"]) { (proxy: ProxyFixture) async throws in
            let server = try await CountingServer.start(on: proxy.group.next())
            try await proxy.inbound(to: server.address).close()
            let loop = proxy.group.next()
            let client = HTTP2TestClient(loop: loop)
            let entrance = proxy.runtime.addresses[0]
            try await loop.flatSubmit { client.connect(to: entrance) }.get()
            let fields = [("user-agent", "t/1"), ("x-request-id", "r"), ("x-b3-traceid", "b"), ("content-length", "3")]
            _ = try await loop.flatSubmit {
                client.open("/ping", method: "POST", fields: fields, body: ByteBuffer(string: "abc")).answer
            }.get()
            try await loop.submit { client.peer.close() }.get()
            let plain = try await ScriptedServer.answering(ok, on: proxy.group)
            let second = try await proxy.inbound(to: plain.address)
            try await second.send("GET /x HTTP/1.1\r\nHost: web\r\nX-Amzn-Trace-Id: z\r\n\r\n")
            _ = try await second.take(through: "hi")
            let log = try #require(proxy.accessLog)
            try await eventually("two lines") { log.lines.count == 2 }
            let first = try object(log.lines[0])
            #expect(
                first.keys.sorted() == [
                    "client.addr", "client.id", "host", "method", "processing_ns", "request_bytes", "response_bytes",
                    "status", "timestamp", "total_ns", "trace_id", "uri", "user_agent", "version",
                ])
            #expect(first["status"] as? Int == 200)
            #expect(first["uri"] as? String == "http://web.test:80/ping")
            #expect(first["host"] as? String == "web.test:80")
            #expect(first["version"] as? String == "HTTP/2.0")
            #expect(first["trace_id"] as? String == "b")
            #expect(first["request_bytes"] as? String == "3")
            #expect(first["user_agent"] as? String == "t/1")
            #expect(first["client.id"] as? String == "-")
            let total = try #require((first["total_ns"] as? String).flatMap { Int($0) })
            let processing = try #require((first["processing_ns"] as? String).flatMap { Int($0) })
            #expect(processing > 0 && processing <= total)
            let last = try object(log.lines[1])
            #expect(last["uri"] as? String == "/x")
            #expect(last["trace_id"] as? String == "z")
            #expect(last["response_bytes"] as? String == "2")
            try await server.stop()
        }
    }

    @Test("A request that the proxy failed has a line without a status, and outbound requests have none")
    func failures() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_ACCESS_LOG": "json"]) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let out = try await proxy.outbound(to: server.address)
            try await out.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            _ = try await out.take(through: "hi")
            await server.stop()
            let client = try await proxy.inbound(to: server.address)
            try await client.send("GET /gone HTTP/1.1\r\nHost: web\r\n\r\n")
            #expect(try await client.takeToEnd().hasPrefix("HTTP/1.1 502 "))
            let log = try #require(proxy.accessLog)
            try await eventually("a line") { log.lines.count == 1 }
            let line = try object(log.lines[0])
            #expect(line["uri"] as? String == "/gone")
            #expect(line["status"] == nil)
            #expect(line["total_ns"] as? String == "")
        }
    }

    @Test("Whoever reads the log slowly stops nobody: lines are dropped past the bound, and counted")
    func slowReader() async throws {
        let gate = Mutex(false)
        let written = Mutex(0)
        let writer = LineWriter { bytes in
            while !gate.withLock({ $0 }) { usleep(1_000) }
            written.withLock { $0 += bytes.count }
        }
        let line = String(repeating: "x", count: 1_000)
        let count = LineWriter.pendingBytesMax / 1_000 * 3
        for _ in 0..<count { writer.write(line) }
        let dropped = Int(writer.droppedCount)
        #expect(dropped > count / 3)
        gate.withLock { $0 = true }
        await writer.close()
        #expect(written.withLock { $0 } == (count - dropped) * 1_001)
    }

    private func object(_ line: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
}
