import MeshHTTP2
import NIOCore

/// Pings a silent connection, and says when an answer is overdue. Bound to its connection's loop.
///  A ping goes out only when nothing came for a whole interval: peers that count pings (a gRPC server calls
/// too many of them a strike) see none while there is traffic.
final class HTTP2KeepAlive {
    enum Action {
        /// A PING is in the session's output.
        case pinged
        /// Neither an answer nor anything else came in time.
        case expired
    }

    private let interval: TimeAmount
    private let timeout: TimeAmount
    private let isWhileIdle: Bool
    private var timer: Scheduled<Void>?
    private var heardSincePing = true
    private var isWaiting = false

    /// - Parameter isWhileIdle: ping even when no stream is open.
    init(interval: TimeAmount, timeout: TimeAmount, isWhileIdle: Bool = true) {
        self.interval = interval
        self.timeout = timeout
        self.isWhileIdle = isWhileIdle
    }

    func start(on loop: any EventLoop, session: HTTP2Session, _ act: @escaping (Action) -> Void) {
        schedule(interval, loop, session, act)
    }

    func stop() {
        timer?.cancel()
        timer = nil
    }

    /// Something came from the peer.
    func heard() { heardSincePing = true }

    private func schedule(
        _ delay: TimeAmount, _ loop: any EventLoop, _ session: HTTP2Session, _ act: @escaping (Action) -> Void
    ) {
        timer = loop.assumeIsolated().scheduleTask(in: delay) { [weak self] in
            self?.fire(loop, session, act)
        }
    }

    private func fire(_ loop: any EventLoop, _ session: HTTP2Session, _ act: @escaping (Action) -> Void) {
        if heardSincePing || (!isWaiting && !isWhileIdle && session.openStreamCount == 0) {
            heardSincePing = false
            isWaiting = false
            schedule(interval, loop, session, act)
        } else if isWaiting {
            act(.expired)
        } else {
            isWaiting = true
            session.ping(0x6B65_6570_616C_6976)
            schedule(timeout, loop, session, act)
            act(.pinged)
        }
    }
}
