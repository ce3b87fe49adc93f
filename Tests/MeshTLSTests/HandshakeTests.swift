import MeshTLS
import MeshTestPKI
import NIOCore
import SwiftASN1
import Testing
import X509

@Suite("Handshakes", .timeLimit(.minutes(1))) struct HandshakeTests {
    let mesh: TestMesh

    init() throws { mesh = try TestMesh.shared.get() }

    @Test("Both sides learn who the other is, by TLS 1.3")
    func mutual() throws {
        var pair = try SessionPair(client: mesh.client, server: mesh.server)
        pair.pump()
        let atServer = try #require(pair.server.peer)
        let atClient = try #require(pair.client.peer)
        #expect(atServer.identity == TestMesh.bot)
        #expect(atServer.serverName == TestMesh.web)
        #expect(atServer.version == .tls13)
        #expect(atClient.identity == TestMesh.web)
        #expect(atClient.version == .tls13)
        #expect(atClient.alpn == nil)
        #expect(pair.client.error == nil && pair.server.error == nil)
    }

    @Test("A client without a certificate is served, and has no identity")
    func anonymous() throws {
        var pair = try SessionPair(client: mesh.anonymousClient, server: mesh.server)
        pair.pump()
        #expect(try #require(pair.server.peer).identity == nil)
        #expect(pair.client.peer?.identity == TestMesh.web)
    }

    /// A server's leaf that the client must refuse, and why.
    struct BadServer: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let kind: TLSError.Kind
        let make: @Sendable (TestMesh) throws -> TestLeaf

        init(_ name: String, _ kind: TLSError.Kind, _ make: @escaping @Sendable (TestMesh) throws -> TestLeaf)
        {
            testDescription = name
            self.kind = kind
            self.make = make
        }
    }

    static let badServers = [
        BadServer("another identity", .identityMismatch) { try $0.root.issue("other." + TestMesh.web) },
        BadServer("only a common name", .identityMismatch) {
            try $0.root.issue([], commonName: TestMesh.web)
        },
        BadServer("a URI with the same text", .identityMismatch) {
            try $0.root.issue([.uniformResourceIdentifier(TestMesh.web)])
        },
        BadServer("part of a label as wildcard", .identityMismatch) {
            try $0.root.issue("w*" + TestMesh.web.dropFirst(3))
        },
        BadServer("expired", .expired) { try $0.root.issue(TestMesh.web, startsIn: -120, endsIn: -60) },
        BadServer("not valid yet", .notYetValid) { try $0.root.issue(TestMesh.web, startsIn: 60) },
        BadServer("of an unknown root", .untrustedIssuer) { _ in
            try TestAuthority("elsewhere").issue(TestMesh.web)
        },
        BadServer("of a root with the same name", .untrustedIssuer) { _ in
            try TestAuthority("root.linkerd.cluster.local").issue(TestMesh.web)
        },
        BadServer("without its intermediate", .untrustedIssuer) {
            try TestAuthority("issuer", below: $0.root).issue(TestMesh.web)
        },
        BadServer("for clients only", .badCertificate) {
            try $0.root.issue([.dnsName(TestMesh.web)], usages: [.clientAuth])
        },
    ]

    @Test("A client refuses a server whose certificate is", arguments: badServers)
    func refusesServer(bad: BadServer) throws {
        let context = try TLSContext.server(bad.make(mesh).certifiedKey, anchors: mesh.anchors)
        var pair = try SessionPair(client: mesh.client, server: context)
        pair.pump()
        #expect(pair.client.error?.kind == bad.kind)
        #expect(pair.client.peer == nil && pair.server.peer == nil)
        let atServer = try #require(pair.server.error)
        #expect(atServer.kind == .peerAlert)
        #expect(atServer.alert != nil)
    }

    @Test("A server refuses a client whose certificate is expired, of an unknown root, or for servers only")
    func refusesClient() throws {
        let leaves: [(TestLeaf, TLSError.Kind)] = [
            (try mesh.root.issue(TestMesh.bot, startsIn: -120, endsIn: -60), .expired),
            (try TestAuthority().issue(TestMesh.bot), .untrustedIssuer),
            (try mesh.root.issue([.dnsName(TestMesh.bot)], usages: [.serverAuth]), .badCertificate),
        ]
        for (leaf, kind) in leaves {
            let context = try TLSContext.client(leaf.certifiedKey, anchors: mesh.anchors)
            var pair = try SessionPair(client: context, server: mesh.server)
            pair.pump()
            #expect(pair.server.error?.kind == kind)
            #expect(pair.server.peer == nil)
            // In TLS 1.3 the client is done before the server looks at its certificate, and hears it then.
            #expect(pair.client.error?.kind == .peerAlert)
        }
    }

    @Test("A chain over an intermediate is taken, also when only the intermediate is the anchor")
    func intermediates() throws {
        let issuer = try TestAuthority("issuer.linkerd.cluster.local", below: mesh.root)
        let leaf = try issue(by: issuer)
        for anchors in [mesh.anchors, try issuer.anchors] {
            let context = try TLSContext.server(leaf.certifiedKey, anchors: mesh.anchors)
            var pair = try SessionPair(client: TLSContext.client(nil, anchors: anchors), server: context)
            pair.pump()
            #expect(pair.client.peer?.identity == TestMesh.web)
        }
    }

    private func issue(by issuer: TestAuthority) throws -> TestLeaf {
        try issuer.issue([.dnsName(TestMesh.web)], above: [issuer])
    }

    @Test("A SPIFFE id is matched as a URI, and is what the peer is called")
    func uriIdentity() throws {
        let id = "spiffe://root.linkerd.cluster.local/emojivoto/web"
        let leaf = try mesh.root.issue([.uniformResourceIdentifier(id), .dnsName("web.emojivoto.svc")])
        let context = try TLSContext.server(leaf.certifiedKey, anchors: mesh.anchors)
        for (expected, kind) in [(id, nil), (id + "/x", TLSError.Kind.identityMismatch)] {
            let options = TLSClientOptions(serverIdentity: expected, serverName: "web.emojivoto.svc")
            var pair = try SessionPair(client: mesh.client, options, server: context)
            pair.pump()
            #expect(pair.client.error?.kind == kind)
            #expect(pair.client.peer?.identity == (kind == nil ? id : nil))
        }
    }

    @Test(
        "A client's identity is its first usable name",
        arguments: [
            ([GeneralName.dnsName("*.wild.card"), .dnsName("Second.Name")], "second.name"),
            ([.ipAddress(ASN1OctetString(contentBytes: [10, 0, 0, 1])), .rfc822Name("a@b.c")], nil),
            ([.uniformResourceIdentifier("spiffe://td/x"), .dnsName("a.b")], "spiffe://td/x"),
            ([.dnsName("a b")], nil),
        ] as [([GeneralName], String?)])
    func clientNames(names: [GeneralName], expected: String?) throws {
        let context = try TLSContext.client(mesh.root.issue(names).certifiedKey, anchors: mesh.anchors)
        var pair = try SessionPair(client: context, server: mesh.server)
        pair.pump()
        #expect(try #require(pair.server.peer).identity == expected)
    }

    @Test(
        "Protocols: the server's order decides, silence is allowed, a mismatch ends the handshake",
        arguments: [
            (["transport.l5d.io/v1"], ["transport.l5d.io/v1"], "transport.l5d.io/v1", false),
            (["a", "b"], ["b", "a"], "b", false),
            ([], ["transport.l5d.io/v1"], nil, false),
            (["h2"], [], nil, false),
            (["h2", "http/1.1"], ["transport.l5d.io/v1"], nil, true),
            (["transport.l5d.io/v"], ["transport.l5d.io/v1"], nil, true),
        ] as [([String], [String], String?, Bool)])
    func alpn(offer: [String], accepted: [String], agreed: String?, fails: Bool) throws {
        var pair = try SessionPair(
            client: mesh.client, TLSClientOptions(serverIdentity: TestMesh.web, alpn: offer),
            server: mesh.server,
            TLSServerOptions(alpn: accepted))
        pair.pump()
        #expect(pair.server.error?.kind == (fails ? .alpnMismatch : nil))
        #expect(pair.client.error?.kind == (fails ? .alpnMismatch : nil))
        #expect(pair.client.error?.alert == (fails ? 120 : nil))
        #expect(pair.server.peer?.alpn == agreed && pair.client.peer?.alpn == agreed)
    }

    @Test("The server name chooses: this context, another one, or no service")
    func serverNames() throws {
        let other = try TLSContext.server(mesh.root.issue("other.ns").certifiedKey, anchors: mesh.anchors)
        let options = TLSServerOptions { name in
            switch name {
            case "other.ns": .use(other)
            case TestMesh.web: .accept
            default: .refuse
            }
        }
        for (name, kind) in [
            (TestMesh.web, nil), ("other.ns", nil), ("nobody.ns", TLSError.Kind.serverNameRefused),
        ] {
            var pair = try SessionPair(
                client: mesh.client, TLSClientOptions(serverIdentity: name), server: mesh.server, options)
            pair.pump()
            #expect(pair.client.peer?.identity == (kind == nil ? name : nil))
            #expect(pair.server.error?.kind == kind)
            #expect(pair.client.error?.alert == (kind == nil ? nil : 112))
            // The client's certificate is verified against the other context's anchors as well.
            #expect(pair.server.peer?.identity == (kind == nil ? TestMesh.bot : nil))
        }
    }

    @Test("Names and protocols that cannot be said are refused before the handshake")
    func unusable() throws {
        #expect(throws: TLSError.self) {
            try TLSSession(mesh.client, TLSClientOptions(serverIdentity: "not a name"))
        }
        #expect(throws: TLSError.self) { try TLSSession(mesh.client, TLSClientOptions(serverIdentity: "")) }
        #expect(throws: TLSError.self) { try TLSSession(mesh.server, TLSServerOptions(alpn: [""])) }
        let long = String(repeating: "x", count: 256)
        #expect(throws: TLSError.self) { try TLSSession(mesh.server, TLSServerOptions(alpn: [long])) }
    }

    @Test(
        "Other protocols at a TLS port are told apart from broken TLS",
        arguments: ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
    func plaintextClient(text: String) throws {
        var server = SessionPair.Side(try TLSSession(mesh.server, TLSServerOptions()))
        server.session.receive(ByteBuffer(string: text))
        server.drain()
        #expect(server.error?.kind == .notTLS)
    }

    @Test("A transport that ends inside the handshake is a failure of its own")
    func endsEarly() throws {
        var pair = try SessionPair(client: mesh.client, server: mesh.server)
        pair.client.drain()
        pair.client.session.receiveEnd()
        pair.client.drain()
        #expect(pair.client.error?.kind == .closedInHandshake)
        pair.server.session.receiveEnd()
        pair.server.drain()
        #expect(pair.server.error?.kind == .closedInHandshake)
    }

    @Test("A new certificate is for new connections; running ones go on with theirs")
    func rotation() throws {
        let cell = TLSContextCell()
        #expect(cell.current == nil)
        cell.replace(with: try .init(mesh.web.certifiedKey, anchors: mesh.anchors))
        var running = try SessionPair(client: mesh.client, server: #require(cell.current).server)
        running.pump()
        let renewed = try mesh.root.issue(TestMesh.web, endsIn: 7_200).certifiedKey
        cell.replace(with: try .init(renewed, anchors: mesh.anchors))
        let shown = try #require(cell.current).server.certifiedKey?.leaf.notAfterSeconds
        #expect(shown == renewed.leaf.notAfterSeconds)
        for text in ["one", "two"] {
            try running.client.session.write([ByteBuffer(string: text)])
            running.pump()
        }
        #expect(String(buffer: running.server.plaintext) == "onetwo")
        var fresh = try SessionPair(client: mesh.client, server: #require(cell.current).server)
        fresh.pump()
        #expect(fresh.client.peer?.identity == TestMesh.web)
    }
}
