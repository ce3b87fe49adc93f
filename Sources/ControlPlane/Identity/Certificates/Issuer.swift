// The certificate authority of one control plane: a CA certificate, the chain above it, and its key.

internal import Crypto
package import Foundation
internal import SwiftASN1
package import X509

/// An issuer as loaded from its two files.
package struct Issuer: Sendable {
    /// The issuer's own certificate first, then upward; never empty.
    package let chain: [Certificate]
    private let certificate: Certificate
    private let key: Certificate.PrivateKey

    /// Reads an issuer.
    ///
    /// - Throws: `.configuration` when a text is not PEM, the two do not belong together, the certificate is
    ///   not an authority's, or an algorithm is none that proxies accept.
    package init(certificatePEM: String, keyPEM: String) throws(IdentityError) {
        let chain = try PEM.certificates(certificatePEM, in: "the issuer's certificate file")
        let key = try PEM.privateKey(keyPEM, in: "the issuer's key file")
        guard let certificate = chain.first else {
            throw IdentityError(.configuration, "the issuer's certificate file is empty")
        }
        guard P256.Signing.PublicKey(key.publicKey) != nil else {
            throw IdentityError(.configuration, "the issuer's key must be ECDSA on P-256")
        }
        guard key.publicKey == certificate.publicKey else {
            throw IdentityError(.configuration, "the issuer's certificate and key do not belong together")
        }
        guard
            certificate.signatureAlgorithm == .ecdsaWithSHA256
                || certificate.signatureAlgorithm == .sha256WithRSAEncryption
        else { throw IdentityError(.configuration, "the issuer's certificate must be signed with SHA-256") }
        guard Self.isAuthority(certificate) else {
            throw IdentityError(.configuration, "the issuer's certificate is not an authority's")
        }
        self.chain = chain
        self.certificate = certificate
        self.key = key
    }

    /// When the issuer's certificate ends.
    package var notAfter: Date { certificate.notValidAfter }

    private static func isAuthority(_ certificate: Certificate) -> Bool {
        // Extensions that cannot be read make no authority.
        guard let constraints = try? certificate.extensions.basicConstraints,
            case .isCertificateAuthority = constraints
        else { return false }
        guard let usage = try? certificate.extensions.keyUsage else { return true }  // Absent: any use.
        return usage.keyCertSign
    }

    /// Checks that the issuer may sign at `now`.
    ///
    /// - Throws: `.issuerInvalid` when it does not chain to an anchor.
    /// - Cost: one signature verification for each certificate of the path.
    package func verified(by anchors: TrustAnchors, at now: Date) async throws(IdentityError)
        -> VerifiedIssuer
    {
        let path = try await anchors.path(from: chain, at: now)
        let notAfter = path.map(\.notValidAfter).min() ?? certificate.notValidAfter
        return VerifiedIssuer(issuer: self, notAfter: notAfter)
    }

    fileprivate func sign(
        _ request: SigningRequest, validFrom: Date, to validTo: Date, serial: Certificate.SerialNumber
    ) throws -> Certificate {
        let subject =
            try request.hasCommonName
            ? DistinguishedName { CommonName(request.identity) } : DistinguishedName()
        let names = SubjectAlternativeNames([.dnsName(request.identity)])
        let authorityKeyID = try certificate.extensions.subjectKeyIdentifier?.keyIdentifier
        return try Certificate(
            version: .v3, serialNumber: serial, publicKey: request.publicKey, notValidBefore: validFrom,
            notValidAfter: validTo, issuer: certificate.subject, subject: subject,
            extensions: try Certificate.Extensions {
                Critical(KeyUsage(digitalSignature: true, keyEncipherment: true))
                try ExtendedKeyUsage([.serverAuth, .clientAuth])
                Critical(BasicConstraints.notCertificateAuthority)
                if let authorityKeyID { AuthorityKeyIdentifier(keyIdentifier: authorityKeyID) }
                // RFC 5280 section 4.2.1.6: critical when the subject is empty.
                if request.hasCommonName { names } else { Critical(names) }
            },
            issuerPrivateKey: key)
    }
}

/// An issuer that chained to an anchor a moment ago: the only way to a certificate.
package struct VerifiedIssuer: Sendable {
    package let issuer: Issuer
    /// The earliest end of validity on the path to the anchor.
    package let notAfter: Date

    /// Issues a certificate.
    ///
    /// - Parameters:
    ///   - lifetime: How long the certificate is good, cut at `notAfter`.
    ///   - skew: By how much clocks may differ; widens the validity at both ends.
    ///   - serial: Must be unique for the issuer. Linkerd counts from one in each process; random numbers
    ///     stay unique over restarts and replicas.
    /// - Throws: `.signing` when it cannot be built.
    package func issue(
        for request: SigningRequest, at now: Date, lifetime: Duration, skew: Duration,
        serial: Certificate.SerialNumber
    ) throws(IdentityError) -> IssuedCertificate {
        // Certificates count whole seconds, and the library rounds to the nearest.
        let now = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
        let end = min(now + lifetime.timeInterval + skew.timeInterval, notAfter)
        do {
            let leaf = try issuer.sign(request, validFrom: now - skew.timeInterval, to: end, serial: serial)
            return IssuedCertificate(
                leaf: try leaf.derBytes, intermediates: try issuer.chain.map { try $0.derBytes },
                validUntil: leaf.notValidAfter)
        } catch {
            throw IdentityError(.signing, "the certificate could not be signed: \(error)")
        }
    }
}

/// A certificate and what its holder must present with it.
package struct IssuedCertificate: Sendable {
    /// DER.
    package let leaf: [UInt8]
    /// DER, issuer first, then upward.
    package let intermediates: [[UInt8]]
    /// The end of the leaf's validity, in whole seconds.
    package let validUntil: Date

    /// SHA-256 of the leaf, in lower-case hexadecimal digits.
    package var fingerprint: String {
        SHA256.hash(data: leaf).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}

extension Certificate {
    /// The certificate's encoding, exactly as it was read or signed.
    fileprivate var derBytes: [UInt8] {
        get throws {
            var serializer = DER.Serializer()
            try serializer.serialize(self)
            return serializer.serializedBytes
        }
    }
}

extension Duration {
    /// Seconds, as Foundation's dates count them.
    var timeInterval: TimeInterval {
        let (seconds, attoseconds) = components
        return TimeInterval(seconds) + TimeInterval(attoseconds) * 1e-18
    }
}
