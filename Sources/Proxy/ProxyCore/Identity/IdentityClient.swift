// Certificates over gRPC: `io.linkerd.proxy.identity.Identity/Certify` (`spec/proxy.md` 9.1), one before the
// proxy serves, and a new one before each ends. The key lives as long as the process.

import Foundation
package import Logging
import MeshAPI
import MeshBalance
package import MeshTLS
import MeshTransport
import MeshWire
package import NIOCore
import SwiftProtobuf
import Synchronization

/// What `/metrics` says about the certificate.
package final class IdentityStatus: Sendable {
    private struct State {
        var validUntil: Int64?
        var refreshedAt: Int64?
        var refreshes: UInt64 = 0
        var failures: UInt64 = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// When the certificate in use ends, in seconds since 1970; `nil` before the first.
    package var validUntil: Int64? { state.withLock { $0.validUntil } }
    /// Certificates received.
    package var refreshCount: UInt64 { state.withLock { $0.refreshes } }

    /// When the certificate in use came, in seconds since 1970; `nil` before the first.
    package var refreshedAt: Int64? { state.withLock { $0.refreshedAt } }
    /// Attempts that brought none.
    package var failureCount: UInt64 { state.withLock { $0.failures } }

    func refreshed(validUntil: Int64, at now: Int64) {
        state.withLock {
            $0.validUntil = validUntil
            $0.refreshedAt = now
            $0.refreshes += 1
        }
    }

    func failed() { state.withLock { $0.failures += 1 } }
}

/// Gets certificates from the identity controller. Bound to its client's loop.
package final class IdentityClient {
    /// The longest wait for one answer.
    private static let answerTimeout = TimeAmount.seconds(10)
    /// A longer token is none.
    private static let tokenBytesMax = 64 * 1_024
    /// Between two lines about the same trouble.
    private static let warningInterval = TimeAmount.seconds(15)

    private let config: IdentityConfig
    private let request: KeyAndCSR
    private let client: GRPCClient
    private let contexts: TLSContextCell
    private let status: IdentityStatus
    private let logger: Logger
    private let schedule: RenewalSchedule
    private var first: EventLoopPromise<Void>?
    private var failures = 0
    private var random = XorShift(seed: .random(in: 1...UInt64.max))
    private var warnedAt: NIODeadline?
    private var isShutDown = false

    /// - Parameters:
    ///   - request: the key, and the request that names the identity.
    ///   - contexts: filled with each new certificate.
    package init(
        config: IdentityConfig, request: KeyAndCSR, client: GRPCClient, contexts: TLSContextCell,
        status: IdentityStatus, logger: Logger
    ) {
        self.config = config
        self.request = request
        self.client = client
        self.contexts = contexts
        self.status = status
        self.logger = logger
        schedule = RenewalSchedule(
            minNanoseconds: UInt64(clamping: config.minRefresh.nanoseconds),
            maxNanoseconds: UInt64(clamping: config.maxRefresh.nanoseconds))
    }

    /// Asks until there is a certificate, and from then on for the next; the future completes with the first.
    package func start() -> EventLoopFuture<Void> {
        let promise = client.loop.makePromise(of: Void.self)
        first = promise
        certify()
        return promise.futureResult
    }

    /// Asks no more.
    package func shutDown() {
        isShutDown = true
        client.shutDown()
        first?.fail(ChannelError.eof)
        first = nil
    }

    private func certify() {
        guard !isShutDown else { return }
        guard let token = SmallFile.bytes(config.tokenFile, max: Self.tokenBytesMax), !token.isEmpty else {
            return failed("token file \(config.tokenFile) cannot be read")
        }
        let message = Io_Linkerd_Proxy_Identity_CertifyRequest.with {
            $0.identity = config.localName
            $0.token = Data(token)
            $0.certificateSigningRequest = Data(request.csr)
        }
        guard let bytes: [UInt8] = try? message.serializedBytes() else {  // Three plain fields always serialise.
            return failed("request cannot be encoded")
        }
        let answer = client.unary(
            "/io.linkerd.proxy.identity.Identity/Certify", message: bytes, timeout: Self.answerTimeout)
        answer.assumeIsolated().whenComplete { [weak self] result in
            guard let self, !self.isShutDown else { return }
            do {
                try self.take(result.get())
            } catch {
                self.failed(Self.describe(error))
            }
        }
    }

    private func take(_ answer: ByteBuffer) throws {
        let response = try Io_Linkerd_Proxy_Identity_CertifyResponse(
            serializedBytes: Array(answer.readableBytesView))
        let leaf = try Certificate(der: Array(response.leafCertificate))
        let chain = try [leaf] + response.intermediateCertificates.map { try Certificate(der: Array($0)) }
        let certified = try CertifiedKey(chain: chain, key: request.key)
        let now = WallClock.unixSeconds()
        try certified.verify(identity: config.localName, anchors: config.trustAnchors, atUnixSeconds: now)
        contexts.replace(with: try TLSContextCell.Pair(certified, anchors: config.trustAnchors))
        let stated = response.hasValidUntil ? response.validUntil.seconds : leaf.notAfterSeconds
        let validUntil = min(stated, leaf.notAfterSeconds)
        status.refreshed(validUntil: validUntil, at: now)
        failures = 0
        warnedAt = nil
        logger.info("Certified identity", metadata: ["id": "\(config.localName)"])
        first?.succeed(())
        first = nil
        certifyAgain(in: schedule.afterSuccess(validUntil: validUntil, now: now, using: &random))
    }

    private func failed(_ reason: String) {
        // Known trouble is said again only now and then.
        if warnedAt.map({ NIODeadline.now() - $0 >= Self.warningInterval }) ?? true {
            warnedAt = .now()
            logger.warning(
                "No certificate from the identity controller yet, trying on",
                metadata: ["addr": "\(config.address.path(defaultPort: 8_080))", "error": "\(reason)"])
        }
        let delay = schedule.afterFailure(
            validUntil: status.validUntil, now: WallClock.unixSeconds(), failures: failures, using: &random)
        failures += 1
        status.failed()
        certifyAgain(in: delay)
    }

    private func certifyAgain(in nanoseconds: UInt64) {
        _ = client.loop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(clamping: nanoseconds))) {
            [weak self] in self?.certify()
        }
    }

    private static func describe(_ error: any Error) -> String {
        switch error {
        case let status as GRPCStatus: "code \(status.code): \(status.message)"
        case let error as CertificateError: "certificate refused: \(error.kind.rawValue)"
        default: "\(error)"
        }
    }
}
