import Foundation
import MeshTLS
import MeshWire
import NIOCore
import ProxyCore
import Testing

/// Proxies that dial one another on their own port.
@Suite("Direct connections between proxies", .timeLimit(.minutes(2))) struct DirectTests {
    private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    private let get = "GET / HTTP/1.1\r\nHost: voting\r\n\r\n"

    /// Makes `server` the service's endpoint, reached through the far proxy's own port.
    private func serve(
        _ pair: MeshPair, _ server: SocketAddress, isHTTP2: Bool = false, isOpaque: Bool = false,
        authorityOverride: String? = nil, identity: String? = MeshPair.voting
    ) async throws {
        let own = pair.far.runtime.addresses[0]
        try await pair.far.inbound(to: own).close()
        pair.near.discovery.setProfile(
            "10.96.0.7:8080",
            .profile(
                DestinationProfile(
                    fullyQualifiedName: "voting.emojivoto.svc.cluster.local", isOpaque: isOpaque)))
        let hint = DiscoveredEndpoint.ProtocolHint(
            isHTTP2: isHTTP2, opaqueTransportPort: UInt16(own.port ?? 0))
        pair.near.discovery.setEndpoints(
            MeshPair.service,
            .replace([
                DiscoveredEndpoint(
                    address: server, protocolHint: hint, tlsIdentity: identity,
                    authorityOverride: authorityOverride)
            ]))
    }

    @Test("HTTP reaches the port that the header names, whatever it is carried in", arguments: [false, true])
    func http(isHTTP2: Bool) async throws {
        try await MeshPair.run { pair in
            let server = try await ScriptedServer.start(on: pair.near.group)
            try await serve(pair, server.address, isHTTP2: isHTTP2)
            let client = try await pair.near.outbound(to: pair.address)
            try await client.send(get)
            let upstream = try await server.next()
            let head = try await upstream.takeHead()
            #expect(head.hasPrefix("GET / HTTP/1.1\r\n"))
            #expect(head.contains("l5d-client-id: \(MeshPair.web)\r\n"))
            try await upstream.send(ok)
            #expect(try await client.take(through: "hi").hasPrefix("HTTP/1.1 200 OK\r\n"))
            let port = "\(server.address.port ?? 0)"
            let labels = ["direction": "inbound", "target_port": port, "tls": "true", "client_id": MeshPair.web]
            #expect(try await pair.far.metric("response_total", labels.merging(["status_code": "200"]) { $1 }) == 1)
            #expect(try await pair.far.metric("tcp_open_total", labels.merging(["peer": "src"]) { $1 }) == 1)
            #expect(
                try await pair.near.metric("tcp_open_total", ["peer": "dst", "tls": "true", "target_port": port]) == 1)
        }
    }

    @Test("Opaque bytes pass, the server may speak first, and the header is not counted among them")
    func opaque() async throws {
        try await MeshPair.run { pair in
            let server = try await ScriptedServer.start(on: pair.near.group)
            try await serve(pair, server.address, isOpaque: true)
            let client = try await pair.near.outbound(to: pair.address)
            let upstream = try await server.next()
            try await upstream.send("220 ready\r\n")
            #expect(try await client.take(through: "\n") == "220 ready\r\n")
            try await client.send("HELO\r\n")
            #expect(try await upstream.take(through: "\n") == "HELO\r\n")
            try await client.closeOutput()
            try await eventually("half-close arrives") { upstream.isInputClosed }
            try await upstream.send("221 bye\r\n")
            await upstream.close()
            #expect(try await client.takeToEnd() == "221 bye\r\n")
            let far = ["direction": "inbound", "peer": "src"]
            try await eventually("all is counted") {
                let read = try await pair.far.metric("tcp_read_bytes_total", far)
                let written = try await pair.far.metric("tcp_write_bytes_total", far)
                let open = try await pair.far.metric("tcp_open_connections", far)
                return read == 6 && written == 20 && open == 0
            }
            let near = ["direction": "outbound", "peer": "dst"]
            #expect(try await pair.near.metric("tcp_write_bytes_total", near) == 6)
            #expect(try await pair.near.metric("tcp_read_bytes_total", near) == 20)
        }
    }

    @Test("A name makes a gateway connection: refused, and counted as that")
    func gateway() async throws {
        try await MeshPair.run { pair in
            let server = try await ScriptedServer.answering(ok, on: pair.near.group)
            try await serve(pair, server.address, authorityOverride: "other.ns.svc.cluster.local:80")
            let client = try await pair.near.outbound(to: pair.address)
            try await client.send(get)
            #expect(try await client.takeHead().hasPrefix("HTTP/1.1 502 "))
            #expect(server.acceptedCount == 0)
            #expect(
                try await pair.far.metric("inbound_tcp_errors_total", ["error": "gateway domain invalid"]) >= 1)
        }
    }

    @Test("Without an identity, without a header, or with plaintext, nothing is forwarded")
    func refused() async throws {
        try await MeshPair.run { pair in
            let own = pair.far.runtime.addresses[0]
            let plain = try await pair.far.inbound(to: own)
            try await plain.send(get)
            #expect(try await plain.takeToEnd().isEmpty)
            // An endpoint whose transport port discovery did not name: TLS, but no header.
            pair.near.discovery.setProfile(
                "10.96.0.7:8080",
                .profile(
                    DestinationProfile(endpoint: DiscoveredEndpoint(address: own, tlsIdentity: MeshPair.voting))))
            let client = try await pair.near.outbound(to: pair.address)
            try await client.send(get)
            #expect(try await client.takeHead().hasPrefix("HTTP/1.1 502 "))
            #expect(try await pair.far.metric("inbound_tcp_errors_total", ["error": "unexpected"]) >= 2)
            #expect(try await pair.far.metric("request_total") == 0)
        }
    }

    @Test("A header that names the proxy's own port would come back for ever: refused")
    func loop() async throws {
        try await MeshPair.run { pair in
            try await serve(pair, pair.far.runtime.addresses[0])
            let client = try await pair.near.outbound(to: pair.address)
            try await client.send(get)
            #expect(try await client.takeHead().hasPrefix("HTTP/1.1 502 "))
            #expect(try await pair.far.metric("inbound_tcp_errors_total", ["error": "gateway loop"]) >= 1)
        }
    }
}
