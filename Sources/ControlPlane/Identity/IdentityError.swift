internal import GRPCCore

/// Why a certificate was not issued, or the controller cannot issue any.
package struct IdentityError: Error, Equatable, CustomStringConvertible {
    /// What kind of mistake it is; the raw value labels metrics.
    package enum Kind: String, CaseIterable, Sendable {
        /// Flags or files of the controller itself.
        case configuration
        /// The issuer does not chain to a trust anchor at this moment.
        case issuerInvalid = "issuer_invalid"
        /// A part of the request is missing, too large, or not what it should be.
        case invalidRequest = "invalid_request"
        /// The signing request asks for something other than the one name.
        case requestRefused = "request_refused"
        /// The public key is not on P-256, or signing failed.
        case signing
        /// The API server did not review the token.
        case reviewFailed = "review_failed"
        /// The review found the token itself faulty, or its user is no service account.
        case invalidToken = "invalid_token"
        /// The token is nobody's.
        case notAuthenticated = "not_authenticated"
        /// The token is somebody else's.
        case identityMismatch = "identity_mismatch"
    }
    package let kind: Kind
    /// Text for people; goes to the caller.
    package let message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    package var description: String { message }
}

extension IdentityError.Kind {
    /// The gRPC code of each kind, as Linkerd answers. A proxy tries again after any of them.
    var code: RPCError.Code {
        switch self {
        case .configuration, .issuerInvalid: .unavailable
        case .invalidRequest, .invalidToken: .invalidArgument
        case .requestRefused, .notAuthenticated, .identityMismatch: .failedPrecondition
        case .signing, .reviewFailed: .internalError
        }
    }

    /// The same as gRPC's metrics spell it.
    var codeName: String {
        switch self {
        case .configuration, .issuerInvalid: "Unavailable"
        case .invalidRequest, .invalidToken: "InvalidArgument"
        case .requestRefused, .notAuthenticated, .identityMismatch: "FailedPrecondition"
        case .signing, .reviewFailed: "Internal"
        }
    }
}
