// Credentials of a program that the API server calls by TLS, a webhook or an aggregated API: an authority for this
// one program, whose key is forgotten at once, and the program's own certificate.

internal import Crypto
public import Foundation
internal import SwiftASN1
internal import X509

/// A fresh serving certificate with the authority to trust it by, as PEM text.
public struct ServingCredentials: Sendable {
    /// How long both are good: 365 days.
    public static let lifetime: Duration = .seconds(365 * 86_400)

    /// What `caBundle` holds, in base64.
    public let authorityPEM: String
    /// The program's certificate.
    public let certificatePEM: String
    /// The program's key, PKCS #8.
    public let keyPEM: String
    /// When both certificates end.
    public let notAfter: Date

    /// Makes new keys and their certificates.
    ///
    /// - Parameters:
    ///   - name: The DNS name that the API server asks for: `<service>.<namespace>.svc`.
    ///   - now: The start of validity, less the allowance for clock skew.
    /// - Throws: When the library refuses to encode a certificate; no input is known that does it.
    public static func make(name: String, now: Date) throws -> ServingCredentials {
        let authorityKey = P256.Signing.PrivateKey()
        let key = P256.Signing.PrivateKey()
        let issuer = try DistinguishedName { CommonName("\(name)-ca") }
        let subject = try DistinguishedName { CommonName(name) }
        func certificate(
            _ subject: DistinguishedName, _ key: P256.Signing.PublicKey, _ extensions: Certificate.Extensions
        ) throws -> Certificate {
            try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: Certificate.PublicKey(key),
                notValidBefore: now - IssuerCredentials.clockSkewAllowance.timeInterval,
                notValidAfter: now + lifetime.timeInterval, issuer: issuer, subject: subject, extensions: extensions,
                issuerPrivateKey: Certificate.PrivateKey(authorityKey))
        }
        let authority = try certificate(
            issuer, authorityKey.publicKey,
            try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true))
            })
        let leaf = try certificate(
            subject, key.publicKey,
            try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth])
                SubjectAlternativeNames([.dnsName(name)])
            })
        return ServingCredentials(
            authorityPEM: try authority.serializeAsPEM().pemString + "\n",
            certificatePEM: try leaf.serializeAsPEM().pemString + "\n", keyPEM: key.pemRepresentation + "\n",
            notAfter: leaf.notValidAfter)
    }
}
