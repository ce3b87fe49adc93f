import MeshHTTP2
import MeshTransport
import NIOCore

/// The admin port over HTTP/2: streams side by side, bodies up to a bound, answers built whole.
final class AdminHTTP2Handler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private struct Stream {
        var request: AdminRequest?
        var body = ByteBuffer()
        /// Tells a late answer that the slot has a new stream.
        var generation = 0
    }

    private let connection: AdminConnection
    private let session: HTTP2Session
    private let wire: HTTP2Wire
    private let scratch = HTTP2Headers(byteCapacity: 256, fieldCapacity: 8)
    private var streams: ContiguousArray<Stream> = []
    private var timer: Scheduled<Void>?
    private var loop: (any EventLoop)?
    private var errno: CInt = 0
    private var isClosed = false

    init(_ connection: AdminConnection) {
        self.connection = connection
        var limits = SessionLimits()
        limits.streamsMax = AdminLimits.streamsMax
        limits.headerListBytesMax = AdminLimits.requestBytesMax
        session = HTTP2Session(role: .server, limits: limits)
        wire = HTTP2Wire(session: session, transport: connection.transport)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        loop = context.eventLoop
        wire.attach(context, owner: self)
        restartTimer()
        wire.flushSoon()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        connection.transport.read(bytes.readableBytes)
        session.receive(bytes, nowNanoseconds: NIODeadline.now().uptimeNanoseconds)
        drainEvents()
        wire.flushSoon()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { wire.flush() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { context.close(mode: .all, promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        errno = (error as? IOError)?.errnoCode ?? errno
        context.close(mode: .all, promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard !isClosed else { return }
        isClosed = true
        timer?.cancel()
        timer = nil
        wire.detach()
        connection.transport.closed(errno: errno)
    }

    /// A connection without streams is idle, and idle ones end; one whose requests never arrive does too.
    private func restartTimer() {
        timer?.cancel()
        let timeout = session.openStreamCount > 0 ? AdminLimits.requestTimeout : AdminLimits.idleTimeout
        timer = loop?.assumeIsolated().scheduleTask(in: timeout) { [weak self] in self?.expire() }
    }

    private func expire() {
        session.terminate(.noError)
        wire.flush()
        wire.close()
    }
}

extension AdminHTTP2Handler: HTTP2WireOwner {
    func drainEvents() {
        while let event = session.nextEvent() { handle(event) }
    }

    func wireFinished() { wire.close() }

    private func handle(_ event: HTTP2Event) {
        switch event {
        case .head(let slot, let block, let isEnd): begin(slot, block, isEnd: isEnd)
        case .data(let slot, let chunk): take(chunk, slot)
        case .end(let slot): answer(slot)
        case .trailers(let slot, _): answer(slot)
        case .closed(let slot, _):
            guard slot < streams.count else { return }  // Its head broke the protocol, and never came.
            let generation = streams[slot].generation
            streams[slot] = Stream(generation: generation + 1)
            restartTimer()
        case .failed:
            wire.flushSoon()
            if !session.wantsWrite { wire.close() }
        case .informational, .sent, .localEnd, .settings, .goAway, .pong: break
        }
    }

    private func begin(_ slot: StreamSlot, _ block: HeaderBlock, isEnd: Bool) {
        while streams.count <= slot { streams.append(Stream()) }
        restartTimer()
        guard !block.isTooLarge else { return refuse(slot, 413) }
        let headers = session.headers
        var request = connection.request(
            method: headers.text(of: .method, in: block) ?? "", target: headers.text(of: .path, in: block) ?? "")
        for field in headers.fields(of: block) { request.take(name: field.name, value: field.value) }
        streams[slot].request = request
        if isEnd { answer(slot) }
    }

    private func take(_ chunk: BodyChunk, _ slot: StreamSlot) {
        let bytes = session.bytes(of: chunk)
        session.consume(streamID: session.streamID(of: slot), byteCount: chunk.byteCount)
        guard streams[slot].request != nil else { return }
        streams[slot].body.writeImmutableBuffer(bytes)
        if streams[slot].body.readableBytes > AdminLimits.requestBytesMax { refuse(slot, 413) }
    }

    private func answer(_ slot: StreamSlot) {
        guard var request = streams[slot].request, let loop else { return }
        streams[slot].request = nil
        request.body = String(buffer: streams[slot].body)
        streams[slot].body = ByteBuffer()
        let generation = streams[slot].generation
        let isHead = request.method == "HEAD"
        let bound = NIOLoopBound(self, eventLoop: loop)
        connection.answer(request, on: loop).whenSuccess { response in
            let handler = bound.value
            guard !handler.isClosed, handler.streams[slot].generation == generation else { return }
            handler.send(response, isHead: isHead, on: slot)
        }
    }

    private func refuse(_ slot: StreamSlot, _ status: Int) {
        streams[slot].request = nil
        streams[slot].body = ByteBuffer()
        connection.countRefusal(status)
        send(AdminResponse(status: status), isHead: false, on: slot)
        wire.flush()  // A reset overtakes what is queued.
        session.reset(slot, .noError)
    }

    private func send(_ response: AdminResponse, isHead: Bool, on slot: StreamSlot) {
        scratch.removeAll()
        let block = scratch.append([(name: ":status", value: "\(response.status)")] + response.fields)
        let isEmpty = isHead || response.body.isEmpty
        session.submitResponse(block, of: scratch, isEnd: isEmpty, on: slot)
        if !isEmpty {
            session.sendBody(ByteBuffer(bytes: response.body), on: slot)
            session.finish(slot)
        }
        wire.flushSoon()
    }
}
