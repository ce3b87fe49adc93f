import AsyncHTTPClient
import Foundation
import MeshAPI
import NIOCore
import NIOHTTP1
import NIOSSL
import SwiftProtobuf
import Synchronization
import Tap
import Testing

@Suite("The HTTPS door on a real socket", .timeLimit(.minutes(2))) struct HTTPSTests {
    private let path = "/apis/tap.linkerd.io/v1alpha1/watch/namespaces/emojivoto/deployments/web/tap"

    /// A door for one pod's proxy, and a client that trusts it; with `certificate` the client shows that.
    private func run(
        showing certificate: ServingPair? = nil,
        _ body: @escaping @Sendable (HTTPClient, Int, [FakeProxy], FakeAuthority) async throws -> Void
    ) async throws {
        try await FakeProxy.run(["127.0.0.2"]) { proxies, proxyPort in
            let (authority, pair) = (FakeAuthority(), try OwnCertificate.make(names: ["localhost"], now: .now))
            let frontCA = try certificate ?? ClientCertificate.make(name: "front-proxy-client")
            let serving = ServingCertificate(logger: Fixtures.logger)
            try serving.refresh(pair: pair, clientCA: frontCA.authority)
            let trust = FrontProxyTrust([
                "requestheader-client-ca-file": frontCA.authority, "requestheader-allowed-names": "[\"front-proxy-client\"]",
            ])
            let engine = TapEngine(
                cluster: FakeCluster([Fixtures.pod("a", ip: "127.0.0.2")]).cluster, privacy: HeaderPrivacy(),
                tapPort: proxyPort, totals: TapTotals(), logger: Fixtures.logger)
            let answers = TapAnswers(
                engine: engine, authority: authority, trust: { trust }, metrics: { [] }, logger: Fixtures.logger)
            let door = HTTPDoor(
                host: "127.0.0.1", port: 0, certificate: serving, answers: answers, logger: Fixtures.logger)
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(pair.authority.utf8)))
            if let certificate {
                tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(certificate.certificate.utf8)).map { .certificate($0) }
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(certificate.key.utf8), format: .pem))
            }
            let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: .init(tlsConfiguration: tls))
            do {
                try await Self.serving(door) { port in try await body(client, port, proxies, authority) }
            } catch {
                // A test that shut it down itself has done so already.
                try? await client.shutdown()
                throw error
            }
            try? await client.shutdown()
        }
    }

    private static func serving(_ door: HTTPDoor, _ body: @escaping @Sendable (Int) async throws -> Void) async throws {
        let (ports, bound) = AsyncStream<Int>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await door.run { bound.yield($0) } }
            defer { group.cancelAll() }
            for await port in ports {
                try await body(port)
                break
            }
        }
    }

    private func request(_ port: Int, headers: [(String, String)]) throws -> HTTPClientRequest {
        var request = HTTPClientRequest(url: "https://localhost:\(port)\(path)")
        request.method = .POST
        for header in headers { request.headers.add(name: header.0, value: header.1) }
        request.body = .bytes(ByteBuffer(bytes: try Fixtures.request().serializedBytes() as [UInt8]))
        return request
    }

    @Test("Events come framed as they happen, and the proxy is left alone when the caller leaves")
    func streams() async throws {
        try await run { client, port, proxies, _ in
            let response = try await client.execute(
                try request(port, headers: [("authorization", "Bearer good")]), timeout: .seconds(30))
            #expect(response.status == .ok)
            #expect(response.headers.first(name: "content-type") == "application/octet-stream")
            try await eventually("the stream") { proxies[0].openCount == 1 }
            proxies[0].send(Fixtures.exchange(7))
            var bytes = ByteBuffer()
            var events: [Linkerd2_Tap_TapEvent] = []
            for try await piece in response.body {
                bytes.writeImmutableBuffer(piece)
                while let length = bytes.getInteger(at: bytes.readerIndex, endianness: .little, as: UInt32.self),
                    bytes.readableBytes >= 4 + Int(length)
                {
                    bytes.moveReaderIndex(forwardBy: 4)
                    events.append(try Linkerd2_Tap_TapEvent(serializedBytes: bytes.readBytes(length: Int(length)) ?? []))
                }
                if events.count == 3 { break }
            }
            #expect(events.first?.http.requestInit.id.stream == 7)
            try await client.shutdown()
            try await eventually("the proxy to be left alone") { proxies[0].openCount == 0 }
        }
    }

    @Test("The front proxy's certificate makes its headers count")
    func frontProxy() async throws {
        let certificate = try ClientCertificate.make(name: "front-proxy-client")
        try await run(showing: certificate) { client, port, proxies, authority in
            let response = try await client.execute(
                try request(port, headers: [("X-Remote-User", "ann"), ("X-Remote-Group", "devs")]), timeout: .seconds(30))
            #expect(response.status == .ok)
            #expect(authority.asked.withLock { $0.first?.0 } == TapUser(name: "ann", groups: ["devs"]))
        }
    }

    @Test("Without a certificate the same headers are nobody's")
    func forged() async throws {
        try await run { client, port, _, authority in
            let response = try await client.execute(
                try request(port, headers: [("X-Remote-User", "ann")]), timeout: .seconds(30))
            #expect(response.status.code == 401)
            #expect(authority.asked.withLock { $0.isEmpty })
        }
    }

    @Test("A stranger's certificate is no way in")
    func stranger() async throws {
        let stranger = try ClientCertificate.make(name: "someone-else")
        try await run(showing: stranger) { client, port, _, _ in
            let response = try await client.execute(
                try request(port, headers: [("X-Remote-User", "ann")]), timeout: .seconds(30))
            #expect(response.status.code == 400)
        }
    }
}
