import NIOCore
import ProxyCore
import Testing

private let ok = Script.response("200 OK")
private let get = "GET / HTTP/1.1\r\nHost: web\r\n\r\n"

@Suite("Pools, queues and back-off", .timeLimit(.minutes(2))) struct PoolTests {
    private let service: RoutedService

    init() throws { service = try RoutedService() }

    @Test("A pooled connection that idles too long is closed, and the next request opens another")
    func idle() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_OUTBOUND_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT": "50ms"]) { proxy in
            service.set(proxy)
            let server = try await ScriptedServer.start(on: proxy.group)
            service.locate(proxy, servers: server)
            let client = try await proxy.outbound(to: service.address)
            try await client.send(get)
            let first = try await server.next()
            _ = try await first.takeHead()
            try await first.send(ok)
            _ = try await client.take(through: "hi")
            try await eventually("the idle connection closes") { first.isInputClosed }
            try await client.send(get)
            let second = try await server.next()
            _ = try await second.takeHead()
            try await second.send(ok)
            #expect(try await client.take(through: "hi") == ok)
            #expect(try await proxy.metric("tcp_open_total", ["peer": "dst", "direction": "outbound"]) == 2)
        }
    }

    @Test("No more connections are kept than the pool may hold")
    func poolMax() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT": "1"]) { proxy in
            service.set(proxy)
            let server = try await ScriptedServer.start(on: proxy.group)
            service.locate(proxy, servers: server)
            var clients: [TestConnection] = []
            var upstreams: [TestConnection] = []
            for _ in 0..<3 {
                let client = try await proxy.outbound(to: service.address)
                try await client.send(get)
                let upstream = try await server.next()
                _ = try await upstream.takeHead()
                clients.append(client)
                upstreams.append(upstream)
            }
            for index in 0..<3 {
                try await upstreams[index].send(ok)
                _ = try await clients[index].take(through: "hi")
            }
            try await eventually("one is kept, two are closed") { upstreams.count { $0.isInputClosed } == 2 }
            #expect(try await proxy.metric("tcp_open_connections", ["peer": "dst", "direction": "outbound"]) == 1)
        }
    }

    @Test("Requests that wait for an endpoint are bounded; those that wait are served when one comes")
    func queue() async throws {
        let environment = [
            "LINKERD2_PROXY_OUTBOUND_HTTP_QUEUE_CAPACITY": "1", "LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT": "60s",
        ]
        try await ProxyFixture.run(environment) { proxy in
            service.set(proxy)
            let waiting = try await proxy.outbound(to: service.address)
            try await waiting.send(get)
            // Its place in the queue is not seen from outside, but the next one's refusal is.
            try await eventually("a second request finds the queue full") {
                let refused = try await proxy.outbound(to: service.address)
                try await refused.send(get)
                guard try await proxy.metric("outbound_http_errors_total", ["error": "loadshed"]) > 0 else {
                    await refused.close()
                    return false
                }
                return try await refused.takeToEnd().hasPrefix("HTTP/1.1 503 ")
            }
            service.locate(proxy, servers: try await .answering(ok, on: proxy.group))
            #expect(try await waiting.take(through: "hi") == ok)
        }
    }

    @Test("An endpoint in back-off is left alone; requests fail fast, and recover as soon as one is usable")
    func backoff() async throws {
        let environment = [
            "LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT": "100ms",
            "LINKERD2_PROXY_OUTBOUND_CONNECT_EXP_BACKOFF_MIN": "1h",
            "LINKERD2_PROXY_OUTBOUND_CONNECT_EXP_BACKOFF_MAX": "1h",
        ]
        try await ProxyFixture.run(environment) { proxy in
            service.set(proxy)
            let dead = try await ScriptedServer.start(on: proxy.group)
            await dead.stop()
            service.locate(proxy, servers: dead)
            func ask() async throws -> String {
                let client = try await proxy.outbound(to: service.address)
                try await client.send("GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
                return try await client.takeToEnd()
            }
            #expect(try await ask().hasPrefix("HTTP/1.1 502 "), "nobody else could take it")
            for _ in 0..<3 {
                let answer = try await ask()
                #expect(answer.hasPrefix("HTTP/1.1 504 ") && answer.contains("fail-fast"))
            }
            #expect(try await proxy.metric("response_total", ["classification": "failure"]) == 1, "one attempt in all")
            #expect(try await proxy.metric("outbound_http_errors_total", ["error": "failfast"]) == 3)
            let alive = try await ScriptedServer.answering(ok, on: proxy.group)
            proxy.discovery.setEndpoints(RoutedService.path, .add([DiscoveredEndpoint(address: alive.address)]))
            try await eventually("it recovers") { try await ask().hasPrefix("HTTP/1.1 200 ") }
        }
    }

    @Test("An opaque connection, too, goes to another endpoint when one cannot be connected to")
    func opaque() async throws {
        try await ProxyFixture.run { proxy in
            proxy.discovery.setProfile(
                "10.96.0.7:8080",
                .profile(DestinationProfile(fullyQualifiedName: RoutedService.name, isOpaque: true)))
            let dead = try await ScriptedServer.start(on: proxy.group)
            await dead.stop()
            let alive = try await ScriptedServer.start(on: proxy.group) { try await $0.send("220 ready\r\n") }
            service.locate(proxy, servers: dead, alive)
            for _ in 0..<20 {
                let client = try await proxy.outbound(to: service.address)
                #expect(try await client.take(through: "\n") == "220 ready\r\n")
                await client.close()
            }
            #expect(try await proxy.metric("outbound_tcp_errors_total") == 0)
        }
    }

    @Test("While one endpoint of ten is usable, no request fails")
    func lastOne() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy)
            var endpoints: [DiscoveredEndpoint] = []
            for _ in 0..<9 {
                let dead = try await ScriptedServer.start(on: proxy.group)
                await dead.stop()
                endpoints.append(DiscoveredEndpoint(address: dead.address))
            }
            let alive = try await ScriptedServer.answering(ok, on: proxy.group)
            proxy.discovery.setEndpoints(
                RoutedService.path, .replace(endpoints + [DiscoveredEndpoint(address: alive.address)]))
            var failed: [String] = []
            for _ in 0..<100 {
                let client = try await proxy.outbound(to: service.address)
                try await client.send(get)
                let head = try await client.takeHead()
                if !head.hasPrefix("HTTP/1.1 200 ") { failed.append(head) }
                await client.close()
            }
            #expect(failed.isEmpty, "\(failed.first ?? "")")
        }
    }
}
