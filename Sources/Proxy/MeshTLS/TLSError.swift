/// Why a TLS connection could not start, or cannot go on.
public struct TLSError: Error, Sendable, Hashable {
    /// The closed set of causes; the raw value can label a metric.
    public enum Kind: String, Sendable, CaseIterable {
        /// The peer's first bytes were not TLS.
        case notTLS = "not_tls"
        /// No version, cipher suite, group or signature algorithm that both sides accept.
        case nothingShared = "nothing_shared"
        /// The application protocols that the peer offers, or chose, are none of ours.
        case alpnMismatch = "alpn_mismatch"
        /// The server name that the client asked for is not served here.
        case serverNameRefused = "server_name_refused"
        /// The peer's certificate does not chain to a trust anchor.
        case untrustedIssuer = "untrusted_issuer"
        /// The peer's certificate, or one above it, is past its end.
        case expired
        /// The peer's certificate, or one above it, is not valid yet.
        case notYetValid = "not_yet_valid"
        /// The server's certificate is for another identity.
        case identityMismatch = "identity_mismatch"
        /// The peer's certificate was refused for any other reason, such as its purpose or signature.
        case badCertificate = "bad_certificate"
        /// The peer sent a fatal alert: it refused us, or gave up.
        case peerAlert = "peer_alert"
        /// A record did not decrypt, or had an impossible size.
        case badRecord = "bad_record"
        /// The peer broke the protocol in any other way.
        case protocolViolation = "protocol"
        /// The transport ended before the handshake did.
        case closedInHandshake = "closed_in_handshake"
        /// The handshake did not end in time.
        case handshakeTimeout = "handshake_timeout"
        /// The transport ended without close_notify, so bytes may be missing.
        case truncated
        /// More was written before the handshake was over than is kept.
        case earlyWritesOverflow = "early_writes_overflow"
        /// OpenSSL could not do its part, such as for lack of memory.
        case library
    }

    /// The cause.
    public let kind: Kind
    /// The alert's number (RFC 8446 section 6) when the peer sent one.
    public let alert: UInt8?
    /// OpenSSL's own reason or verification code, for logs; 0 when there is none.
    public let libraryCode: Int

    init(_ kind: Kind, alert: UInt8? = nil, libraryCode: Int = 0) {
        self.kind = kind
        self.alert = alert
        self.libraryCode = libraryCode
    }
}

/// Why a certificate, a key or a request cannot be used.
public struct CertificateError: Error, Sendable, Hashable {
    /// The closed set of causes; the raw value can label a metric.
    public enum Kind: String, Sendable, CaseIterable {
        /// The bytes are no certificate, key or request of the expected form.
        case malformed
        /// There was no certificate at all.
        case empty
        /// The key is not ECDSA on P-256.
        case keyType = "key_type"
        /// The key does not belong to the certificate or request.
        case keyMismatch = "key_mismatch"
        /// The certificate does not chain to a trust anchor, or is not valid at the time asked about.
        case untrusted
        /// The certificate is for another identity.
        case identityMismatch = "identity_mismatch"
        /// A file could not be read, or is larger than `KeyAndCSR.fileBytesMax`.
        case unreadable
        /// OpenSSL could not do its part.
        case library
    }

    /// The cause.
    public let kind: Kind
    /// OpenSSL's own verification code, for logs; 0 when there is none.
    public let libraryCode: Int

    init(_ kind: Kind, libraryCode: Int = 0) {
        self.kind = kind
        self.libraryCode = libraryCode
    }
}
