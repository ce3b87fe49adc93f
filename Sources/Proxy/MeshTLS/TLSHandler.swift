// TLS in a NIO pipeline: a `TLSSession` between the socket and the handlers that serve plaintext.
//
// The session decides; here its events become NIO's, and NIO's become calls. Kept: one gathered write per
// flush; writability, which the socket alone decides; reads, of which each one asked for ends in plaintext,
// the end, or an error; and half-close, where close_notify takes the place of FIN. Not here: which
// certificate, which name, and whether a connection should be TLS at all.

package import NIOCore

/// Fired inbound, once, when the handshake is over; what was written before it leaves right after.
package struct TLSEstablished: Sendable, Hashable {
    /// Who is at the other end, as far as it said.
    package let peer: TLSPeer
}

/// One connection's TLS, server or client.
///
/// `channelActive` passes at once, so that handlers behind may write at once; it is kept until the handshake
/// is over, up to `earlyBytesMax`. When the session fails, a `TLSError` goes through `errorCaught`, waiting
/// writes fail with it, and the channel closes.
package final class TLSHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// Bytes kept for before the handshake is over; the connection fails when more are written.
    package static let earlyBytesMax = 1_048_576

    private enum State { case idle, handshake, open, ended }

    private let session: TLSSession
    private let handshakeTimeout: TimeAmount
    private var state = State.idle
    private var timer: Scheduled<Void>?
    private var writes = PendingWrites()
    private var closingOutput: PendingClose?
    private var isOutputClosed = false
    private var isInputEnded = false
    /// A read was asked for that has not ended in anything that the handlers behind can see.
    private var isReadOwed = false

    /// - Parameter handshakeTimeout: counts from when the channel is active and this handler in it.
    package init(_ session: TLSSession, handshakeTimeout: TimeAmount) {
        self.session = session
        self.handshakeTimeout = handshakeTimeout
    }

    // MARK: Life

    package func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { start(context) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        start(context)
        context.fireChannelActive()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        session.receiveEnd()
        drain(context)
        end(with: ChannelError.eof)
        context.fireChannelInactive()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        end(with: ChannelError.alreadyClosed)
    }

    private func start(_ context: ChannelHandlerContext) {
        guard state == .idle else { return }
        state = .handshake
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: handshakeTimeout) {
            let (handler, context) = bound.value
            handler.fail(TLSError(.handshakeTimeout), context)
        }
        drain(context)
        // The handshake needs bytes even when nobody behind asks for any yet.
        if state == .handshake { context.read() }
    }

    // MARK: Inbound

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if state == .idle { start(context) }
        guard state != .ended, !isInputEnded else { return }
        session.receive(unwrapInboundIn(data))
        drain(context)
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        if state == .handshake || (state == .open && isReadOwed && !isInputEnded) {
            context.read()
        }
        context.fireChannelReadComplete()
    }

    package func read(context: ChannelHandlerContext) {
        isReadOwed = true
        context.read()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        // After close_notify the end of the transport is no news; before it, bytes may be missing.
        guard !isInputEnded, state != .ended else { return }
        session.receiveEnd()
        drain(context)
    }

    private func drain(_ context: ChannelHandlerContext) {
        while state != .ended, let event = session.nextEvent() {
            switch event {
            case .handshakeDone(let peer): opened(peer, context)
            case .plaintext(let bytes):
                isReadOwed = false
                context.fireChannelRead(wrapInboundOut(bytes))
            case .closed: inputEnded(context)
            case .failed(let error): fail(error, context)
            }
        }
        send(context, promise: nil)
    }

    private func opened(_ peer: TLSPeer, _ context: ChannelHandlerContext) {
        state = .open
        timer?.cancel()
        timer = nil
        // The last flight of the handshake leaves before anything that the event makes others write.
        send(context, promise: nil)
        context.fireUserInboundEventTriggered(TLSEstablished(peer: peer))
        flushWrites(context)
        if let closing = closingOutput, state == .open {
            closingOutput = nil
            closeOutput(context, promise: closing.promise)
        }
    }

    /// As NIO does at the end of a socket's input: an event where half-close is allowed, else the channel
    /// closes.
    private func inputEnded(_ context: ChannelHandlerContext) {
        isInputEnded = true
        isReadOwed = false
        // Fails on closed channels only, where there is nothing to half-close.
        let allowsHalf = (try? context.channel.syncOptions?.getOption(.allowRemoteHalfClosure)) ?? false
        if allowsHalf {
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        } else {
            close(context: context, mode: .all, promise: nil)
        }
    }

    private func fail(_ error: TLSError, _ context: ChannelHandlerContext) {
        guard state != .ended else { return }
        send(context, promise: nil)  // The alert, if there is one.
        end(with: error)
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    /// Lets go of everything; the channel is closed by the caller, or is closed already.
    private func end(with error: any Error) {
        state = .ended
        timer?.cancel()
        timer = nil
        closingOutput?.promise?.fail(error)
        closingOutput = nil
        writes.failAll(error)
    }

    // MARK: Outbound

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard state != .ended else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        guard !isOutputClosed, closingOutput == nil else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        writes.append(unwrapOutboundIn(data), promise)
        if state != .open, writes.bytes > Self.earlyBytesMax { fail(TLSError(.earlyWritesOverflow), context) }
    }

    package func flush(context: ChannelHandlerContext) {
        writes.markFlushed()
        if state == .open { flushWrites(context) }
    }

    private func flushWrites(_ context: ChannelHandlerContext) {
        guard state == .open, writes.hasFlushed else {
            context.flush()
            return
        }
        do throws(TLSError) {
            try session.write(writes.flushed)
        } catch {
            fail(error, context)
            return
        }
        let promise = joined(writes.flushedPromises, context)
        writes.dropFlushed()
        send(context, promise: promise)
    }

    /// One promise that keeps all others; none when nobody asked.
    private func joined(
        _ promises: ArraySlice<EventLoopPromise<Void>>, _ context: ChannelHandlerContext
    ) -> EventLoopPromise<Void>? {
        guard promises.count > 1 else { return promises.first }
        let joined = context.eventLoop.makePromise(of: Void.self)
        for promise in promises { joined.futureResult.cascade(to: promise) }
        return joined
    }

    private func send(_ context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        if let output = session.takeOutput() {
            context.writeAndFlush(wrapOutboundOut(output), promise: promise)
        } else if let promise {
            // Empty writes make no record, but their promises mean "what came before has left".
            context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: promise)
        }
    }

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        switch mode {
        case .input: context.close(mode: .input, promise: promise)
        case .output:
            if state == .open {
                closeOutput(context, promise: promise)
            } else if state == .ended || closingOutput != nil || isOutputClosed {
                context.close(mode: .output, promise: promise)
            } else {
                // After the handshake, behind what is waiting.
                closingOutput = PendingClose(promise: promise)
            }
        case .all:
            if state == .open {
                session.closeOutput()
                send(context, promise: nil)
            }
            isOutputClosed = true
            end(with: ChannelError.ioOnClosedChannel)
            context.close(mode: .all, promise: promise)
        }
    }

    private func closeOutput(_ context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        guard !isOutputClosed else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        isOutputClosed = true
        session.closeOutput()
        send(context, promise: nil)
        writes.failAll(ChannelError.outputClosed)
        context.close(mode: .output, promise: promise)
    }
}

/// A half-close that waits for the handshake.
private struct PendingClose {
    let promise: EventLoopPromise<Void>?
}

/// Writes in order, up to the last flush and behind it.
private struct PendingWrites {
    private var pieces: [ByteBuffer] = []
    private var promises: [EventLoopPromise<Void>] = []
    private var flushedPieces = 0
    private var flushedPromiseCount = 0
    /// Bytes in all pieces.
    private(set) var bytes = 0

    var hasFlushed: Bool { flushedPieces > 0 }

    mutating func append(_ piece: ByteBuffer, _ promise: EventLoopPromise<Void>?) {
        pieces.append(piece)
        bytes += piece.readableBytes
        if let promise { promises.append(promise) }
    }

    mutating func markFlushed() {
        flushedPieces = pieces.count
        flushedPromiseCount = promises.count
    }

    /// Everything before the last flush.
    var flushed: ArraySlice<ByteBuffer> { pieces[..<flushedPieces] }
    var flushedPromises: ArraySlice<EventLoopPromise<Void>> { promises[..<flushedPromiseCount] }

    mutating func dropFlushed() {
        for piece in flushed { bytes -= piece.readableBytes }
        Self.drop(flushedPieces, of: &pieces)
        Self.drop(flushedPromiseCount, of: &promises)
        flushedPieces = 0
        flushedPromiseCount = 0
    }

    /// Nearly always all of them, and then the array's memory is kept for the next.
    private static func drop<Element>(_ count: Int, of list: inout [Element]) {
        if count == list.count { list.removeAll(keepingCapacity: true) } else { list.removeFirst(count) }
    }

    mutating func failAll(_ error: any Error) {
        let failed = promises
        self = PendingWrites()
        for promise in failed { promise.fail(error) }
    }
}
