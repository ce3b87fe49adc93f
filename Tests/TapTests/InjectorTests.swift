import AsyncHTTPClient
import Foundation
import MeshKubernetes
import MeshModel
import NIOCore
import NIOHTTP1
import NIOSSL
import Tap
import Testing

@Suite("The tap injector's webhook", .timeLimit(.minutes(1))) struct AdmissionTests {
    private struct Unreachable: Error {}

    /// What the webhook answers over HTTPS.
    private func response(_ body: String, annotations: [String: String]? = [:]) async throws -> (status: Int, body: JSONValue) {
        let admission = TapAdmission(serviceName: "tap.id") { _ in
            guard let annotations else { throw Unreachable() }
            return annotations
        }
        let pair = try OwnCertificate.make(names: ["localhost"], now: .now)
        let certificate = ServingCertificate(logger: Fixtures.logger)
        try certificate.refresh(pair: pair, clientCA: nil)
        let webhook = WebhookServer(
            host: "127.0.0.1", port: 0, context: { certificate.context }, logger: Fixtures.logger
        ) { try await admission.decide($0) }
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(pair.authority.utf8)))
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: .init(tlsConfiguration: tls))
        let (ports, bound) = AsyncStream<Int>.makeStream()
        let running = Task { try await webhook.run { bound.yield($0) } }
        let port = try #require(await ports.first { _ in true })
        var request = HTTPClientRequest(url: "https://localhost:\(port)/")
        request.method = .POST
        request.body = .bytes(ByteBuffer(string: body))
        let answer = try await client.execute(request, timeout: .seconds(30))
        let text = try await answer.body.collect(upTo: 1 << 20)
        try await client.shutdown()
        running.cancel()
        _ = await running.result
        return (Int(answer.status.code), (try? JSONValue(parsing: text.readableBytesView)) ?? .null)
    }

    private let review = """
        {"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"u1","namespace":"emojivoto",
        "kind":{"version":"v1","kind":"Pod"},"object":{"metadata":{},"spec":{"containers":[{"name":"linkerd-proxy"}]}}}}
        """

    @Test("A meshed pod gets a patch, in the version that was asked")
    func patches() async throws {
        let (status, body) = try await response(review)
        #expect(status == 200)
        #expect(body["apiVersion"]?.stringValue == "admission.k8s.io/v1beta1")
        #expect(body["response"]?["uid"]?.stringValue == "u1")
        #expect(body["response"]?["patchType"]?.stringValue == "JSONPatch")
        let patch = try #require(body["response"]?["patch"]?.stringValue.flatMap { Data(base64Encoded: $0) })
        #expect(try JSONValue(parsing: patch).arrayValue?.count == 4)
    }

    @Test("A namespace that opted out gets none; one that cannot be asked is said")
    func leaves() async throws {
        let none = try await response(review, annotations: ["viz.linkerd.io/disable-tap": "true"]).body
        #expect(none["response"]?["allowed"]?.boolValue == true)
        #expect(none["response"]?["patch"] == nil)
        let failed = try await response(review, annotations: nil).body
        #expect(failed["response"]?["allowed"]?.boolValue == false)
    }

    @Test("What is no review gets no decision", arguments: ["", "{}", "{\"request\":{}}", "not json"])
    func refuses(body: String) async throws { #expect(try await response(body).status == 400) }
}

@Suite("The service's own certificate", .timeLimit(.minutes(1))) struct OwnCertificateTests {
    private let names = ["tap.linkerd-viz.svc", "tap.linkerd-viz.svc.cluster.local"]

    @Test("It is good until a month before its end, for its names, and under its authority")
    func goodness() throws {
        let now = Date(timeIntervalSince1970: 1_800_000_000)
        let pair = try OwnCertificate.make(names: names, now: now)
        #expect(OwnCertificate.isGood(pair, names: names, now: now))
        #expect(OwnCertificate.isGood(pair, names: names, now: now + 334 * 86_400))
        #expect(!OwnCertificate.isGood(pair, names: names, now: now + 336 * 86_400))
        #expect(!OwnCertificate.isGood(pair, names: ["other"], now: now))
        let other = try OwnCertificate.make(names: names, now: now)
        #expect(!OwnCertificate.isGood(ServingPair(certificate: pair.certificate, key: other.key, authority: pair.authority), names: names, now: now))
        #expect(!OwnCertificate.isGood(ServingPair(certificate: pair.certificate, key: pair.key, authority: other.authority), names: names, now: now))
        #expect(OwnCertificate.isGood(ServingPair(certificate: pair.certificate, key: pair.key, authority: pair.authority + other.authority), names: names, now: now))
        #expect(!OwnCertificate.isGood(ServingPair(certificate: "", key: "", authority: ""), names: names, now: now))
    }
}
