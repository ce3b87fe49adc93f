// Two channels on one event loop, each the other's continuation: bytes read here are written there. A side
// is read only while the other takes, so neither buffers more than one read.

import NIOCore

/// One half of a relay.
final class RelayHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private weak var partner: RelayHandler?  // Weak: each is kept by its own channel.
    private var context: ChannelHandlerContext?
    private var readIsHeld = false
    private var isGone = false

    /// A connected pair.
    static func pair() -> (RelayHandler, RelayHandler) {
        let (first, second) = (RelayHandler(), RelayHandler())
        first.partner = second
        second.partner = first
        return (first, second)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        guard let partner else { return }
        // The side that came second: the first has been waiting to read, or has gone meanwhile.
        if partner.isGone { close() } else { partner.resumeReading() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        isGone = true
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        partner?.context?.write(Self.wrapOutboundOut(Self.unwrapInboundIn(data)), promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        partner?.context?.flush()
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        partner?.close()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The peer will send no more: what it sent is flushed, then the other side is told.
        if let event = event as? ChannelEvent, event == .inputClosed { partner?.close() }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { partner?.resumeReading() }
        context.fireChannelWritabilityChanged()
    }

    func read(context: ChannelHandlerContext) {
        if partner?.context?.channel.isWritable ?? false {
            context.read()
        } else {
            readIsHeld = true
        }
    }

    private func resumeReading() {
        guard readIsHeld else { return }
        readIsHeld = false
        context?.read()
    }

    private func close() {
        context?.close(promise: nil)
    }
}
