import Foundation
import MeshAPI
import MeshTestPKI
import MeshTransport
import NIOCore
import NIOPosix
import ProxyCore
import Testing

/// Two proxies with certificates of one authority: requests leave the first one's outbound and arrive at the
/// second one's inbound.
struct MeshPair {
    static let web = "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"
    static let voting = "voting.emojivoto.serviceaccount.identity.linkerd.cluster.local"
    static let service = "voting.emojivoto.svc.cluster.local:8080"

    let near: ProxyFixture
    let far: ProxyFixture
    let identity: FakeIdentityServer

    /// The address that the application connects to.
    var address: SocketAddress { get throws { try SocketAddress(ipAddress: "10.96.0.7", port: 8080) } }

    /// Starts both proxies, and the identity controller for them.
    /// - Parameters:
    ///   - environment: of both.
    ///   - host: where the identity controller listens.
    static func run(
        _ behaviour: FakeIdentityServer.Behaviour = .init(), nearIsMeshed: Bool = true,
        environment: [String: String] = [:], host: String = "127.0.0.1",
        _ body: (MeshPair) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let identity = try await FakeIdentityServer.start(behaviour, on: group, host: host)
        let token = FileManager.default.temporaryDirectory.appending(path: "token-\(UUID().uuidString)").path
        try Data("token".utf8).write(to: URL(filePath: token))
        defer { try? FileManager.default.removeItem(atPath: token) }
        func meshed(_ name: String) throws -> [String: String] {
            try identity.environment(name, tokenFile: token).merging(environment) { $1 }
        }
        try await ProxyFixture.run(nearIsMeshed ? meshed(web) : environment) { near in
            try await ProxyFixture.run(meshed(voting)) { far in
                try await body(MeshPair(near: near, far: far, identity: identity))
            }
        }
        try await identity.stop()
        try await group.shutdownGracefully()
    }

    /// Makes the far proxy's inbound, and behind it `server`, the service's one endpoint.
    func serve(
        _ server: SocketAddress, identity: String? = voting,
        hint: DiscoveredEndpoint.ProtocolHint = .init()
    ) async throws {
        try await far.inbound(to: server).close()  // Says where what arrives was going.
        near.discovery.setProfile(
            "10.96.0.7:8080",
            .profile(DestinationProfile(fullyQualifiedName: "voting.emojivoto.svc.cluster.local")))
        near.discovery.setEndpoints(
            Self.service,
            .replace([
                DiscoveredEndpoint(
                    address: far.runtime.addresses[0], protocolHint: hint, tlsIdentity: identity)
            ]))
    }
}

@Suite("Mesh TLS between proxies", .timeLimit(.minutes(2))) struct MeshTLSProxyTests {
    private let get = "GET / HTTP/1.1\r\nHost: voting\r\nl5d-client-id: forged\r\n\r\n"
    private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

    @Test("Both ends are named in the labels, the application learns who calls, and a forged name is dropped")
    func bothWays() async throws {
        try await MeshPair.run { pair in
            let server = try await ScriptedServer.start(on: pair.near.group)
            try await pair.serve(server.address)
            let client = try await pair.near.outbound(to: pair.address)
            try await client.send(get)
            let upstream = try await server.next()
            let head = try await upstream.takeHead()
            #expect(head.contains("l5d-client-id: \(MeshPair.web)\r\n"))
            #expect(!head.contains("forged"))
            try await upstream.send(ok)
            #expect(try await client.take(through: "hi") == ok)
            let server1 = ["tls": "true", "server_id": MeshPair.voting]
            #expect(try await pair.near.metric("request_total", server1) == 1)
            #expect(try await pair.near.metric("tcp_open_total", server1.merging(["peer": "dst"]) { $1 }) == 1)
            let client1 = ["tls": "true", "client_id": MeshPair.web, "direction": "inbound"]
            #expect(try await pair.far.metric("request_total", client1) == 1)
            #expect(try await pair.far.metric("tcp_open_total", client1.merging(["peer": "src"]) { $1 }) == 1)
            #expect(try await pair.far.metric("identity_cert_refresh_count") == 1)
            let expiry = try await pair.far.metric("identity_cert_expiration_timestamp_seconds")
            #expect(expiry > Double(WallClock.unixSeconds() + 3_000))
        }
    }

    @Test("An endpoint that cannot prove its identity gets nothing")
    func wrongIdentity() async throws {
        try await MeshPair.run { pair in
            let server = try await ScriptedServer.answering(ok, on: pair.near.group)
            // Asks for a name that is not the far proxy's, so that its TLS is passed on to the application, which
            // speaks none.
            try await pair.serve(server.address, identity: "other.emojivoto.serviceaccount.identity.linkerd.cluster.local")
            let client = try await pair.near.outbound(to: pair.address)
            try await client.send(get)
            let head = try await client.takeHead()
            #expect(head.hasPrefix("HTTP/1.1 502 "))
            #expect(head.contains("l5d-proxy-error: TLS handshake failed"))
            #expect(try await pair.far.metric("request_total") == 0)
            #expect(
                try await pair.far.metric(
                    "tcp_open_total",
                    ["tls": "opaque", "sni": "other.emojivoto.serviceaccount.identity.linkerd.cluster.local"]) >= 1)
        }
    }

    @Test("Without TLS at the client, a meshed server still serves, and says so")
    func plaintext() async throws {
        try await MeshPair.run { pair in
            let server = try await ScriptedServer.answering(ok, on: pair.near.group)
            let client = try await pair.far.inbound(to: server.address)
            try await client.send("GET / HTTP/1.1\r\nHost: voting\r\n\r\n")
            #expect(try await client.take(through: "hi") == ok)
            let labels = ["tls": "no_identity", "no_tls_reason": "no_tls_from_remote", "direction": "inbound"]
            #expect(try await pair.far.metric("request_total", labels) == 1)
            // And an endpoint that is not meshed is reached in plaintext.
            pair.near.discovery.setProfile(
                "10.96.0.7:8080",
                .profile(DestinationProfile(endpoint: DiscoveredEndpoint(address: server.address))))
            let out = try await pair.near.outbound(to: pair.address)
            try await out.send("GET / HTTP/1.1\r\nHost: voting\r\n\r\n")
            #expect(try await out.take(through: "hi") == ok)
            #expect(
                try await pair.near.metric(
                    "request_total", ["no_tls_reason": "not_provided_by_service_discovery"]) == 1)
        }
    }

    @Test("The certificate is renewed before it ends, under traffic, without a restart")
    func renewed() async throws {
        try await MeshPair.run(.init(lifetimeSeconds: 3)) { pair in
            let server = try await ScriptedServer.answering(ok, on: pair.near.group)
            try await pair.serve(server.address)
            var answered = 0
            // Three seconds of life, so both certificates of the start are long gone after four renewals.
            for _ in 0..<2_000 {
                let client = try await pair.near.outbound(to: pair.address)
                try await client.send("GET / HTTP/1.1\r\nHost: voting\r\nConnection: close\r\n\r\n")
                #expect(try await client.take(through: "hi").hasPrefix("HTTP/1.1 200"))
                await client.close()
                answered += 1
                if try await pair.far.metric("identity_cert_refresh_count") >= 4 { break }
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(try await pair.far.metric("identity_cert_refresh_count") >= 4)
            #expect(try await pair.near.metric("response_total", ["status_code": "200"]) == Double(answered))
            let keys = Set(pair.identity.requests.map(\.certificateSigningRequest))
            #expect(keys.count == 2, "one key for the life of each process")
            #expect(pair.identity.requests.allSatisfy { $0.token == Data("token".utf8) })
        }
    }

    @Test("Connections wait, and the proxy is not ready, until the first certificate")
    func waits() async throws {
        try await MeshPair.run(.init(refusals: 3)) { pair in
            // Starting returned, so it waited: three answers were refusals.
            #expect(pair.identity.requests.count == 5)
            let answer = try await pair.far.admin("GET", "/ready")
            #expect(answer.head.hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test("A certificate for another name is refused")
    func otherName() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let identity = try await FakeIdentityServer.start(
            .init(otherName: "mallory.ns.serviceaccount.identity.linkerd.cluster.local"), on: group)
        let token = FileManager.default.temporaryDirectory.appending(path: "token-\(UUID().uuidString)").path
        try Data("token".utf8).write(to: URL(filePath: token))
        defer { try? FileManager.default.removeItem(atPath: token) }
        let environment = try identity.environment(MeshPair.web, tokenFile: token)
        async let started: Void = ProxyFixture.run(environment) { proxy in
            let count = try await proxy.metric("identity_cert_refresh_count")
            #expect(count == 1)
        }
        try await eventually("two refused certificates") { identity.requests.count >= 2 }
        identity.change { $0.otherName = nil }
        try await started
        try await identity.stop()
        try await group.shutdownGracefully()
    }
}
