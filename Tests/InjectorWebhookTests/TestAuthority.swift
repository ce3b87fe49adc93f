import Crypto
import Foundation
import SwiftASN1
import X509

/// An authority of a test's own, for programs inside the cluster that answer by TLS.
struct TestAuthority {
    private let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
    private let certificate: Certificate

    init() throws {
        let name = try DistinguishedName { CommonName("test-authority") }
        certificate = try Certificate(
            version: .v3, serialNumber: .init(), publicKey: key.publicKey, notValidBefore: Date() - 60,
            notValidAfter: Date() + 3_600, issuer: name, subject: name,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                Critical(KeyUsage(keyCertSign: true))
            }, issuerPrivateKey: key)
    }

    /// What `caBundle` holds.
    var bundle: String { Data(pem.utf8).base64EncodedString() }
    var pem: String { (try? certificate.serializeAsPEM().pemString) ?? "" }

    /// Writes a certificate for a DNS name, and its key, as a Secret of type kubernetes.io/tls mounts them.
    func write(name: String, to directory: String) throws {
        let leafKey = P256.Signing.PrivateKey()
        let leaf = try Certificate(
            version: .v3, serialNumber: .init(), publicKey: Certificate.PrivateKey(leafKey).publicKey,
            notValidBefore: Date() - 60, notValidAfter: Date() + 3_600, issuer: certificate.subject,
            subject: try DistinguishedName { CommonName(name) },
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                try ExtendedKeyUsage([.serverAuth])
                SubjectAlternativeNames([.dnsName(name)])
            }, issuerPrivateKey: key)
        try leaf.serializeAsPEM().pemString.write(toFile: directory + "/tls.crt", atomically: true, encoding: .utf8)
        try leafKey.pemRepresentation.write(toFile: directory + "/tls.key", atomically: true, encoding: .utf8)
    }
}
