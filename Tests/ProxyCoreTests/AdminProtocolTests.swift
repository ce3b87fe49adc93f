import Foundation
import Logging
import MeshTransport
import NIOCore
import NIOPosix
import ProxyCore
import Testing

@Suite("Admin port, both versions of HTTP", .timeLimit(.minutes(1))) struct AdminProtocolTests {
    @Test("HTTP/2 gets the same answers, side by side on one connection")
    func http2() async throws {
        try await ProxyFixture.run { (proxy: ProxyFixture) async throws in
            let loop = proxy.group.next()
            let client = HTTP2TestClient(loop: loop)
            let address = try #require(proxy.runtime.adminAddress)
            try await loop.flatSubmit { client.connect(to: address) }.get()
            let paths = ["/live", "/ready", "/metrics", "/nothing", "/proxy-log-level", "/env.json"]
            var answers: [EventLoopFuture<HTTP2Answer>] = []
            for path in paths { answers.append(try await loop.submit { client.open(path).answer }.get()) }
            var statuses: [Int] = []
            for answer in answers { statuses.append(try await answer.get().status) }
            #expect(statuses == [200, 200, 200, 404, 200, 200])
            #expect(String(buffer: try await answers[0].get().body) == "live\n")
            #expect(String(buffer: try await answers[2].get().body).contains("process_cpu_seconds_total"))
            let put = try await loop.flatSubmit {
                client.open("/proxy-log-level", method: "PUT", body: ByteBuffer(string: "debug")).answer
            }.get()
            #expect(put.status == 204)
            let head = try await loop.flatSubmit { client.open("/live", method: "HEAD").answer }.get()
            #expect(head.status == 200 && head.fields["content-length"] == "5" && head.body.readableBytes == 0)
            let large = try await loop.flatSubmit {
                client.open("/proxy-log-level", method: "PUT", body: ByteBuffer(repeating: 0x61, count: 70_000)).answer
            }.get()
            #expect(large.status == 413)
            try await loop.submit { client.peer.close() }.get()
            #expect(try await proxy.admin("GET", "/proxy-log-level").body == "debug")
        }
    }

    @Test("A connection is kept between requests, and requests may come in pieces or together")
    func keepAlive() async throws {
        try await ProxyFixture.run { (proxy: ProxyFixture) async throws in
            let address = try #require(proxy.runtime.adminAddress)
            let client = try await TestConnection.connect(to: address, on: proxy.group)
            try await client.send("GET /live HTT")
            try await client.send("P/1.1\r\nhost: a\r\n\r\nGET /ready HTTP/1.1\r\n\r\n")
            #expect(try await client.take(through: "live\n").hasPrefix("HTTP/1.1 200 OK\r\n"))
            _ = try await client.take(through: "ready\n")
            let chunks = "transfer-encoding: chunked\r\n\r\n4;x=y\r\nwarn\r\n2\r\n,a\r\n3\r\n=of\r\n1\r\nf\r\n0\r\n\r\n"
            try await client.send("PUT /proxy-log-level HTTP/1.1\r\nhost: a\r\n\(chunks)")
            _ = try await client.take(through: "204 No Content\r\n\r\n")
            try await client.send(
                "PUT /proxy-log-level HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
            _ = try await client.take(through: "HTTP/1.1 100 Continue\r\n\r\n")
            try await client.send("debug")
            _ = try await client.take(through: "204 No Content\r\n\r\n")
            #expect(try await proxy.admin("GET", "/proxy-log-level").body == "debug")
            try await client.send("nonsense\r\n\r\n")
            #expect(try await client.takeToEnd().hasPrefix("HTTP/1.1 400 "))
        }
    }

    @Test("OpenMetrics comes to whom it is named, with its end and its counters' names")
    func openMetrics() async throws {
        try await ProxyFixture.run { (proxy: ProxyFixture) async throws in
            let address = try #require(proxy.runtime.adminAddress)
            let client = try await TestConnection.connect(to: address, on: proxy.group)
            try await client.send(
                "GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
                    + "accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n\r\n")
            let text = try await client.takeToEnd()
            #expect(text.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"))
            #expect(text.hasSuffix("# EOF\n"))
            #expect(text.contains("# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total "))
            #expect(!text.contains("_total counter"))
            #expect(try await proxy.admin("GET", "/metrics").head.contains("content-type: text/plain\r\n"))
        }
    }

    @Test("The environment is JSON to whom JSON will do")
    func environmentTypes() async throws {
        try await ProxyFixture.run { (proxy: ProxyFixture) async throws in
            let address = try #require(proxy.runtime.adminAddress)
            for (accept, status) in [
                ("text/html", 406), ("application/json;q=0", 406), ("*/*", 200), ("text/html, application/*;q=0.1", 200),
            ] {
                let client = try await TestConnection.connect(to: address, on: proxy.group)
                try await client.send("GET /env.json HTTP/1.1\r\nhost: a\r\nconnection: close\r\naccept: \(accept)\r\n\r\n")
                #expect(try await client.takeToEnd().hasPrefix("HTTP/1.1 \(status) "), "\(accept)")
            }
            #expect(try await proxy.admin("POST", "/env.json").head.hasPrefix("HTTP/1.1 405 "))
        }
    }

    @Test("Logging that is off cannot be turned on, and shutdown works where it is enabled, for POST")
    func offAndShutdown() async throws {
        let enabled = ["LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED": "true"]
        try await ProxyFixture.run(enabled, log: "off") { (proxy: ProxyFixture) async throws in
            #expect(try await proxy.admin("GET", "/proxy-log-level").head.hasPrefix("HTTP/1.1 404 "))
            let get = try await proxy.admin("GET", "/shutdown")
            #expect(get.head.hasPrefix("HTTP/1.1 405 ") && get.head.contains("allow: POST\r\n"))
        }
    }

    @Test("Whom the policy keeps out gets 403")
    func forbidden() async throws {
        let deny = ["LINKERD2_PROXY_INBOUND_DEFAULT_POLICY": "deny"]
        try await ProxyFixture.run(deny, adjust: { $0.policy.trustsLoopback = false }) { (proxy: ProxyFixture) async throws in
            #expect(try await proxy.admin("GET", "/live").head.hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
            #expect(try await proxy.admin("GET", "/metrics").head.hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
        }
    }

    @Test("The port counts itself as inbound traffic, with the policy that lets it in")
    func countsItself() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_INBOUND_DEFAULT_POLICY": "deny"]) { (proxy: ProxyFixture) async throws in
            let port = "\(try #require(proxy.runtime.adminAddress).port ?? 0)"
            _ = try await proxy.admin("GET", "/live")
            _ = try await proxy.admin("GET", "/nothing")
            let labels = ["target_port": port, "direction": "inbound", "authz_name": "localhost", "srv_name": "deny"]
            #expect(try await proxy.metric("request_total", labels) == 3)  // The scrape itself began before it counted.
            #expect(try await proxy.metric("response_total", labels.merging(["status_code": "404"]) { $1 }) == 1)
            #expect(try await proxy.metric("inbound_http_authz_allow_total", ["target_port": port]) == 5)
            #expect(try await proxy.metric("tcp_open_connections", ["target_port": port, "peer": "src"]) == 1)
        }
    }

    @Test("Connections past the bound are closed, and probes still get through once some leave")
    func connections() async throws {
        try await ProxyFixture.run { (proxy: ProxyFixture) async throws in
            let address = try #require(proxy.runtime.adminAddress)
            var held: [TestConnection] = []
            for _ in 0..<AdminLimits.connectionsMax {
                held.append(try await TestConnection.connect(to: address, on: proxy.group))
            }
            // The last one that got in answers; the next is one too many.
            try await held[held.count - 1].send("GET /live HTTP/1.1\r\nhost: a\r\n\r\n")
            _ = try await held[held.count - 1].take(through: "live\n")
            let extra = try await TestConnection.connect(to: address, on: proxy.group)
            try await eventually("the extra connection is closed") { extra.isInputClosed }
            #expect(extra.receivedCount == 0)
            for connection in held.prefix(10) { await connection.close() }
            try await eventually("probes get through again") {
                do {
                    return try await proxy.admin("GET", "/live").body == "live\n"
                } catch {
                    return false  // Still full.
                }
            }
            for connection in held { await connection.close() }
        }
    }
}

@Suite("Log lines", .timeLimit(.minutes(1))) struct LogLineTests {
    private let line = ProxyLogLine(
        level: .warning, target: "linkerd2_proxy", message: "Inbound interface on 0.0.0.0:4143",
        fields: ["b": "2", "a": "x\ny\u{1b}"], uptimeSeconds: 61.004410, thread: 1)

    @Test("Plain lines have the reference's columns, and no value can begin a line of its own")
    func plain() {
        #expect(
            line.plain
                == "[    61.004410s]  WARN ThreadId(01) linkerd2_proxy: Inbound interface on 0.0.0.0:4143 a=x\\ny\\u{1b} b=2")
    }

    @Test("JSON lines are one object each")
    func json() throws {
        let time = WallClock(seconds: 1_767_323_045, nanoseconds: 678_901_234)
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(line.json(at: time).utf8)) as? [String: Any])
        #expect(object["timestamp"] as? String == "2026-01-02T03:04:05.678901Z")
        #expect(object["level"] as? String == "WARN")
        #expect(object["target"] as? String == "linkerd2_proxy")
        #expect(object["threadId"] as? String == "ThreadId(1)")
        let fields = try #require(object["fields"] as? [String: String])
        #expect(fields == ["message": "Inbound interface on 0.0.0.0:4143", "a": "x\ny\u{1b}", "b": "2"])
    }

    @Test("Dates are right across leap years and before the epoch")
    func dates() {
        #expect(WallClock(seconds: 951_782_400).rfc3339(fractionDigits: 0) == "2000-02-29T00:00:00Z")
        #expect(WallClock(seconds: -1, nanoseconds: 5).rfc3339(fractionDigits: 9) == "1969-12-31T23:59:59.000000005Z")
        #expect(WallClock(seconds: 4_107_542_399).rfc3339(fractionDigits: 3) == "2100-02-28T23:59:59.000Z")
    }

    @Test(
        "Directives as the reference takes them",
        arguments: [
            "warn,linkerd=info,hickory=error", "info,[{headers}]=off,[{request}]=off", "linkerd2_proxy", "off", "OFF",
            "debug,linkerd_app[span{a,b=\"x\"}]=trace", "", "3,linkerd=5",
        ])
    func directives(text: String) { #expect(LogFilter.isValid(text)) }

    @Test("What is no directive", arguments: ["loud", "linkerd=loud", "=info", "warn,x=", "a[b]=loud"])
    func noDirectives(text: String) { #expect(!LogFilter.isValid(text)) }
}
