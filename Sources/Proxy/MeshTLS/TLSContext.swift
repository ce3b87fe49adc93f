// What sessions of one kind share: versions, suites, trust anchors, our certificate. Made once per
// certificate, immutable then: a new certificate is a new context, and running sessions keep the one they
// began with.
//
// Source: `spec/proxy.md` 9.2. TLS 1.3, with 1.2 for peers of Linkerd 2.11; AEAD suites only; ephemeral keys
// only; no tickets, no resumption, no renegotiation, no compression.

import COpenSSL
import Synchronization

/// A TLS version that a session can end up with.
public enum TLSVersion: String, Sendable, CaseIterable {
    case tls12 = "1.2"
    case tls13 = "1.3"

    var number: Int32 { self == .tls12 ? TLS1_2_VERSION : TLS1_3_VERSION }
}

/// The owner of one SSL_CTX.
///
/// `@unchecked Sendable`: a context is not changed after init, and OpenSSL allows SSL_new on one context from
/// many threads at a time, since it counts references atomically and locks what it caches.
@safe public final class TLSContext: @unchecked Sendable {
    /// Which end of connections a context is for.
    public enum Role: Sendable { case server, client }

    /// A peer's certificates may not take more than this, together.
    static let peerCertificateBytesMax = 64 * 1_024
    private static let suites13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    private static let suites12 =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
        + "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    private static let groups = "X25519:P-256:P-384"
    private static let signatureAlgorithms =
        "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"
        + "RSA+SHA256:RSA+SHA384:RSA+SHA512"

    /// Which end this is for.
    public let role: Role
    /// What peers are shown; a client may have none.
    public let certifiedKey: CertifiedKey?

    // SAFETY: owned by self, freed in deinit; every session takes a reference of its own.
    let context: OpaquePointer

    /// A context for servers. Clients are asked for a certificate, may have none, and fail with a bad one.
    ///
    /// - Throws: `library` when OpenSSL refuses a setting or the certificate.
    public static func server(
        _ certifiedKey: CertifiedKey, anchors: TrustAnchors, minimumVersion: TLSVersion = .tls12
    ) throws(CertificateError) -> TLSContext {
        try TLSContext(.server, certifiedKey, anchors, minimumVersion)
    }

    /// A context for clients; without a certificate when there is none yet, as on the first call to the
    /// identity controller.
    ///
    /// - Throws: As `server`.
    public static func client(
        _ certifiedKey: CertifiedKey?, anchors: TrustAnchors, minimumVersion: TLSVersion = .tls12
    ) throws(CertificateError) -> TLSContext {
        try TLSContext(.client, certifiedKey, anchors, minimumVersion)
    }

    private init(
        _ role: Role, _ certifiedKey: CertifiedKey?, _ anchors: TrustAnchors, _ minimum: TLSVersion
    ) throws(CertificateError) {
        _ = Library.isLoaded
        defer { Library.clearErrors() }
        let method = unsafe role == .server ? TLS_server_method() : TLS_client_method()
        guard let context = unsafe SSL_CTX_new(method) else { throw CertificateError(.library) }
        unsafe setModes(context)
        let isSet =
            unsafe mesh_ctx_set_min_version(context, minimum.number) == 1
            && mesh_ctx_set_max_version(context, TLS1_3_VERSION) == 1
            && SSL_CTX_set_ciphersuites(context, Self.suites13) == 1
            && SSL_CTX_set_cipher_list(context, Self.suites12) == 1
            && mesh_ctx_set_groups(context, Self.groups) == 1
            && mesh_ctx_set_signature_algorithms(context, Self.signatureAlgorithms) == 1
        // SAFETY: takes a reference of the store.
        unsafe SSL_CTX_set1_cert_store(context, anchors.store)
        unsafe setCallbacks(context, role)
        guard isSet, certifiedKey.map({ unsafe use($0, context) }) ?? true else {
            unsafe SSL_CTX_free(context)
            throw CertificateError(.library)
        }
        self.role = role
        self.certifiedKey = certifiedKey
        unsafe self.context = context
    }

    deinit { unsafe SSL_CTX_free(context) }
}

private func setModes(_ context: OpaquePointer) {
    unsafe mesh_ctx_set_options(context)
    unsafe mesh_ctx_set_no_session_cache(context)
    // No stateful tickets of TLS 1.3 either.
    unsafe _ = SSL_CTX_set_num_tickets(context, 0)
    unsafe mesh_ctx_set_max_cert_list(context, TLSContext.peerCertificateBytesMax)
    // Idle connections keep no record buffers, which are 33 KiB otherwise. And only the chain that we were
    // given is sent, never one that OpenSSL builds from the anchors.
    unsafe mesh_ctx_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN))
    // Of the distribution's policy file only what is stricter remains.
    unsafe SSL_CTX_set_security_level(context, max(2, SSL_CTX_get_security_level(context)))
}

/// SAFETY: OpenSSL takes references of the certificates and the key.
private func use(_ certifiedKey: CertifiedKey, _ context: OpaquePointer) -> Bool {
    guard unsafe SSL_CTX_use_certificate(context, certifiedKey.leaf.x509) == 1,
        unsafe SSL_CTX_use_PrivateKey(context, certifiedKey.key.key) == 1
    else { return false }
    return certifiedKey.chain.dropFirst().allSatisfy { certificate in
        unsafe mesh_ctx_add_chain_certificate(context, certificate.x509) == 1
    }
}

/// The contexts in use, replaced together when a certificate is renewed; shared by all loops.
///
/// Connections that begin afterwards see the new ones, running ones notice nothing. One short lock per
/// connection, none per byte.
public final class TLSContextCell: Sendable {
    /// What a certificate gives: one context to end TLS with, one to begin it with.
    public struct Pair: Sendable {
        /// For accepted connections.
        public let server: TLSContext
        /// For connections to peers.
        public let client: TLSContext

        /// Makes both contexts of one certificate.
        public init(
            _ certifiedKey: CertifiedKey, anchors: TrustAnchors, minimumVersion: TLSVersion = .tls12
        ) throws(CertificateError) {
            server = try .server(certifiedKey, anchors: anchors, minimumVersion: minimumVersion)
            client = try .client(certifiedKey, anchors: anchors, minimumVersion: minimumVersion)
        }
    }

    private let pair: Mutex<Pair?>

    /// Starts empty when there is no certificate yet.
    public init(_ pair: Pair? = nil) { self.pair = Mutex(pair) }

    /// What new connections use; nil before the first certificate.
    public var current: Pair? { pair.withLock { $0 } }

    /// Replaces what new connections use.
    public func replace(with newPair: Pair) { pair.withLock { $0 = newPair } }
}
