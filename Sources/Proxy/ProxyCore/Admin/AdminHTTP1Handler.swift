import MeshTransport
import MeshWire
import NIOCore

/// A small HTTP/1 server: one request at a time, bodies up to a bound, answers built whole.
final class AdminHTTP1Handler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let connection: AdminConnection
    private var input = ByteBuffer()
    private var parser = HTTP1RequestParser(rules: [])
    private var isBusy = false
    private var isInputClosed = false
    private var saidContinue = false
    private var timer: Scheduled<Void>?
    private var errno: CInt = 0

    init(_ connection: AdminConnection) {
        self.connection = connection
    }

    func handlerAdded(context: ChannelHandlerContext) { startTimer(AdminLimits.idleTimeout, context) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        connection.transport.read(buffer.readableBytes)
        if input.readableBytes == 0, !isBusy { startTimer(AdminLimits.requestTimeout, context) }
        input.writeBuffer(&buffer)
        guard input.readableBytes <= AdminLimits.requestBytesMax else { return refuse(413, context) }
        serve(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        isInputClosed = true
        if !isBusy { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        errno = (error as? IOError)?.errnoCode ?? errno
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        connection.transport.closed(errno: errno)
    }

    private func serve(_ context: ChannelHandlerContext) {
        guard !isBusy else { return }
        do {
            guard let (request, keepsConnection) = try nextRequest(context) else { return }
            isBusy = true
            saidContinue = false
            timer?.cancel()
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            connection.answer(request, on: context.eventLoop).whenSuccess { response in
                let (handler, context) = bound.value
                handler.finish(response, isHead: request.method == "HEAD", keepsConnection, context)
            }
        } catch {
            refuse(400, context)
        }
    }

    private func finish(
        _ response: AdminResponse, isHead: Bool, _ keepsConnection: Bool, _ context: ChannelHandlerContext
    ) {
        isBusy = false
        guard context.channel.isActive else { return }
        let goesOn = keepsConnection && !isInputClosed
        let bytes = response.bytes(isHead: isHead, keepsConnection: goesOn)
        guard goesOn else { return writeLast(bytes, context) }
        write(bytes, context)
        startTimer(input.readableBytes > 0 ? AdminLimits.requestTimeout : AdminLimits.idleTimeout, context)
        serve(context)
    }

    private func refuse(_ status: Int, _ context: ChannelHandlerContext) {
        guard !isBusy else { return context.close(promise: nil) }
        isBusy = true
        connection.countRefusal(status)
        writeLast(AdminResponse(status: status).bytes(isHead: false, keepsConnection: false), context)
    }

    private func write(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        connection.transport.wrote(bytes.readableBytes)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    private func writeLast(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        let channel = context.channel
        let flushed = context.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.assumeIsolated().whenComplete { _ in channel.close(promise: nil) }
        connection.transport.wrote(bytes.readableBytes)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: flushed)
    }

    /// One timer at a time: for the next request to begin, or for the one that began to be whole.
    private func startTimer(_ timeout: TimeAmount, _ context: ChannelHandlerContext) {
        timer?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: timeout) {
            let (handler, context) = bound.value
            guard !handler.isBusy else { return }
            handler.input.readableBytes > 0 ? handler.refuse(408, context) : context.close(promise: nil)
        }
    }

    /// The next whole request with its body; `nil` when it is not there yet.
    private func nextRequest(
        _ context: ChannelHandlerContext
    ) throws(HTTP1ParseError) -> (request: AdminRequest, keepsConnection: Bool)? {
        let received = input
        let bytes = received.readableBytesUInt8Span
        guard bytes.count > 0, try parser.parse(bytes) else { return nil }
        var reader = HTTP1BodyReader(parser.framing)
        let bodyBytes = try reader.consume(bytes, from: parser.headBytes)
        guard reader.isDone else {
            if parser.expectsContinue, !saidContinue {
                saidContinue = true
                write(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n"), context)
            }
            return nil
        }
        func text(_ range: Range<Int>) -> String {
            received.getString(at: received.readerIndex + range.lowerBound, length: range.count) ?? ""
        }
        var request = connection.request(method: text(parser.methodText), target: text(parser.target))
        for line in text(parser.leadingBytes..<parser.headBytes).split(separator: "\r\n").dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            request.take(name: String(line[..<colon]), value: String(line[line.index(after: colon)...]))
        }
        request.body = Self.body(text(parser.headBytes..<parser.headBytes + bodyBytes), parser.framing)
        let keeps = parser.keepsConnection
        input.moveReaderIndex(forwardBy: parser.headBytes + bodyBytes)
        input.discardReadBytes()
        return (request, keeps)
    }

    /// The body without the framing of chunks, which the reader has checked already.
    private static func body(_ text: String, _ framing: HTTP1Framing) -> String {
        guard framing == .chunked else { return text }
        var whole = ""
        var rest = Substring(text)
        while let end = rest.firstIndex(of: "\r\n") {
            let size = rest[..<end].prefix { $0 != ";" }
            guard let count = Int(size, radix: 16), count > 0 else { break }
            let start = rest.index(after: end)
            let stop = rest.utf8.index(start, offsetBy: count, limitedBy: rest.endIndex) ?? rest.endIndex
            whole += rest[start..<stop]
            rest = rest[stop...].drop { $0 == "\r\n" }
        }
        return whole
    }
}
