// Bytes forwarded unparsed, both ways, with half-close and back-pressure. Also what an HTTP/1 connection
// becomes after 101 or CONNECT.

package import NIOCore

/// One side of an opaque connection; two of them, on one loop, make a pair.
package final class OpaqueSide: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private let transport: TransportMetrics
    private let onClose: (() -> Void)?
    private var context: ChannelHandlerContext?
    private var peer: OpaqueSide?
    private var isInputClosed = false
    private var isFinishing = false
    private var errno: CInt = 0
    /// What came before there was a peer; its owner stops reading meanwhile, so it is one read at most.
    private var early: ByteBuffer?

    /// - Parameters:
    ///   - transport: counts this socket's bytes and its close.
    ///   - onClose: called once when this socket is gone.
    package init(transport: TransportMetrics, onClose: (() -> Void)? = nil) {
        self.transport = transport
        self.onClose = onClose
    }

    /// Joins two sides: what one reads the other writes. Both handlers must be in their pipelines already.
    package static func join(_ one: OpaqueSide, _ other: OpaqueSide) {
        one.peer = other
        other.peer = one
        // Whatever closed before it had a peer closes the other now.
        one.context == nil ? other.sourceGone() : one.settle()
        other.context == nil ? one.sourceGone() : other.settle()
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        transport.read(buffer.readableBytes)
        if let peer {
            peer.write(buffer)
        } else {
            early.setOrWriteImmutableBuffer(buffer)
        }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        peer?.context?.flush()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        peer?.setReading(context.channel.isWritable)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            isInputClosed = true
            peer?.finishOutput()
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        errno = (error as? IOError)?.errnoCode ?? errno
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        transport.closed(errno: errno)
        self.context = nil
        let peer = peer
        self.peer = nil
        peer?.peer = nil
        peer?.sourceGone()
        onClose?()
    }

    /// Puts bytes into this side's socket; they leave with the next flush.
    package func write(_ buffer: ByteBuffer) {
        guard let context else { return }
        transport.wrote(buffer.readableBytes)
        context.write(wrapOutboundOut(buffer), promise: nil)
    }

    /// Sends what was written.
    package func flush() { context?.flush() }

    private func settle() {
        if let early {
            self.early = nil
            peer?.write(early)
            peer?.flush()
        }
        if isInputClosed { peer?.finishOutput() }
        if let context { peer?.setReading(context.channel.isWritable) }
        context?.flush()
    }

    private func setReading(_ isReading: Bool) {
        guard let channel = context?.channel else { return }
        // Fails only when the channel is closed, and then nothing is left to read.
        try? channel.syncOptions?.setOption(.autoRead, value: isReading)
    }

    /// The other side sent its last byte: ours ends too, after everything queued has left.
    private func finishOutput() {
        close(afterFlush: isInputClosed ? .all : .output)
    }

    /// The other socket is gone altogether.
    private func sourceGone() {
        close(afterFlush: .all)
    }

    private func close(afterFlush mode: CloseMode) {
        guard let context, !isFinishing || mode == .all else { return }
        isFinishing = true
        let flushed = context.eventLoop.makePromise(of: Void.self)
        let channel = context.channel
        // Closing both directions drops queued writes, so wait for an empty one behind them.
        flushed.futureResult.assumeIsolated().whenComplete { _ in channel.close(mode: mode, promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: flushed)
    }
}
