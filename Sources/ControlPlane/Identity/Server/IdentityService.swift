// The gRPC face of the authority. One call is a straight line: read the request, check the issuer, check the
// signing request, ask whose token it is, compare names, sign. The order decides which error a caller sees.

internal import Foundation
internal import GRPCCore
internal import Logging
internal import MeshAPI
internal import MeshGRPC
internal import SwiftProtobuf
internal import X509

/// The service `io.linkerd.proxy.identity.Identity`.
struct IdentityService: Io_Linkerd_Proxy_Identity_Identity.SimpleServiceProtocol {
    let domain: TrustDomain
    let settings: IdentitySettings
    let store: IssuerStore
    let reviewer: TokenReviewer
    let metrics: IdentityMetrics
    let events: IdentityEvents
    let logger: Logger
    let now: @Sendable () -> Date

    func certify(
        request: Io_Linkerd_Proxy_Identity_CertifyRequest, context: ServerContext
    ) async throws -> Io_Linkerd_Proxy_Identity_CertifyResponse {
        metrics.started()
        do throws(IdentityError) {
            let (certificate, account) = try await issue(request)
            metrics.issued()
            report(certificate, identity: request.identity, account: account)
            return .with {
                $0.leafCertificate = Data(certificate.leaf)
                $0.intermediateCertificates = certificate.intermediates.map { Data($0) }
                $0.validUntil = Google_Protobuf_Timestamp(date: certificate.validUntil)
            }
        } catch {
            metrics.refused(error.kind)
            logger.debug(
                "Certificate refused", metadata: ["reason": "\(error.kind.rawValue)", "error": "\(error)"])
            throw RPCError(code: error.kind.code, message: error.message)
        }
    }

    private func issue(
        _ request: Io_Linkerd_Proxy_Identity_CertifyRequest
    ) async throws(IdentityError) -> (IssuedCertificate, ServiceAccountName) {
        let token = try Self.token(of: request)
        let signingRequest = Result { () throws(SigningRequestError) in
            try SigningRequest(der: Array(request.certificateSigningRequest), identity: request.identity)
        }
        // A request that is no request at all is refused before the issuer is looked at.
        if case .failure(let error) = signingRequest, error.identityError.kind == .invalidRequest {
            throw error.identityError
        }
        let issuer = try await verifiedIssuer()
        let granted: SigningRequest
        do { granted = try signingRequest.get() } catch { throw error.identityError }
        let account = try await reviewer.account(of: token)
        let identity = domain.identity(of: account)
        guard identity == request.identity else {
            throw IdentityError(
                .identityMismatch, "the token is for \(identity), the request for \(request.identity)")
        }
        let certificate = try issuer.issue(
            for: granted, at: now(), lifetime: settings.issuanceLifetime, skew: settings.clockSkewAllowance,
            serial: Certificate.SerialNumber())
        return (certificate, account)
    }

    /// The token as text; the other fields are present too when this returns.
    private static func token(
        of request: Io_Linkerd_Proxy_Identity_CertifyRequest
    ) throws(IdentityError) -> String {
        guard !request.identity.isEmpty else {
            throw IdentityError(.invalidRequest, "the identity is missing")
        }
        guard !request.token.isEmpty else { throw IdentityError(.invalidRequest, "the token is missing") }
        guard !request.certificateSigningRequest.isEmpty else {
            throw IdentityError(.invalidRequest, "the signing request is missing")
        }
        guard request.token.count <= TokenReviewer.tokenBytesMax,
            let token = String(data: request.token, encoding: .utf8)
        else { throw IdentityError(.invalidRequest, "the token is not text") }
        return token
    }

    private func verifiedIssuer() async throws(IdentityError) -> VerifiedIssuer {
        do { return try await store.verifiedIssuer(at: now()) } catch {
            logger.error("The issuer cannot be used", metadata: ["error": "\(error)"])
            events.record(IdentityEvent(reason: .issuerValidationFailed, message: error.message, date: now()))
            throw error
        }
    }

    private func report(_ certificate: IssuedCertificate, identity: String, account: ServiceAccountName) {
        let expiry = RFC3339.text(certificate.validUntil)
        logger.debug("Certificate issued", metadata: ["identity": "\(identity)", "expiry": "\(expiry)"])
        events.record(
            IdentityEvent(
                reason: .issuedLeafCertificate,
                message: "issued certificate for \(identity) until \(expiry): \(certificate.fingerprint)",
                account: account, date: now()))
    }
}
