public import Foundation
internal import SwiftASN1
internal import X509

/// What a program's serving certificate says, beside the authorities that its callers trust.
public struct ServingCertificateFacts: Sendable {
    private let certificate: Certificate
    private let authorities: [Certificate]

    /// When the certificate ends.
    public var notAfter: Date { certificate.notValidAfter }

    /// Reads both.
    ///
    /// - Throws: `IdentityError` when either is no certificate in PEM.
    public init(certificatePEM: String, authoritiesPEM: String) throws {
        do {
            certificate = try Certificate(pemEncoded: certificatePEM)
        } catch {
            throw IdentityError(.configuration, "the serving certificate is no certificate in PEM")
        }
        do {
            authorities = try PEMDocument.parseMultiple(pemString: authoritiesPEM).map { try Certificate(pemDocument: $0) }
        } catch {
            throw IdentityError(.configuration, "the authorities that callers trust are no certificates in PEM")
        }
    }

    /// Why a caller at `time` would not take the certificate for `name`; `nil` when it would.
    public func problem(serving name: String, at time: Date) -> String? {
        if time < certificate.notValidBefore {
            return "certificate not valid before: \(certificate.notValidBefore.formatted(.iso8601))"
        }
        if time > notAfter { return "certificate not valid anymore. Expired at: \(notAfter.formatted(.iso8601))" }
        let names = (try? certificate.extensions.subjectAlternativeNames).flatMap { $0 } ?? SubjectAlternativeNames()
        guard names.contains(.dnsName(name)) else { return "certificate is not for \(name)" }
        let isSigned = authorities.contains {
            $0.subject == certificate.issuer && $0.publicKey.isValidSignature(certificate.signature, for: certificate)
        }
        return isSigned ? nil : "certificate is not signed by an authority that its callers trust"
    }
}
