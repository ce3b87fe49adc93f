// New credentials for an installation that brings none: a root that everything trusts, and an issuer below
// it. The root's key is handed out and not kept: with it the issuer can be replaced later without touching
// a single proxy. (Linkerd's CLI makes one certificate that is both.)

internal import Crypto
public import Foundation
internal import SwiftASN1
internal import X509

/// A fresh trust anchor and issuer, as PEM text.
public struct IssuerCredentials: Sendable {
    /// How long both are good: 365 days.
    public static let lifetime: Duration = .seconds(365 * 86_400)
    /// Validity begins this much in the past, for clocks that are slow.
    public static let clockSkewAllowance: Duration = .seconds(20)

    /// The root's certificate: the trust anchor of every proxy.
    public let trustAnchorPEM: String
    /// The root's key, PKCS #8. Belongs in a safe, never in the cluster.
    public let trustAnchorKeyPEM: String
    /// The issuer's certificate, signed by the root.
    public let issuerCertificatePEM: String
    /// The issuer's key, PKCS #8.
    public let issuerKeyPEM: String
    /// When both certificates end.
    public let notAfter: Date

    /// Makes new keys and their certificates.
    ///
    /// - Parameters:
    ///   - trustDomain: Ends both names: `root.linkerd.<trust domain>` and `identity.linkerd.<trust domain>`.
    ///   - now: The start of validity, less the allowance for clock skew.
    /// - Throws: When the library refuses to encode a certificate; no input is known that does it.
    public static func make(trustDomain: String, now: Date) throws -> IssuerCredentials {
        try IssuerCredentials(
            trustDomain: trustDomain, now: now, anchorKey: P256.Signing.PrivateKey(),
            issuerKey: P256.Signing.PrivateKey())
    }

    private init(
        trustDomain: String, now: Date, anchorKey: P256.Signing.PrivateKey, issuerKey: P256.Signing.PrivateKey
    ) throws {
        let anchor = try Self.certificate(
            of: "root.linkerd.\(trustDomain)", key: anchorKey.publicKey, signedBy: anchorKey, above: nil,
            now: now)
        let issuer = try Self.certificate(
            of: "identity.linkerd.\(trustDomain)", key: issuerKey.publicKey, signedBy: anchorKey,
            above: anchor,
            now: now)
        trustAnchorPEM = try Self.pem(anchor)
        trustAnchorKeyPEM = anchorKey.pemRepresentation + "\n"
        issuerCertificatePEM = try Self.pem(issuer)
        issuerKeyPEM = issuerKey.pemRepresentation + "\n"
        notAfter = issuer.notValidAfter
    }

    private static func certificate(
        of name: String, key: P256.Signing.PublicKey, signedBy signer: P256.Signing.PrivateKey,
        above parent: Certificate?, now: Date
    ) throws -> Certificate {
        let subject = try DistinguishedName { CommonName(name) }
        let publicKey = Certificate.PublicKey(key)
        return try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
            notValidBefore: now - clockSkewAllowance.timeInterval, notValidAfter: now + lifetime.timeInterval,
            issuer: parent?.subject ?? subject, subject: subject,
            extensions: try Certificate.Extensions {
                // The root may have issuers below it, an issuer only workloads.
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: parent == nil ? 1 : 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                SubjectKeyIdentifier(hash: publicKey)
                if parent != nil {
                    AuthorityKeyIdentifier(
                        keyIdentifier: SubjectKeyIdentifier(hash: .init(signer.publicKey)).keyIdentifier)
                }
            },
            issuerPrivateKey: Certificate.PrivateKey(signer))
    }

    private static func pem(_ certificate: Certificate) throws -> String {
        try certificate.serializeAsPEM().pemString + "\n"
    }
}
