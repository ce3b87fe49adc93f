import Crypto
import Foundation
import MeshTLS
import MeshTestPKI
import SwiftASN1
import Testing
import X509

@Suite("Certificates and keys", .timeLimit(.minutes(1))) struct CertificateTests {
    let mesh: TestMesh

    init() throws { mesh = try TestMesh.shared.get() }

    @Test("Validity and names are read as they were written")
    func parse() throws {
        let leaf = try mesh.root.issue(
            [.dnsName("A.b"), .uniformResourceIdentifier("spiffe://td/x"), .dnsName("*.c")], startsIn: -100,
            endsIn: 4_000)
        let theirs = try X509.Certificate(pemEncoded: leaf.chainPEM)
        let ours = try #require(try MeshTLS.Certificate.all(pem: leaf.chainPEM).first)
        #expect(ours.notBeforeSeconds == Int64(theirs.notValidBefore.timeIntervalSince1970.rounded(.down)))
        #expect(ours.notAfterSeconds == Int64(theirs.notValidAfter.timeIntervalSince1970.rounded(.down)))
        #expect(ours.names == [.dns("a.b"), .uri("spiffe://td/x")])
        #expect(ours.identity == "a.b")
        #expect(ours.isFor("a.b") && ours.isFor("spiffe://td/x") && !ours.isFor("b") && !ours.isFor(""))
        #expect(try MeshTLS.Certificate(der: ours.der).der == ours.der)
    }

    @Test("Damaged certificates and texts are errors, never crashes")
    func damaged() throws {
        let der = try #require(try MeshTLS.Certificate.all(pem: mesh.web.chainPEM).first).der
        #expect(throws: MeshTLS.CertificateError.self) { try MeshTLS.Certificate(der: []) }
        #expect(throws: MeshTLS.CertificateError.self) { try MeshTLS.Certificate(der: der + [0]) }
        #expect(throws: MeshTLS.CertificateError.self) { try TrustAnchors(pem: "") }
        #expect(throws: MeshTLS.CertificateError.self) { try TrustAnchors(pem: "no certificate here") }
        let torn = mesh.web.chainPEM.replacingOccurrences(of: "-----END CERTIFICATE-----", with: "")
        #expect(throws: MeshTLS.CertificateError.self) { try TrustAnchors(pem: torn) }
        #expect(throws: MeshTLS.CertificateError.self) { try TrustAnchors(pem: mesh.root.pem + "\n" + torn) }
        let seed: UInt64 = 0xCE27
        var random = SeededGenerator(seed: seed)
        for _ in 0..<5_000 {
            var bytes = der
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
                    in: 0...255, using: &random)
            }
            if Bool.random(using: &random) {
                bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random))
            }
            guard let parsed = try? MeshTLS.Certificate(der: bytes) else { continue }
            #expect(parsed.names.count <= MeshTLS.Certificate.namesMax, "seed \(seed)")
        }
    }

    @Test(
        "A request is a valid PKCS#10 with the identity as name, in the eyes of another library",
        arguments: [TestMesh.web, "a.b", "spiffe://root.linkerd.cluster.local/ns/web"])
    func request(identity: String) throws {
        let made = try KeyAndCSR.generate(identity: identity)
        let request = try CertificateSigningRequest(derEncoded: made.csr)
        #expect(request.publicKey.isValidSignature(request.signature, for: request))
        let names = try #require(try request.attributes.extensionRequest?.extensions.subjectAlternativeNames)
        let isURI = identity.contains("://")
        #expect(Array(names) == [isURI ? .uniformResourceIdentifier(identity) : .dnsName(identity)])
        let fits = identity.utf8.count <= 64
        #expect(String(describing: request.subject) == (fits ? "CN=\(identity)" : ""))
    }

    @Test("Identities that are no names get no request", arguments: ["", "a b", "*.a", "a.", "http://a b"])
    func badIdentity(identity: String) {
        #expect(throws: MeshTLS.CertificateError.self) { try KeyAndCSR.generate(identity: identity) }
    }

    @Test("Key and request of a wrapper's folder are read, and must belong together")
    func folder() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "mesh-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        #expect(throws: MeshTLS.CertificateError.self) { try KeyAndCSR.load(directory: folder.path) }
        let (key, other) = (P256.Signing.PrivateKey(), P256.Signing.PrivateKey())
        let request = try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName { CommonName("a.b") }, privateKey: .init(key),
            attributes: .init(), signatureAlgorithm: .ecdsaWithSHA256)
        var serializer = DER.Serializer()
        try serializer.serialize(request)
        let csr = serializer.serializedBytes
        try Data(csr).write(to: folder.appending(path: "csr.der"))
        try key.derRepresentation.write(to: folder.appending(path: "key.p8"))
        #expect(try KeyAndCSR.load(directory: folder.path).csr == csr)
        try other.derRepresentation.write(to: folder.appending(path: "key.p8"))
        #expect(throws: MeshTLS.CertificateError.self) { try KeyAndCSR.load(directory: folder.path) }
        try P384.Signing.PrivateKey().derRepresentation.write(to: folder.appending(path: "key.p8"))
        #expect(throws: MeshTLS.CertificateError.self) { try KeyAndCSR.load(directory: folder.path) }
        try Data(repeating: 1, count: KeyAndCSR.fileBytesMax + 1).write(to: folder.appending(path: "csr.der"))
        #expect(throws: MeshTLS.CertificateError.self) { try KeyAndCSR.load(directory: folder.path) }
    }

    @Test("What identity sends is checked: chain, time, name and key")
    func verification() throws {
        let issuer = try TestAuthority("issuer", below: mesh.root)
        let leaf = try issuer.issue([.dnsName(TestMesh.web)], above: [issuer])
        let certified = try leaf.certifiedKey
        let now = certified.leaf.notBeforeSeconds + 1
        try certified.verify(identity: TestMesh.web, anchors: mesh.anchors, atUnixSeconds: now)
        func kind(_ key: CertifiedKey, _ name: String, _ seconds: Int64) -> MeshTLS.CertificateError.Kind? {
            do throws(MeshTLS.CertificateError) {
                try key.verify(identity: name, anchors: mesh.anchors, atUnixSeconds: seconds)
                return nil
            } catch { return error.kind }
        }
        #expect(kind(certified, TestMesh.bot, now) == .identityMismatch)
        #expect(kind(certified, TestMesh.web, now - 10) == .untrusted)
        #expect(kind(certified, TestMesh.web, certified.leaf.notAfterSeconds + 1) == .untrusted)
        #expect(kind(try TestAuthority().issue(TestMesh.web).certifiedKey, TestMesh.web, now) == .untrusted)
        let alone = try CertifiedKey(chain: [certified.leaf], key: certified.key)
        #expect(kind(alone, TestMesh.web, now) == .untrusted)
        #expect(throws: MeshTLS.CertificateError.self) { try CertifiedKey(chain: [], key: certified.key) }
        #expect(throws: MeshTLS.CertificateError.self) {
            try CertifiedKey(chain: certified.chain, key: PrivateKey.generate())
        }
    }
}
