import MeshTLS
import NIOCore

/// Stands behind a `TLSHandler` until its handshake is over, says how it ended, and steps aside.
///
/// On success the handlers for what comes next may be added behind it, during the call.
final class TLSWait: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private var done: ((Result<TLSPeer, any Error>, ChannelHandlerContext) -> Void)?

    /// - Parameter done: called once, on the channel's loop.
    init(_ done: @escaping (Result<TLSPeer, any Error>, ChannelHandlerContext) -> Void) {
        self.done = done
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let established = event as? TLSEstablished else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        finish(.success(established.peer), context)
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        finish(.failure(error), context)
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(.failure(TLSWaitEnded()), context)
        context.fireChannelInactive()
    }

    private func finish(_ result: Result<TLSPeer, any Error>, _ context: ChannelHandlerContext) {
        guard let done else { return }
        self.done = nil
        done(result, context)
    }

    /// What failed, in words that can stand in a log or a message.
    static func reason(_ error: any Error) -> String {
        if let error = error as? TLSError { return error.kind.rawValue }
        if error is TLSWaitEnded { return "closed in handshake" }
        return "\(error)"
    }
}

/// The connection ended in its handshake without a reason.
struct TLSWaitEnded: Error {}
