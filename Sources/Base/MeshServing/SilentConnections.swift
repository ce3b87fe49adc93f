public import NIOCore

extension ChannelPipeline.SynchronousOperations {
    /// Closes the connection once its peer has sent nothing for so long; on its event loop.
    ///
    /// - Throws: When the connection has closed meanwhile.
    public func closeWhenSilent(for limit: TimeAmount) throws {
        try addHandler(IdleStateHandler(readTimeout: limit))
        try addHandler(CloseWhenSilent())
    }
}

/// Closes a connection that has been silent for too long.
private final class CloseWhenSilent: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
