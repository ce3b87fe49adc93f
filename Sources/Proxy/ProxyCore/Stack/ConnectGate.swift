// Connection attempts to one endpoint, with back-off: after a failure the gate is shut for a while, so that
// the balancer looks elsewhere, and the next attempt after that is immediate.

package import MeshBalance
package import MeshTransport
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
        _ configure: @escaping (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        let promise = loop.makePromise(of: (any Channel).self)
        let attempt = Connector.connect(
            to: address, on: loop, timeout: settings.timeout, settings: settings.socket
        ) { channel in
            try configure(channel)
        }
        attempt.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let channel):
                failureCount = 0
                // Not before: a connection that never was is not open, and nothing would count it closed.
                transport.opened()
                promise.succeed(channel)
            case .failure(let error):
                failed()
                promise.fail(ProxyError(connecting: error, timeout: settings.timeout))
            }
        }
        return promise.futureResult
    }

    private func failed() {
        let delay = settings.backoff.nanoseconds(afterFailures: failureCount, using: &random)
        failureCount += 1
        shutUntil = .now() + .nanoseconds(Int64(clamping: delay))
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
