package import NIOCore

/// Lets bytes that were written reach the peer before the channel closes. NIO's `close` gives up whatever
/// the socket has not taken yet, which cuts the end off an answer to a slow reader.
///
/// Belongs next to the socket, or to TLS when there is some.
package final class DrainBeforeClose: ChannelOutboundHandler, RemovableChannelHandler {
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// How long a peer that does not read may hold a closing channel open.
    package static let drainTimeout = TimeAmount.seconds(5)

    private var isClosing = false

    package init() {}

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .all, context.channel.isActive, !isClosing else {
            context.close(mode: mode, promise: promise)
            return
        }
        isClosing = true
        let bound = context.loopBound
        let deadline = context.eventLoop.assumeIsolated().scheduleTask(in: Self.drainTimeout) {
            bound.value.close(mode: .all, promise: nil)
        }
        // An empty write is done once everything before it is.
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            deadline.cancel()
            bound.value.close(mode: .all, promise: promise)
        }
    }
}
