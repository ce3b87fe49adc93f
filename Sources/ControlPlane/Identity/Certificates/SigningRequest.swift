// What a workload's PKCS#10 request (RFC 2986) may ask for: a certificate for one DNS name, its identity,
// on a P-256 key. Requested extensions other than the name are read past and not granted, and of the
// subject only the common name matters. Linkerd does not look at the request's own signature; we do, since
// it is the proof that the caller holds the key, and every proxy signs its request anyway.

internal import Crypto
internal import SwiftASN1
package import X509

/// Why a signing request is not granted.
package struct SigningRequestError: Error, Equatable {
    /// The closed set of defects; the raw value names test vectors.
    package enum Defect: String, CaseIterable, Sendable {
        case tooLarge = "too-large"
        case malformed
        case signature
        case extensions
        case nameMissing = "name-missing"
        case nameRepeated = "name-repeated"
        case nameOther = "name-other"
        case commonNameOther = "common-name-other"
        case emailName = "email-name"
        case addressName = "address-name"
        case uriName = "uri-name"
        case otherName = "other-name"
        case keyType = "key-type"
    }
    package let defect: Defect

    package init(_ defect: Defect) { self.defect = defect }
}

/// A request that may be granted as it is.
package struct SigningRequest: Sendable {
    /// A request for one name is about 400 bytes; this leaves room for extensions that are read past.
    package static let bytesMax = 16_384

    /// The one name, equal to the identity asked for.
    package let identity: String
    /// Whether the request repeats the name in its subject; the certificate then does too.
    package let hasCommonName: Bool
    /// A key on P-256.
    package let publicKey: Certificate.PublicKey

    /// Checks a request.
    ///
    /// - Parameters:
    ///   - der: A `CertificationRequest`, with nothing behind it.
    ///   - identity: The name that the request must be for.
    /// - Throws: The first defect found.
    package init(der: [UInt8], identity: String) throws(SigningRequestError) {
        guard der.count <= Self.bytesMax else { throw SigningRequestError(.tooLarge) }
        let request: CertificateSigningRequest
        do { request = try CertificateSigningRequest(derEncoded: der) } catch {
            throw SigningRequestError(.malformed)
        }
        guard request.publicKey.isValidSignature(request.signature, for: request) else {
            throw SigningRequestError(.signature)
        }
        try Self.checkNames(Self.names(of: request), identity: identity)
        let commonNames = Self.commonNames(of: request.subject)
        guard commonNames.allSatisfy({ $0 == identity }) else { throw SigningRequestError(.commonNameOther) }
        guard P256.Signing.PublicKey(request.publicKey) != nil else { throw SigningRequestError(.keyType) }
        self.identity = identity
        hasCommonName = !commonNames.isEmpty
        publicKey = request.publicKey
    }

    /// The common names of a subject that are not empty; a name that is no text becomes one that nobody has.
    private static func commonNames(of subject: DistinguishedName) -> [String] {
        var names: [String] = []
        for relativeName in subject {
            for attribute in relativeName where attribute.type == .RDNAttributeType.commonName {
                let name: String = String(attribute.value) ?? "?"
                if !name.isEmpty { names.append(name) }
            }
        }
        return names
    }

    /// The alternative names of a request; empty when it has none.
    private static func names(of request: CertificateSigningRequest) throws(SigningRequestError)
        -> [GeneralName]
    {
        do {
            let names = try request.attributes.extensionRequest?.extensions.subjectAlternativeNames
            return names.map { Array($0) } ?? []
        } catch {
            throw SigningRequestError(.extensions)
        }
    }

    private static func checkNames(_ names: [GeneralName], identity: String) throws(SigningRequestError) {
        var dnsNames: [String] = []
        for name in names {
            switch name {
            case .dnsName(let name): dnsNames.append(name)
            case .rfc822Name: throw SigningRequestError(.emailName)
            case .ipAddress: throw SigningRequestError(.addressName)
            case .uniformResourceIdentifier: throw SigningRequestError(.uriName)
            case .otherName, .x400Address, .directoryName, .ediPartyName, .registeredID:
                throw SigningRequestError(.otherName)
            }
        }
        guard let name = dnsNames.first else { throw SigningRequestError(.nameMissing) }
        guard dnsNames.count == 1 else { throw SigningRequestError(.nameRepeated) }
        guard name == identity else { throw SigningRequestError(.nameOther) }
    }
}

extension SigningRequestError {
    /// The error that the caller of `Certify` sees.
    var identityError: IdentityError {
        switch defect {
        case .tooLarge: IdentityError(.invalidRequest, "the signing request is too large")
        case .malformed: IdentityError(.invalidRequest, "the signing request cannot be parsed")
        case .signature: IdentityError(.invalidRequest, "the signing request's signature is not valid")
        case .extensions: IdentityError(.invalidRequest, "the signing request's extensions cannot be parsed")
        case .nameMissing, .nameRepeated:
            IdentityError(.requestRefused, "the signing request must have exactly one DNS name")
        case .nameOther: IdentityError(.requestRefused, "the signing request is for another DNS name")
        case .commonNameOther:
            IdentityError(.requestRefused, "the signing request is for another common name")
        case .emailName, .addressName, .uriName, .otherName:
            IdentityError(.requestRefused, "the signing request has names other than DNS names")
        case .keyType: IdentityError(.signing, "the signing request's key must be ECDSA on P-256")
        }
    }
}
