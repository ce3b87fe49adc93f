// Connection attempts to one endpoint, with back-off: after a failure the gate is shut for a while, so that
// the balancer looks elsewhere, and the next attempt after that is immediate.

package import MeshBalance
import MeshTLS
package import MeshTransport
import MeshWire
package import NIOCore

/// How connections to endpoints are made, from the configuration.
package struct ConnectSettings: Sendable, Equatable {
    package var timeout: TimeAmount
    package var backoff: Backoff
    package var socket: SocketSettings

    package init(timeout: TimeAmount, backoff: Backoff, socket: SocketSettings) {
        self.timeout = timeout
        self.backoff = backoff
        self.socket = socket
    }
}

/// Opens connections to one endpoint on one loop and remembers failures.
final class ConnectGate {
    private let settings: ConnectSettings
    private var failureCount = 0
    private var shutUntil = NIODeadline.uptimeNanoseconds(0)
    private var random: XorShift

    init(settings: ConnectSettings) {
        self.settings = settings
        self.random = XorShift(seed: .random(in: 1...UInt64.max))
    }

    /// Whether an attempt makes sense now.
    var isOpen: Bool { failureCount == 0 || NIODeadline.now() >= shutUntil }

    func connect(
        to address: SocketAddress, on loop: any EventLoop, transport: TransportMetrics,
        tls: (endpoint: EndpointTLS, header: TransportHeader?)?,
        _ configure: @escaping (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        let promise = loop.makePromise(of: (any Channel).self)
        let handshake = tls.map { _ in Handshake() }
        let attempt = Connector.connect(
            to: address, on: loop, timeout: settings.timeout, settings: settings.socket
        ) { [self] channel in
            if let tls, let handshake {
                try begin(tls.endpoint, tls.header, on: channel, handshake, configure)
            } else {
                try configure(channel)
            }
        }
        attempt.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let channel):
                guard let handshake else { return opened(channel, transport, promise) }
                handshake.whenDone { [self] result in
                    switch result {
                    case .success: opened(channel, transport, promise)
                    case .failure(let error): failed(error, promise)
                    }
                }
            case .failure(let error): failed(error, promise)
            }
        }
        return promise.futureResult
    }

    /// Puts TLS in front, and the endpoint's handlers behind it once the handshake is over.
    private func begin(
        _ tls: EndpointTLS, _ header: TransportHeader?, on channel: any Channel, _ handshake: Handshake,
        _ configure: @escaping (any Channel) throws -> Void
    ) throws {
        guard let pair = tls.contexts.current else { throw ProxyError(.connectFailed, "no certificate yet") }
        let wait = TLSWait { result, context in
            do {
                let peer = try result.get()
                if let header, peer.alpn == TransportHeader.alpn {
                    // From in front of the handlers that count bytes: it is the transport's, not the connection's.
                    context.writeAndFlush(NIOAny(ByteBuffer(bytes: header.encoded)), promise: nil)
                }
                try configure(context.channel)
                handshake.done(.success(()))
            } catch {
                let reason = "TLS handshake failed: \(TLSWait.reason(error))"
                handshake.done(.failure(error as? ProxyError ?? ProxyError(.connectFailed, reason)))
                context.close(promise: nil)
            }
        }
        let handlers: [any ChannelHandler] = [
            TLSHandler(try TLSSession(pair.client, tls.options), handshakeTimeout: settings.timeout), wait,
        ]
        try channel.pipeline.syncOperations.addHandlers(handlers)
    }

    private func opened(
        _ channel: any Channel, _ transport: TransportMetrics, _ promise: EventLoopPromise<any Channel>
    ) {
        failureCount = 0
        // Not before: a connection that never was is not open, and nothing would count it closed.
        transport.opened()
        promise.succeed(channel)
    }

    private func failed(_ error: any Error, _ promise: EventLoopPromise<any Channel>) {
        failed()
        promise.fail(ProxyError(connecting: error, timeout: settings.timeout))
    }

    private func failed() {
        let delay = settings.backoff.nanoseconds(afterFailures: failureCount, using: &random)
        failureCount += 1
        shutUntil = .now() + .nanoseconds(Int64(clamping: delay))
    }
}

/// How one handshake ended, for whoever asks, before or after it did. Nobody asks when there was no connection.
private final class Handshake {
    private var result: Result<Void, any Error>?
    private var waiter: ((Result<Void, any Error>) -> Void)?

    func done(_ result: Result<Void, any Error>) {
        guard self.result == nil else { return }
        self.result = result
        waiter?(result)
        waiter = nil
    }

    func whenDone(_ body: @escaping (Result<Void, any Error>) -> Void) {
        if let result { body(result) } else { waiter = body }
    }
}

extension ProxyError {
    /// Names the failure of a connection attempt.
    init(connecting error: any Error, timeout: TimeAmount) {
        switch error {
        case let known as ProxyError: self = known
        case ChannelError.connectTimeout:
            self.init(.connectTimedOut, "connect timed out after \(timeout.shortText)")
        case let system as IOError:
            self.init(.connectFailed, SystemErrorText.describe(system.errnoCode))
        default: self.init(.connectFailed, "connection failed")
        }
    }
}

extension TimeAmount {
    /// `1s`, or `250ms` when it is not a whole number of seconds.
    var shortText: String {
        nanoseconds % 1_000_000_000 == 0 ? "\(nanoseconds / 1_000_000_000)s" : "\(nanoseconds / 1_000_000)ms"
    }
}
