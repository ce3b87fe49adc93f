// One HTTP/1 connection to an endpoint: finds where responses begin and end, and hands their bytes straight
// to the exchange it serves. Idle between exchanges, then it belongs to the endpoint's pool.

import MeshTransport
import MeshWire
import NIOCore

/// The client side of HTTP/1, one handler per connection.
final class HTTP1ClientHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        case idle, head, body, closed
        /// Replaced by an opaque side.
        case detached
    }

    let endpoint: EndpointHandle
    /// Whether an exchange before the current one used this connection.
    private(set) var isReused = false
    /// Whether a byte of the current response came.
    private(set) var hasResponseBytes = false
    /// Whether more of the request may be written without queueing much.
    private(set) var isWritable = true

    private var context: ChannelHandlerContext?
    private var exchange: (any HTTP1ResponseSink)?
    private var phase: Phase = .idle
    private var parser = HTTP1ResponseParser()
    private var body = HTTP1BodyReader(.none)
    private var input = ByteBuffer()
    private var method: HTTP1Method = .other
    private var keepsConnection = false
    private var errno: CInt = 0

    init(endpoint: EndpointHandle) {
        self.endpoint = endpoint
    }

    // MARK: The exchange's calls

    /// Starts serving an exchange; the connection must be idle.
    func begin(_ exchange: any HTTP1ResponseSink, method: HTTP1Method) {
        self.exchange = exchange
        self.method = method
        parser.rules = exchange.responseRules
        hasResponseBytes = false
        phase = .head
    }

    /// Queues bytes of the request.
    @inline(__always)
    func write(_ buffer: ByteBuffer) {
        guard let context else { return }
        endpoint.transport.wrote(buffer.readableBytes)
        context.write(wrapOutboundOut(buffer), promise: nil)
    }

    /// Sends what was queued.
    @inline(__always)
    func flush() { context?.flush() }

    /// Stops or resumes reading the response, for the sake of a slow client.
    func setReading(_ isReading: Bool) {
        // Fails only when the channel is closed, and then nothing is left to read.
        try? context?.channel.syncOptions?.setOption(.autoRead, value: isReading)
    }

    /// Ends the connection; an exchange it serves hears nothing more from it.
    func close() {
        exchange = nil
        phase = .closed
        context?.close(promise: nil)
    }

    /// The exchange is over and left the connection clean: it waits in the pool.
    func finish() {
        exchange = nil
        isReused = true
        phase = .idle
        endpoint.http1.put(self)
    }

    /// Gives the connection to an opaque side, which takes over its bytes and its close.
    func detach(to side: OpaqueSide) throws {
        guard let context else { throw ChannelError.alreadyClosed }
        exchange = nil
        phase = .detached
        try context.pipeline.syncOperations.addHandler(side, position: .after(self))
        self.context = nil
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    // MARK: The channel's events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        endpoint.transport.read(buffer.readableBytes)
        guard exchange != nil else {
            close()  // Nobody asked: a server that speaks out of turn cannot be trusted with the next request.
            return
        }
        hasResponseBytes = true
        if input.readableBytes > 0 {
            input.writeBuffer(&buffer)
        } else {
            input = buffer
        }
        do {
            try process()
        } catch {
            let exchange = exchange
            close()
            exchange?.upstreamFailed(ProxyError(.upstreamMalformed, error.rawValue))
        }
        if input.readableBytes == 0 { input = ByteBuffer() }  // Let the channel reuse its read buffer.
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        exchange?.flush()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        exchange?.upstreamWritabilityChanged(isWritable)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            ended()
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        errno = (error as? IOError)?.errnoCode ?? errno
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        isWritable = false
        guard phase != .detached else { return }
        endpoint.transport.closed(errno: errno)
        ended()
    }

    // MARK: The response

    private func process() throws(HTTP1ParseError) {
        while let exchange {
            switch phase {
            case .head: guard try processHead(exchange) else { return }
            case .body:
                let received = input
                let before = body.contentBytes
                let count = try body.consume(received.readableBytesUInt8Span, from: 0)
                exchange.tap?.passed(byteCount: body.contentBytes &- before)
                if count > 0, let slice = input.readSlice(length: count) { exchange.write(slice) }
                guard body.isDone else { return }
                responseEnded(exchange)
            case .idle, .closed, .detached: return
            }
        }
    }

    /// - Returns: `false` when the head is incomplete or the connection is no longer HTTP.
    private func processHead(_ exchange: any HTTP1ResponseSink) throws(HTTP1ParseError) -> Bool {
        let received = input
        guard try parser.parse(received.readableBytesUInt8Span, answering: method) else { return false }
        let head = parser.headBytes
        if parser.isInformational {
            exchange.forwardInformational(received, parser)
            input.moveReaderIndex(forwardBy: head)
            return true
        }
        if parser.status == 101 || (method == .connect && parser.status < 300) {
            // A tunnel that the client knows nothing of would make its next requests somebody else's bytes.
            guard parser.status != 101 || exchange.wantsUpgrade else { throw .unaskedSwitch }
            exchange.forwardSwitch(received, parser)
            input.moveReaderIndex(forwardBy: head)
            let rest = input
            input = ByteBuffer()
            exchange.becomeTunnel(from: self, received: rest)
            return false
        }
        keepsConnection = parser.keepsConnection && parser.framing != .untilClose
        body = HTTP1BodyReader(parser.framing)
        let count = try body.consume(received.readableBytesUInt8Span, from: head)
        if let retry = exchange.retry(after: parser.status) {
            input.moveReaderIndex(forwardBy: head + count)
            letGo()
            retry()
            return false
        }
        exchange.tap?.passed(byteCount: body.contentBytes)
        exchange.forwardHead(received, parser, bodyBytes: count, isUntilClose: body.isUntilClose)
        input.moveReaderIndex(forwardBy: head + count)
        phase = .body
        if body.isDone { responseEnded(exchange) }
        return true
    }

    /// The answer is of no use to the exchange: keeps the connection only if all of it is here already.
    private func letGo() {
        exchange = nil
        phase = .idle
        if body.isDone, keepsConnection, input.readableBytes == 0, !endpoint.isRetired { finish() } else { close() }
    }

    private func responseEnded(_ exchange: any HTTP1ResponseSink) {
        // Bytes after the response belong to nothing we asked for.
        let isReusable = keepsConnection && input.readableBytes == 0 && !endpoint.isRetired
        phase = .idle
        self.exchange = nil
        exchange.responseEnded(from: self, isReusable: isReusable)
    }

    private func ended() {
        let exchange = exchange
        self.exchange = nil
        switch phase {
        case .idle: endpoint.http1.remove(self)
        case .head:
            let message =
                errno == 0 ? "connection closed before message completed" : SystemErrorText.describe(errno)
            exchange?.upstreamFailed(ProxyError(.upstreamClosed, message))
        case .body:
            if body.isUntilClose, errno == 0 {
                exchange?.responseEnded(from: self, isReusable: false)
            } else {
                exchange?.upstreamFailed(
                    ProxyError(.upstreamClosed, "connection closed before message completed"))
            }
        case .closed, .detached: break
        }
        if phase != .detached { phase = .closed }
    }
}
