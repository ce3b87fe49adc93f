import ProxyCore
import Testing

@Suite("Admin port", .timeLimit(.minutes(1))) struct AdminTests {
    @Test("Probes, unknown paths and methods")
    func routes() async throws {
        try await ProxyFixture.run { (proxy: ProxyFixture) async throws in
            #expect(try await proxy.admin("GET", "/live").body == "live\n")
            #expect(try await proxy.admin("GET", "/ready?x").body == "ready\n")
            #expect(try await proxy.admin("GET", "/nothing").head.hasPrefix("HTTP/1.1 404 "))
            #expect(try await proxy.admin("DELETE", "/proxy-log-level").head.contains("allow: GET, PUT\r\n"))
            #expect(try await proxy.admin("POST", "/shutdown").body == "shutdown endpoint is not enabled\n")
            #expect(try await proxy.admin("GET", "/env.json").body == #"{"A":"1"}"#)
            #expect(try await proxy.admin("GET", "/env.json?A&B").body == #"{"A":"1","B":null}"#)
            #expect(try await proxy.admin("GET", "/env.json?A=1").head.hasPrefix("HTTP/1.1 400 "))
            let head = try await proxy.admin("HEAD", "/live")
            #expect(head.head.contains("content-length: 5\r\n") && head.body.isEmpty)
        }
    }

    @Test("The log filter can be read and replaced")
    func logLevel() async throws {
        try await ProxyFixture.run { (proxy: ProxyFixture) async throws in
            #expect(try await proxy.admin("GET", "/proxy-log-level").body == "error,linkerd=off")
            #expect(
                try await proxy.admin("PUT", "/proxy-log-level", body: "warn,linkerd=debug").head.hasPrefix(
                    "HTTP/1.1 204 "))
            #expect(try await proxy.admin("GET", "/proxy-log-level").body == "warn,linkerd=debug")
            #expect(
                try await proxy.admin("PUT", "/proxy-log-level", body: "loud").head.hasPrefix("HTTP/1.1 400 ")
            )
            #expect(try await proxy.admin("GET", "/proxy-log-level").body == "warn,linkerd=debug")
        }
    }

    @Test("Several loops count together, and a scrape can come compressed")
    func loopsAndCompression() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_CORES": "3"]) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", on: proxy.group)
            for _ in 0..<9 {
                let client = try await proxy.inbound(to: server.address)
                try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                _ = try await client.take(through: "hi")
            }
            #expect(try await proxy.metric("request_total") == 9)
            #expect(try await proxy.metric("tcp_open_connections", ["peer": "src"]) == 9)
            let address = try #require(proxy.runtime.adminAddress)
            let scrape = try await TestConnection.connect(to: address, on: proxy.group)
            try await scrape.send("GET /metrics HTTP/1.1\r\nhost: a\r\naccept-encoding: br, gzip\r\n\r\n")
            #expect(try await scrape.takeHead().contains("content-encoding: gzip\r\n"))
        }
    }

    @Test("The process describes itself")
    func process() async throws {
        try await ProxyFixture.run { (proxy: ProxyFixture) async throws in
            for name in [
                "process_start_time_seconds", "process_open_fds", "process_max_fds",
                "process_resident_memory_bytes",
                "process_virtual_memory_bytes", "process_threads", "proxy_build_info",
            ] {
                #expect(try await proxy.metric(name) > 0, "\(name)")
            }
        }
    }
}
