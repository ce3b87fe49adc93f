import NIOCore
import ProxyCore
import Testing

@Suite("Outbound", .timeLimit(.minutes(2))) struct OutboundTests {
    private let get = "GET / HTTP/1.1\r\nHost: web\r\n\r\n"
    private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    private let service: SocketAddress
    private let path = "web.ns.svc.cluster.local:8080"

    init() throws {
        service = try SocketAddress(ipAddress: "10.96.0.7", port: 8080)
    }

    private func logical(_ proxy: ProxyFixture, isOpaque: Bool = false) {
        proxy.discovery.setProfile(
            "10.96.0.7:8080",
            .profile(DestinationProfile(fullyQualifiedName: "web.ns.svc.cluster.local", isOpaque: isOpaque)))
    }

    @Test("A Service's requests go to its endpoints, labelled by discovery, under its canonical name")
    func balanced() async throws {
        try await ProxyFixture.run { proxy in
            logical(proxy)
            let server = try await ScriptedServer.start(on: proxy.group)
            proxy.discovery.setEndpoints(
                path,
                .replace([
                    DiscoveredEndpoint(
                        address: server.address, metricLabels: ["pod": "web-1", "namespace": "ns"])
                ]))
            let client = try await proxy.outbound(to: service)
            try await client.send(get)
            let upstream = try await server.next()
            #expect(
                try await upstream.takeHead()
                    == "GET / HTTP/1.1\r\nHost: web\r\nl5d-dst-canonical: \(path)\r\n\r\n")
            try await upstream.send(ok)
            #expect(try await client.take(through: "hi") == ok)
            let labels = [
                "direction": "outbound", "authority": path, "dst_pod": "web-1", "dst_namespace": "ns",
                "tls": "disabled",
            ]
            #expect(try await proxy.metric("request_total", labels) == 1)
            #expect(try await proxy.metric("tcp_open_total", labels.merging(["peer": "dst"]) { $1 }) == 1)
            #expect(
                try await proxy.metric(
                    "tcp_open_total",
                    ["peer": "src", "direction": "outbound", "target_addr": "10.96.0.7:8080"]) == 1)
        }
    }

    @Test("Each request is balanced by itself, over every endpoint")
    func perRequest() async throws {
        try await ProxyFixture.run { proxy in
            logical(proxy)
            var servers: [ScriptedServer] = []
            for _ in 0..<3 { servers.append(try await ScriptedServer.answering(ok, on: proxy.group)) }
            proxy.discovery.setEndpoints(
                path, .replace(servers.map { DiscoveredEndpoint(address: $0.address) }))
            let client = try await proxy.outbound(to: service)
            for _ in 0..<60 {
                try await client.send(get)
                _ = try await client.take(through: "hi")
            }
            for server in servers { #expect(server.acceptedCount >= 1) }
            #expect(try await proxy.metric("response_total", ["classification": "success"]) == 60)
        }
    }

    @Test("Endpoints come and go without a failed request")
    func churn() async throws {
        try await ProxyFixture.run { proxy in
            logical(proxy)
            let servers = [
                try await ScriptedServer.answering(ok, on: proxy.group),
                try await ScriptedServer.answering(ok, on: proxy.group),
            ]
            let endpoints = servers.map { DiscoveredEndpoint(address: $0.address) }
            proxy.discovery.setEndpoints(path, .replace(endpoints))
            let client = try await proxy.outbound(to: service)
            // The scripted discovery tells a new watcher its last update only: watch before it changes.
            try await client.send(get)
            #expect(try await client.take(through: "hi") == ok)
            for round in 0..<40 {
                let leaving = round % 2
                proxy.discovery.setEndpoints(path, .remove([servers[leaving].address]))
                try await client.send(get)
                #expect(try await client.take(through: "hi") == ok)
                proxy.discovery.setEndpoints(path, .add([endpoints[leaving]]))
                try await client.send(get)
                #expect(try await client.take(through: "hi") == ok)
            }
        }
    }

    @Test("A removed endpoint finishes what it began")
    func removalDrains() async throws {
        try await ProxyFixture.run { proxy in
            logical(proxy)
            let server = try await ScriptedServer.start(on: proxy.group)
            proxy.discovery.setEndpoints(path, .replace([DiscoveredEndpoint(address: server.address)]))
            let client = try await proxy.outbound(to: service)
            try await client.send(get)
            let upstream = try await server.next()
            _ = try await upstream.takeHead()
            proxy.discovery.setEndpoints(path, .noEndpoints(exists: true))
            try await upstream.send(ok)
            #expect(try await client.take(through: "hi") == ok)
            try await eventually("its connection closes when idle") { upstream.isInputClosed }
        }
    }

    @Test("Without endpoints a request waits, and is served when one appears")
    func waits() async throws {
        try await ProxyFixture.run { proxy in
            logical(proxy)
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let client = try await proxy.outbound(to: service)
            try await client.send(get)
            try await eventually("the endpoints are watched") { proxy.discovery.endpointWatchCount == 1 }
            proxy.discovery.setEndpoints(path, .add([DiscoveredEndpoint(address: server.address)]))
            #expect(try await client.take(through: "hi") == ok)
        }
    }

    @Test("When none appears it fails fast: 504 with a reason")
    func failFast() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT": "100ms"]) { proxy in
            logical(proxy)
            let client = try await proxy.outbound(to: service)
            try await client.send(get)
            let answer = try await client.takeToEnd()
            #expect(answer.hasPrefix("HTTP/1.1 504 Gateway Timeout\r\n"))
            #expect(answer.contains("l5d-proxy-error: HTTP Balancer service in fail-fast\r\n"))
            #expect(answer.contains("l5d-proxy-connection: close\r\n"))
            #expect(try await proxy.metric("outbound_http_errors_total", ["error": "failfast"]) == 1)
        }
    }

    @Test("An endpoint that refuses is avoided while another answers")
    func avoidsRefusing() async throws {
        let environment = [
            "LINKERD2_PROXY_OUTBOUND_CONNECT_EXP_BACKOFF_MIN": "60s",
            "LINKERD2_PROXY_OUTBOUND_CONNECT_EXP_BACKOFF_MAX": "60s",
        ]
        try await ProxyFixture.run(environment) { proxy in
            logical(proxy)
            let dead = try await ScriptedServer.answering(ok, on: proxy.group)
            await dead.stop()
            let live = try await ScriptedServer.answering(ok, on: proxy.group)
            proxy.discovery.setEndpoints(
                path, .replace([dead, live].map { DiscoveredEndpoint(address: $0.address) }))
            var failures = 0
            for _ in 0..<30 {
                let client = try await proxy.outbound(to: service)
                try await client.send(get)
                let head = try await client.takeHead()
                if head.hasPrefix("HTTP/1.1 502 ") { failures += 1 }
                await client.close()
            }
            #expect(failures <= 1)
        }
    }

    @Test(
        "A peer's proxy ends the client's connection over plain HTTP/1 too, and says why only where it may",
        arguments: [true, false])
    func peerCloses(isInformational: Bool) async throws {
        let environment = ["LINKERD2_PROXY_OUTBOUND_DISABLE_INFORMATIONAL_HEADERS": isInformational ? "false" : "true"]
        try await ProxyFixture.run(environment) { proxy in
            logical(proxy)
            let server = try await ScriptedServer.answering(
                "HTTP/1.1 504 Gateway Timeout\r\nL5d-Proxy-Error: too slow\r\nl5d-proxy-connection: Close\r\n"
                    + "Content-Length: 2\r\n\r\nhi", on: proxy.group)
            proxy.discovery.setEndpoints(path, .replace([DiscoveredEndpoint(address: server.address)]))
            let client = try await proxy.outbound(to: service)
            try await client.send(get)
            let answer = try await client.takeToEnd()
            let reason = isInformational ? "L5d-Proxy-Error: too slow\r\n" : ""
            #expect(answer == "HTTP/1.1 504 Gateway Timeout\r\n\(reason)Content-Length: 2\r\nconnection: close\r\n\r\nhi")
            // Inbound, it is the application's field like any other.
            let inbound = try await proxy.inbound(to: server.address)
            try await inbound.send(get)
            #expect(try await inbound.take(through: "hi").contains("l5d-proxy-connection: Close\r\n"))
        }
    }

    @Test("An address outside the cluster's networks is forwarded as it is, without asking")
    func outside() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            let client = try await proxy.outbound(to: server.address)
            try await client.send(get)
            #expect(try await client.take(through: "hi") == ok)
            #expect(proxy.discovery.profileWatchCount == 0)
        }
    }

    @Test("A profile that is one endpoint is used without balancing")
    func endpointProfile() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            proxy.discovery.setProfile(
                "10.96.0.7:8080",
                .profile(
                    DestinationProfile(
                        endpoint: DiscoveredEndpoint(address: server.address, metricLabels: ["pod": "p"]))))
            let client = try await proxy.outbound(to: service)
            try await client.send(get)
            #expect(try await client.take(through: "hi") == ok)
            #expect(try await proxy.metric("request_total", ["dst_pod": "p"]) == 1)
            #expect(proxy.discovery.endpointWatchCount == 0)
        }
    }

    @Test("A destination that discovery cannot name in time fails its connection")
    func unresolved() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_OUTBOUND_HTTP_FAILFAST_TIMEOUT": "100ms"]) { proxy in
            let client = try await proxy.outbound(to: service)
            #expect(try await client.takeToEnd().isEmpty)
            #expect(try await proxy.metric("outbound_tcp_errors_total", ["error": "failfast"]) == 1)
        }
    }

    @Test("Unused destinations are forgotten, and so are their watches")
    func eviction() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_OUTBOUND_DISCOVERY_IDLE_TIMEOUT": "50ms"]) { proxy in
            logical(proxy)
            let server = try await ScriptedServer.answering(ok, on: proxy.group)
            proxy.discovery.setEndpoints(path, .replace([DiscoveredEndpoint(address: server.address)]))
            let client = try await proxy.outbound(to: service)
            try await client.send(get)
            _ = try await client.take(through: "hi")
            #expect(proxy.discovery.profileWatchCount == 1)
            await client.close()
            try await eventually("the watches end") {
                proxy.discovery.profileWatchCount == 0 && proxy.discovery.endpointWatchCount == 0
            }
        }
    }
}

@Suite("Opaque forwarding", .timeLimit(.minutes(2))) struct OpaqueTests {
    @Test("Bytes that are not HTTP pass both ways with half-close, and are counted on both sockets")
    func forwards() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            let hello = "SSH-2.0-OpenSSH_9.2p1\r\n"
            try await client.send(hello)
            let upstream = try await server.next()
            #expect(try await upstream.take(count: hello.utf8.count) == hello)
            try await client.closeOutput()
            try await eventually("half-close arrives") { upstream.isInputClosed }
            try await upstream.send("answer")
            await upstream.close()
            #expect(try await client.takeToEnd() == "answer")
            try await eventually("everything is counted") {
                let read = try await proxy.metric("tcp_read_bytes_total", ["peer": "src"])
                let written = try await proxy.metric("tcp_write_bytes_total", ["peer": "src"])
                let open = try await proxy.metric("tcp_open_connections")
                return read == Double(hello.utf8.count) && written == 6 && open == 0
            }
        }
    }

    @Test("A server that speaks first is heard at once when its port is opaque")
    func serverFirst() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            proxy.discovery.setProfile(
                "10.96.0.7:8080",
                .profile(DestinationProfile(fullyQualifiedName: "db.ns.svc.cluster.local", isOpaque: true)))
            proxy.discovery.setEndpoints(
                "db.ns.svc.cluster.local:8080", .replace([DiscoveredEndpoint(address: server.address)]))
            let client = try await proxy.outbound(to: try SocketAddress(ipAddress: "10.96.0.7", port: 8080))
            let upstream = try await server.next()
            try await upstream.send("220 ready\r\n")
            #expect(try await client.take(through: "\n") == "220 ready\r\n")
            try await client.send("GET / HTTP/1.1\r\nX : not parsed\r\n")
            #expect(try await upstream.take(through: "parsed\r\n").hasPrefix("GET / HTTP/1.1\r\nX : "))
        }
    }

    @Test("Where detection waits in vain, bytes flow after the time-out")
    func detectTimeout() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_INBOUND_DETECT_TIMEOUT": "50ms"]) { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            let upstream = try await server.next()
            try await upstream.send("220 ready\r\n")
            #expect(try await client.take(through: "\n") == "220 ready\r\n")
        }
    }

    @Test("When the endpoint refuses, the connection closes and the failure is counted")
    func refused() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_INBOUND_DETECT_TIMEOUT": "10ms"]) { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            await server.stop()
            let client = try await proxy.inbound(to: server.address)
            #expect(try await client.takeToEnd().isEmpty)
            #expect(try await proxy.metric("inbound_tcp_errors_total", ["error": "i/o"]) == 1)
        }
    }

    @Test("A connection to an address that is not the pod's is refused")
    func foreignAddress() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_INBOUND_IPS": "10.1.2.3"]) { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            #expect(try await client.takeToEnd().isEmpty)
            #expect(server.acceptedCount == 0)
        }
    }
}
