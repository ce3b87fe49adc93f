// Everything over IPv6: listeners, clients, destinations, endpoints, the control plane, admin and tap. Labels, names and
// paths put its addresses in brackets where a port follows.

import MeshAPI
import NIOCore
import NIOPosix
import ProxyCore
import Testing

@Suite("IPv6", .timeLimit(.minutes(2))) struct IPv6Tests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    private static let name = "web.ns.svc.cluster.local"
    private let service: SocketAddress

    init() throws { service = try SocketAddress(ipAddress: "fd00::7", port: 8080) }

    private func onIPv6(_ more: [String: String] = [:]) -> [String: String] {
        ProxyFixture.onIPv6.merging(["LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS": "fd00::/8"]) { $1 }
            .merging(more) { $1 }
    }

    private func labels(_ address: SocketAddress) -> [String: String] {
        ["target_addr": "[::1]:\(address.port ?? 0)", "target_ip": "::1", "target_port": "\(address.port ?? 0)"]
    }

    @Test("Inbound requests reach an application on IPv6; labels, log lines and the admin port's own series say where")
    func inbound() async throws {
        try await ProxyFixture.run(onIPv6(["LINKERD2_PROXY_ACCESS_LOG": "apache"])) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.start(on: proxy.group, host: "::1")
            let client = try await proxy.inbound(to: server.address)
            let host = server.address.endpointText
            try await client.send("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
            let upstream = try await server.next()
            #expect(try await upstream.takeHead().contains("Host: \(host)\r\n"))
            try await upstream.send(Self.ok)
            #expect(try await client.take(through: "hi") == Self.ok)
            let target = labels(server.address)
            #expect(try await proxy.metric("request_total", target) == 1)
            #expect(try await proxy.metric("tcp_open_total", target.merging(["peer": "src"]) { $1 }) == 1)
            #expect(try await proxy.metric("inbound_http_authz_allow_total", target) == 1)
            let port = client.channel.localAddress?.port ?? 0
            #expect(try #require(proxy.accessLog).lines.first?.hasPrefix("[::1]:\(port) ") == true)
            let admin = labels(try #require(proxy.runtime.adminAddress))
            #expect(try await proxy.metric("request_total", admin) >= 3)
        }
    }

    @Test("A Service's requests of HTTP/1 and HTTP/2, and its opaque bytes, reach endpoints on IPv6")
    func outbound() async throws {
        try await ProxyFixture.run(onIPv6()) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(Self.ok, on: proxy.group, host: "::1")
            proxy.discovery.setProfile("[fd00::7]:8080", .profile(DestinationProfile(fullyQualifiedName: Self.name)))
            proxy.discovery.setEndpoints(
                "\(Self.name):8080", .replace([DiscoveredEndpoint(address: server.address, metricLabels: ["pod": "p"])]))
            let client = try await proxy.outbound(to: service)
            try await client.send("GET / HTTP/1.1\r\nHost: [fd00::7]:8080\r\n\r\n")
            #expect(try await client.take(through: "hi") == Self.ok)
            let target = labels(server.address).merging(["dst_pod": "p", "authority": "\(Self.name):8080"]) { $1 }
            #expect(try await proxy.metric("request_total", target) == 1)
            #expect(try await proxy.metric("tcp_open_total", ["peer": "src", "target_addr": "[fd00::7]:8080"]) == 1)
            try await http2(proxy)
            try await opaque(proxy)
        }
    }

    private func http2(_ proxy: ProxyFixture) async throws {
        let server = try await CountingServer.start(on: proxy.group.next(), host: "::1")
        proxy.discovery.setProfile(
            "[fd00::8]:80", .profile(DestinationProfile(endpoint: DiscoveredEndpoint(address: server.address))))
        try await proxy.outbound(to: SocketAddress(ipAddress: "fd00::8", port: 80)).close()
        try await PeerProgram.inFolder { folder in
            let url = "http://\(proxy.runtime.addresses[1].endpointText)/"
            let curl = ["curl", "-sS", "-g", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", url]
            let output = try await PeerProgram.run(curl, folder: folder)
            #expect(output.text == "200 2")
        }
        #expect(server.requestCount == 1)
        #expect(try await proxy.metric("response_total", labels(server.address)) == 1)
        try await server.stop()
    }

    private func opaque(_ proxy: ProxyFixture) async throws {
        let server = try await ScriptedServer.start(on: proxy.group, host: "::1")
        proxy.discovery.setProfile(
            "[fd00::9]:25", .profile(
                DestinationProfile(isOpaque: true, endpoint: DiscoveredEndpoint(address: server.address))))
        let client = try await proxy.outbound(to: SocketAddress(ipAddress: "fd00::9", port: 25))
        let upstream = try await server.next()
        try await upstream.send("220 ready\r\n")
        #expect(try await client.take(through: "\n") == "220 ready\r\n")
        #expect(
            try await proxy.metric("tcp_read_bytes_total", labels(server.address).merging(["peer": "dst"]) { $1 }) == 11)
    }

    @Test("What would come back to the proxy, or is not the pod's, is refused")
    func loops() async throws {
        let environment = onIPv6(["LINKERD2_PROXY_INBOUND_IPS": "fd00::5, ::1"])
        try await ProxyFixture.run(environment, adjust: { $0.allowsOutboundLoopback = false }) {
            (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(Self.ok, on: proxy.group, host: "::1")
            let other = try SocketAddress(ipAddress: "fd00::6", port: server.address.port ?? 0)
            let refused = [
                try await proxy.outbound(to: server.address), try await proxy.inbound(to: other),
                try await proxy.inbound(to: proxy.runtime.addresses[0]),
            ]
            for client in refused { #expect(try await client.takeToEnd().isEmpty) }
            #expect(server.acceptedCount == 0)
            let client = try await proxy.inbound(to: server.address)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.take(through: "hi") == Self.ok)
        }
    }

    @Test("An IPv6 pod that talks to itself is not encrypted, and its neighbours are looked up by network")
    func itself() async throws {
        try await MeshPair.run(
            environment: onIPv6(["LINKERD2_PROXY_INBOUND_IPS": "::1"]), host: "::1"
        ) { pair in
            let server = try await ScriptedServer.answering(Self.ok, on: pair.near.group, host: "::1")
            pair.near.discovery.setProfile(
                "[fd00::7]:8080", .profile(
                    DestinationProfile(
                        endpoint: DiscoveredEndpoint(address: server.address, tlsIdentity: MeshPair.voting))))
            let client = try await pair.near.outbound(to: service)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.take(through: "hi") == Self.ok)
            #expect(try await pair.near.metric("request_total", ["no_tls_reason": "loopback"]) == 1)
        }
    }

    @Test("Two proxies meet over IPv6, each certified over IPv6, on the far one's own port or through it", arguments: [true, false])
    func mesh(isDirect: Bool) async throws {
        try await MeshPair.run(environment: ProxyFixture.onIPv6, host: "::1") { pair in
            let server = try await ScriptedServer.answering(Self.ok, on: pair.near.group, host: "::1")
            if isDirect {
                try await pair.serveDirect(server.address, isOpaque: false)
            } else {
                try await pair.serve(server.address, hint: .init(isHTTP2: true))
            }
            let client = try await pair.near.outbound(to: pair.address)
            try await client.send("GET / HTTP/1.1\r\nHost: voting\r\n\r\n")
            #expect(try await client.take(through: "hi").hasPrefix("HTTP/1.1 200 OK\r\n"))
            let near = labels(isDirect ? server.address : pair.far.runtime.addresses[0])
            #expect(try await pair.near.metric("request_total", near.merging(["server_id": MeshPair.voting]) { $1 }) == 1)
            let far = labels(server.address).merging(["client_id": MeshPair.web]) { $1 }
            #expect(try await pair.far.metric("request_total", far) == 1)
            let control = ["addr": pair.identity.address.endpointText, "no_tls_reason": "loopback"]
            #expect(try await pair.near.metric("control_response_total", control) == 1)
        }
    }

    @Test("Tap listens on IPv6 and tells addresses of IPv6")
    func tap() async throws {
        try await ProxyFixture.run(onIPv6(["LINKERD2_PROXY_TAP_SVC_NAME": "tap"])) { (proxy: ProxyFixture) async throws in
            let server = try await ScriptedServer.answering(Self.ok, on: proxy.group, host: "::1")
            let tapper = try await TapClient.observe(
                #require(proxy.runtime.tapAddress), on: proxy.group, .all(limit: 1))
            let client = try await proxy.inbound(to: server.address)
            try await client.send("GET / HTTP/1.1\r\nHost: [fd00::7]:80\r\n\r\n")
            let events = try await tapper.events(count: 3)
            #expect(events[0].http.requestInit.authority == "[fd00::7]:80")
            for event in events {
                #expect(event.source.ip.ipv6.first == 0 && event.source.ip.ipv6.last == 1)
                #expect(event.destination.ip.ipv6.first == 0 && event.destination.ip.ipv6.last == 1)
                #expect(event.destination.port == UInt32(server.address.port ?? 0))
            }
        }
    }
}
