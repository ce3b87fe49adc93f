// The roots that the whole mesh trusts. They are read once: proxies got the same bundle when they were
// injected, so a change means a restart of everything anyway.

internal import Crypto
package import Foundation
internal import SwiftASN1
@_spi(FixedExpiryValidationTime) package import X509

/// A bundle of root certificates.
package struct TrustAnchors: Sendable {
    /// RSA keys of these sizes are accepted besides P-256.
    static let rsaBits: Set<Int> = [2_048, 4_096]

    package let certificates: [Certificate]
    private let store: CertificateStore

    /// Reads a bundle.
    ///
    /// - Throws: `.configuration` when it is empty, not PEM, or has an anchor that proxies would not accept.
    package init(pem: String, file: String = "the trust anchor bundle") throws(IdentityError) {
        let certificates = try PEM.certificates(pem, in: file)
        guard !certificates.isEmpty else { throw IdentityError(.configuration, "\(file) has no certificate") }
        for certificate in certificates {
            try Self.check(certificate)
        }
        self.certificates = certificates
        store = CertificateStore(certificates)
    }

    private static func check(_ anchor: Certificate) throws(IdentityError) {
        func refuse(_ what: String) -> IdentityError {
            IdentityError(.configuration, "the trust anchor \(anchor.subject) \(what)")
        }
        guard
            anchor.signatureAlgorithm == .ecdsaWithSHA256
                || anchor.signatureAlgorithm == .sha256WithRSAEncryption
        else { throw refuse("must be signed with SHA-256") }
        if P256.Signing.PublicKey(anchor.publicKey) != nil { return }
        guard let bits = rsaModulusBits(anchor.publicKey), rsaBits.contains(bits) else {
            throw refuse("must have a P-256, RSA-2048 or RSA-4096 key")
        }
    }

    /// The size of an RSA key, `nil` for keys of other kinds. RFC 8017 appendix A.1.1: a sequence of modulus
    /// and exponent.
    private static func rsaModulusBits(_ key: Certificate.PublicKey) -> Int? {
        guard let node = try? DER.parse(Array(key.subjectPublicKeyInfoBytes)),  // A point on a curve.
            node.identifier == .sequence, case .constructed(let parts) = node.content,
            let modulus = parts.first(where: { _ in true }), case .primitive(let bytes) = modulus.content,
            let first = bytes.first(where: { $0 != 0 }), let start = bytes.firstIndex(of: first)
        else { return nil }
        return (bytes.endIndex - start) * 8 - first.leadingZeroBitCount
    }

    /// Builds the path from `chain[0]` through the rest of `chain` to an anchor, and checks it at `now`.
    ///
    /// - Returns: The certificates of the path, anchor last.
    /// - Throws: `.issuerInvalid` when there is no path.
    /// Source: RFC 5280 section 6, by swift-certificates.
    package func path(from chain: [Certificate], at now: Date) async throws(IdentityError) -> [Certificate] {
        guard let leaf = chain.first else {
            throw IdentityError(.issuerInvalid, "the issuer has no certificate")
        }
        var verifier = Verifier(rootCertificates: store) { RFC5280Policy(fixedExpiryValidationTime: now) }
        switch await verifier.validate(leaf: leaf, intermediates: CertificateStore(chain.dropFirst())) {
        case .validCertificate(let path): return Array(path)
        case .couldNotValidate:
            if leaf.notValidAfter < now {
                throw IdentityError(
                    .issuerInvalid, "the issuer expired at \(RFC3339.text(leaf.notValidAfter))")
            }
            if leaf.notValidBefore > now {
                throw IdentityError(
                    .issuerInvalid, "the issuer is not valid before \(RFC3339.text(leaf.notValidBefore))")
            }
            throw IdentityError(.issuerInvalid, "the issuer does not chain to a valid trust anchor")
        }
    }
}

/// Times as Kubernetes and people read them.
enum RFC3339 {
    /// `2026-01-31T12:00:00Z`; fractions of a second are cut off.
    static func text(_ date: Date) -> String {
        Date(timeIntervalSince1970: date.timeIntervalSince1970.rounded(.down)).formatted(.iso8601)
    }
}
