package import Crypto
import Foundation
package import MeshTLS
import SwiftASN1
package import X509

/// A certificate authority made by swift-certificates, so that certificates come from a peer of ours.
package struct TestAuthority: Sendable {
    package let certificate: X509.Certificate
    let key: X509.Certificate.PrivateKey

    /// A root, or an intermediate below another authority.
    package init(
        _ name: String = "root.linkerd.cluster.local", below parent: TestAuthority? = nil,
        endsIn seconds: Double = 86_400
    ) throws {
        let key = X509.Certificate.PrivateKey(P256.Signing.PrivateKey())
        let subject = try DistinguishedName { CommonName(name) }
        certificate = try X509.Certificate(
            version: .v3, serialNumber: .init(), publicKey: key.publicKey,
            notValidBefore: Date(timeIntervalSinceNow: -86_400),
            notValidAfter: Date(timeIntervalSinceNow: seconds),
            issuer: parent?.certificate.subject ?? subject, subject: subject,
            extensions: try X509.Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                SubjectKeyIdentifier(hash: key.publicKey)
            },
            issuerPrivateKey: parent?.key ?? key)
        self.key = key
    }

    package var pem: String { get throws { try certificate.serializeAsPEM().pemString } }
    package var anchors: TrustAnchors { get throws { try TrustAnchors(pem: pem) } }

    /// A leaf that is valid around now unless told otherwise.
    package func issue(
        _ names: [GeneralName], commonName: String = "", startsIn start: Double = -60,
        endsIn end: Double = 3_600,
        usages: [ExtendedKeyUsage.Usage] = [.serverAuth, .clientAuth],
        above intermediates: [TestAuthority] = []
    ) throws -> TestLeaf {
        let key = P256.Signing.PrivateKey()
        let leaf = try X509.Certificate(
            version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey),
            notValidBefore: Date(timeIntervalSinceNow: start), notValidAfter: Date(timeIntervalSinceNow: end),
            issuer: certificate.subject,
            subject: commonName.isEmpty
                ? DistinguishedName() : try DistinguishedName { CommonName(commonName) },
            extensions: try X509.Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage(usages)
                if !names.isEmpty { SubjectAlternativeNames(names) }
            },
            issuerPrivateKey: self.key)
        let chain = try ([leaf] + intermediates.map(\.certificate)).map { try $0.serializeAsPEM().pemString }
        return TestLeaf(chainPEM: chain.joined(separator: "\n"), key: key)
    }

    /// A leaf for one DNS name.
    package func issue(_ name: String, startsIn start: Double = -60, endsIn end: Double = 3_600) throws -> TestLeaf {
        try issue([.dnsName(name)], startsIn: start, endsIn: end)
    }
}

extension TestAuthority {
    /// Signs what an identity controller is asked to sign: a request in DER, for one DNS name. The answer is
    /// the leaf in DER.
    package func sign(csr: [UInt8], name: String, startsIn start: Double = -60, endsIn end: Double) throws -> [UInt8] {
        let request = try CertificateSigningRequest(derEncoded: csr)
        let leaf = try X509.Certificate(
            version: .v3, serialNumber: .init(), publicKey: request.publicKey,
            notValidBefore: Date(timeIntervalSinceNow: start), notValidAfter: Date(timeIntervalSinceNow: end),
            issuer: certificate.subject, subject: DistinguishedName(),
            extensions: try X509.Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth, .clientAuth])
                SubjectAlternativeNames([.dnsName(name)])
            },
            issuerPrivateKey: key)
        var serializer = DER.Serializer()
        try serializer.serialize(leaf)
        return serializer.serializedBytes
    }
}

/// A leaf with its key, in the forms that tests need.
package struct TestLeaf: Sendable {
    package let chainPEM: String
    package let key: P256.Signing.PrivateKey

    package var keyPEM: String { key.pemRepresentation }
    package var certifiedKey: CertifiedKey {
        get throws {
            try CertifiedKey(chain: MeshTLS.Certificate.all(pem: chainPEM), key: PrivateKey(pem: keyPEM))
        }
    }
}

/// The names that most tests use, one root, and a leaf for each side.
package struct TestMesh: Sendable {
    package static let web = "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"
    package static let bot = "vote-bot.emojivoto.serviceaccount.identity.linkerd.cluster.local"

    package let root: TestAuthority
    package let anchors: TrustAnchors
    package let web: TestLeaf
    package let bot: TestLeaf

    package init() throws {
        root = try TestAuthority()
        anchors = try root.anchors
        web = try root.issue(Self.web)
        bot = try root.issue(Self.bot)
    }

    /// Once for all tests of the process: making keys takes time.
    package static let shared: Result<TestMesh, any Error> = Result { try TestMesh() }

    package var server: TLSContext { get throws { try .server(web.certifiedKey, anchors: anchors) } }
    package var client: TLSContext { get throws { try .client(bot.certifiedKey, anchors: anchors) } }
    package var anonymousClient: TLSContext { get throws { try .client(nil, anchors: anchors) } }
}
