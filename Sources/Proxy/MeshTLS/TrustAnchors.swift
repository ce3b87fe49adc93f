import COpenSSL
import MeshWire

/// The certificates that chains must end at; fixed for the life of the process (spec/proxy.md 9.3).
///
/// `@unchecked Sendable`: OpenSSL guards a store with its own lock, and nothing is added after init.
@safe public final class TrustAnchors: @unchecked Sendable {
    /// The anchors, in order.
    public let certificates: [Certificate]
    // SAFETY: owned by self, freed in deinit; contexts take references of their own.
    let store: OpaquePointer

    /// Reads the anchors from PEM.
    ///
    /// - Throws: As `Certificate.all(pem:)`.
    public init(pem text: String) throws(CertificateError) {
        let certificates = try Certificate.all(pem: text)
        guard let store = unsafe X509_STORE_new() else { throw CertificateError(.library) }
        // An anchor may be an intermediate: whoever installed it trusts it as it is.
        var isFilled = unsafe X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN)) == 1
        for certificate in certificates {
            isFilled = unsafe X509_STORE_add_cert(store, certificate.x509) == 1 && isFilled
        }
        Library.clearErrors()
        guard isFilled else {
            unsafe X509_STORE_free(store)
            throw CertificateError(.library)
        }
        self.certificates = certificates
        unsafe self.store = store
    }

    deinit { unsafe X509_STORE_free(store) }
}

/// A certificate chain with the key of its leaf: what a proxy shows its peers.
public struct CertifiedKey: Sendable {
    /// The leaf first, then intermediates; anchors need not be there.
    public let chain: [Certificate]
    /// The leaf's key.
    public let key: PrivateKey

    /// The leaf.
    public var leaf: Certificate { chain[0] }

    /// Joins a chain and a key.
    ///
    /// - Throws: `empty`, `malformed` when there are more than `Certificate.chainMax`, or `keyMismatch`.
    public init(chain: [Certificate], key: PrivateKey) throws(CertificateError) {
        guard let leaf = chain.first else { throw CertificateError(.empty) }
        guard chain.count <= Certificate.chainMax else { throw CertificateError(.malformed) }
        let isMatch = unsafe X509_check_private_key(leaf.x509, key.key) == 1
        Library.clearErrors()
        guard isMatch else { throw CertificateError(.keyMismatch) }
        self.chain = chain
        self.key = key
    }

    /// Checks what the identity controller sent: the chain must end at an anchor, be valid at the given time,
    /// and speak for the identity.
    ///
    /// - Throws: `untrusted` with OpenSSL's code, or `identityMismatch`.
    public func verify(
        identity: String, anchors: TrustAnchors, atUnixSeconds now: Int64
    ) throws(CertificateError) {
        defer { Library.clearErrors() }
        guard leaf.isFor(identity) else { throw CertificateError(.identityMismatch) }
        let context = unsafe X509_STORE_CTX_new()
        let others = unsafe mesh_certificates_new()
        // SAFETY: the stack borrows the certificates, which `chain` keeps alive past the verification. Both
        // functions take a nil.
        defer {
            unsafe X509_STORE_CTX_free(context)
            unsafe mesh_certificates_free(others)
        }
        for certificate in chain.dropFirst() { unsafe _ = mesh_certificates_push(others, certificate.x509) }
        guard unsafe context != nil, unsafe others != nil,
            unsafe X509_STORE_CTX_init(context, anchors.store, leaf.x509, others) == 1
        else {
            throw CertificateError(.library)
        }
        unsafe X509_STORE_CTX_set_time(context, 0, Int(now))
        guard unsafe X509_verify_cert(context) == 1 else {
            throw CertificateError(.untrusted, libraryCode: Int(unsafe X509_STORE_CTX_get_error(context)))
        }
    }
}

/// Whether a text is a DNS name that TLS can ask for.
func isDNSName(_ text: String) -> Bool { DNSName.parse(Array(text.utf8).span) != nil }
