// From OpenSSL's numbers to our closed set of causes.

import COpenSSL

extension TLSError {
    /// What the error queue says; empties it.
    ///
    /// - Parameters:
    ///   - verifyCode: the session's own verdict about the peer's certificate.
    ///   - isEstablished: whether the handshake was over.
    static func takeFromQueue(verifyCode: Int, isEstablished: Bool) -> TLSError {
        let first = ERR_peek_error()
        // Other parts of the library may have complained before the protocol did: a signature that does not
        // fit comes before the verdict about its certificate.
        var code = ERR_get_error()
        while code != 0, ERR_GET_LIB(code) != ERR_LIB_SSL { code = ERR_get_error() }
        Library.clearErrors()
        let reason = ERR_GET_REASON(code)
        guard code != 0 else {
            return TLSError(
                first == 0 ? .library : .protocolViolation, libraryCode: Int(ERR_GET_REASON(first)))
        }
        if reason == SSL_R_CERTIFICATE_VERIFY_FAILED {
            return TLSError(verificationKind(verifyCode), libraryCode: verifyCode)
        }
        // "SSL_AD_REASON_OFFSET: offset to get SSL_R_... value from SSL_AD_...": reasons above it are alerts
        // that the peer sent.
        if reason >= SSL_AD_REASON_OFFSET, let alert = UInt8(exactly: reason - SSL_AD_REASON_OFFSET) {
            let kind: Kind = Int32(alert) == SSL_AD_NO_APPLICATION_PROTOCOL ? .alpnMismatch : .peerAlert
            return TLSError(kind, alert: alert, libraryCode: Int(reason))
        }
        return TLSError(kind(reason: reason, isEstablished: isEstablished), libraryCode: Int(reason))
    }

    private static func kind(reason: Int32, isEstablished: Bool) -> Kind {
        switch reason {
        case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST, SSL_R_UNKNOWN_PROTOCOL: .notTLS
        case SSL_R_WRONG_VERSION_NUMBER: isEstablished ? .badRecord : .notTLS
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SHARED_GROUPS, SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS,
            SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_NO_SUITABLE_GROUPS,
            SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_VERSION_TOO_HIGH,
            SSL_R_NO_PROTOCOLS_AVAILABLE,
            SSL_R_NO_CIPHERS_AVAILABLE:
            .nothingShared
        case SSL_R_NO_APPLICATION_PROTOCOL: .alpnMismatch
        case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, SSL_R_DECRYPTION_FAILED, SSL_R_BAD_RECORD_TYPE,
            SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_ENCRYPTED_LENGTH_TOO_LONG, SSL_R_DATA_LENGTH_TOO_LONG,
            SSL_R_RECORD_LENGTH_MISMATCH, SSL_R_RECORD_TOO_SMALL:
            .badRecord
        default: .protocolViolation
        }
    }

    private static func verificationKind(_ code: Int) -> Kind {
        switch Int32(truncatingIfNeeded: code) {
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_CERT_UNTRUSTED, X509_V_ERR_CERT_CHAIN_TOO_LONG,
            X509_V_ERR_CERT_SIGNATURE_FAILURE:
            .untrustedIssuer
        case X509_V_ERR_CERT_HAS_EXPIRED: .expired
        case X509_V_ERR_CERT_NOT_YET_VALID: .notYetValid
        case X509_V_ERR_HOSTNAME_MISMATCH: .identityMismatch
        default: .badCertificate
        }
    }
}
