package import MeshHTTP2
import MeshTransport
package import NIOCore

/// The owner of client connections, told what becomes of them.
protocol HTTP2ClientOwner: AnyObject {
    /// The connection takes no new streams any more.
    func connectionRetired(_ connection: HTTP2ClientHandler)
    /// The endpoint said how many streams it takes.
    func streamsMaxChanged(connection: HTTP2ClientHandler)
}

/// One HTTP/2 connection to an endpoint. Requests may be opened before it is connected: they wait in the
/// session.
///  Everything happens on one event loop. The handler turns session events into calls on the sinks; it
/// decides nothing about requests.
package final class HTTP2ClientHandler: ChannelInboundHandler, StreamUpstream {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private struct Stream {
        var sink: (any HTTP2ResponseSink)?
        var number = 0
        var hasEnded = false
    }

    /// When the bytes that are being handled arrived; read once per read.
    package private(set) var nowNanoseconds: UInt64 = 0
    private let wire: HTTP2Wire
    private let session: HTTP2Session
    private let transport: TransportMetrics
    private var streams: ContiguousArray<Stream> = []
    /// Clients of HTTP/1 that this read brought something for.
    private var unflushed: ContiguousArray<HTTP1ServerHandler> = []
    private var isInRead = false
    private weak var owner: (any HTTP2ClientOwner)?
    private var keepAlive: HTTP2KeepAlive?
    private var errno: CInt = 0
    private var isRetiring = false
    private(set) var isClosed = false
    /// Streams the endpoint takes at once.
    private(set) var streamsMax: Int

    init(
        limits: HTTP2Limits, streamsMax: Int = SessionLimits().assumedPeerStreamsMax,
        transport: TransportMetrics,
        owner: any HTTP2ClientOwner, keepAlive: HTTP2KeepAlive? = nil, memory: HTTP2Memory = HTTP2Memory()
    ) {
        var sessionLimits = SessionLimits(limits)
        sessionLimits.assumedPeerStreamsMax = streamsMax
        session = HTTP2Session(role: .client, limits: sessionLimits, memory: memory)
        wire = HTTP2Wire(session: session, transport: transport)
        self.streamsMax = streamsMax
        self.transport = transport
        self.owner = owner
        self.keepAlive = keepAlive
    }

    /// Streams open or waiting here.
    var openCount: Int { session.openStreamCount }
    /// Whether a new stream may be opened at all; it may still have to wait for `streamsMax`.
    var takesRequests: Bool { !isRetiring && !isClosed && session.takesRequests }

    // MARK: Requests

    /// Opens a stream.
    /// - Returns: nil when the connection takes none; nothing was called then.
    package func open(
        _ block: HeaderBlock, of headers: HTTP2Headers, isEnd: Bool, sink: any HTTP2ResponseSink, stream: Int
    ) -> StreamSlot? {
        guard takesRequests, let slot = session.submitRequest(block, of: headers, isEnd: isEnd) else {
            return nil
        }
        while streams.count <= slot { streams.append(Stream()) }
        streams[slot] = Stream(sink: sink, number: stream)
        wire.flushSoon()
        return slot
    }

    /// Queues request body.
    package func sendBody(_ bytes: ByteBuffer, on slot: StreamSlot) {
        session.sendBody(bytes, on: slot)
        wire.flushSoon()
    }

    /// Ends the request.
    package func finish(_ slot: StreamSlot) {
        session.finish(slot)
        wire.flushSoon()
    }

    /// Ends the request with trailers.
    package func sendTrailers(_ block: HeaderBlock, of headers: HTTP2Headers, on slot: StreamSlot) {
        session.sendTrailers(block, of: headers, on: slot)
        wire.flushSoon()
    }

    /// Gives the request up: its sink hears nothing more.
    package func cancel(_ slot: StreamSlot, _ code: HTTP2ErrorCode) {
        streams[slot].sink = nil
        session.reset(slot, code)
        wire.flushSoon()
    }

    /// Resets the stream; the sink still gets `requestEnded`.
    package func reset(_ slot: StreamSlot, _ code: HTTP2ErrorCode) {
        session.reset(slot, code)
        wire.flushSoon()
    }

    /// Gives credit for response bytes. The stream may be gone: its connection still needs the credit.
    package func consume(streamID: Int, byteCount: Int) {
        session.consume(streamID: streamID, byteCount: byteCount)
        wire.flushSoon()
    }

    /// The stream's id on the wire, for `consume`.
    package func streamID(of slot: StreamSlot) -> Int { session.streamID(of: slot) }

    // MARK: Life

    /// Takes no new streams, and closes once the open ones are done.
    package func retire() {
        guard !isRetiring else { return }
        isRetiring = true
        closeIfIdle()
    }

    /// Closes at once; open requests end as lost.
    func close() { wire.close() }

    /// No connection came to be: every waiting request ends with `error`.
    func connectFailed(_ error: ProxyError) {
        isClosed = true
        endStreams(.connect(error))
        owner?.connectionRetired(self)
    }

    private func closeIfIdle() {
        guard isRetiring, session.openStreamCount == 0, wire.isAttached else { return }
        session.terminate(.noError)
        wire.flushSoon()
    }

    private func endStreams(_ failure: HTTP2StreamFailure) {
        for slot in streams.indices {
            guard let sink = streams[slot].sink else { continue }
            let number = streams[slot].number
            let hasEnded = streams[slot].hasEnded
            streams[slot] = Stream()
            sink.requestEnded(stream: number, failure: hasEnded ? nil : failure)
        }
    }

    // MARK: Channel

    package func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { channelActive(context: context) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        guard !wire.isAttached, !isClosed else { return }
        wire.attach(context, owner: self)
        keepAlive?.start(on: context.eventLoop, session: session) { [weak self] action in
            self?.keepAlive(action)
        }
        wire.flushSoon()
        closeIfIdle()
        context.fireChannelActive()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        transport.read(bytes.readableBytes)
        nowNanoseconds = NIODeadline.now().uptimeNanoseconds
        keepAlive?.heard()
        isInRead = true
        session.receive(bytes, nowNanoseconds: nowNanoseconds)
        drainEvents()
        wire.flushSoon()
    }

    package func channelReadComplete(context: ChannelHandlerContext) { flushClients() }

    /// Flushes the client once, when everything that this read brought is written.
    func flushAfterRead(_ client: HTTP1ServerHandler) {
        guard !client.isFlushDue else { return }
        guard isInRead else { return client.flush() }
        client.isFlushDue = true
        unflushed.append(client)
    }

    private func flushClients() {
        isInRead = false
        guard !unflushed.isEmpty else { return }
        for client in unflushed {
            client.isFlushDue = false
            client.flush()
        }
        unflushed.removeAll(keepingCapacity: true)
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { wire.flush() }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Half a connection is of no use to HTTP/2.
        if case .inputClosed? = event as? ChannelEvent { context.close(mode: .all, promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        errno = (error as? IOError)?.errnoCode ?? errno
        context.close(mode: .all, promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        guard !isClosed else { return }
        isClosed = true
        flushClients()
        wire.detach()
        keepAlive?.stop()
        transport.closed(errno: errno)
        owner?.connectionRetired(self)
        endStreams(.connectionLost)
        context.fireChannelInactive()
    }

    private func keepAlive(_ action: HTTP2KeepAlive.Action) {
        switch action {
        case .pinged: wire.flushSoon()
        case .expired: wire.close()
        }
    }
}

// MARK: - Events

extension HTTP2ClientHandler: HTTP2WireOwner {
    func drainEvents() {
        while let event = session.nextEvent() { handle(event) }
    }

    func wireFinished() { wire.close() }

    private func handle(_ event: HTTP2Event) {
        switch event {
        case .head(let slot, let block, let isEnd):
            head(slot, block, isEnd: isEnd)
        case .informational(let slot, let block):
            streams[slot].sink?.responseInformational(
                stream: streams[slot].number, block, of: session.headers)
        case .trailers(let slot, let block):
            streams[slot].hasEnded = true
            streams[slot].sink?.responseTrailers(stream: streams[slot].number, block, of: session.headers)
        case .data(let slot, let chunk):
            body(slot, chunk)
        case .end(let slot):
            streams[slot].hasEnded = true
            streams[slot].sink?.responseEnd(stream: streams[slot].number)
        case .sent(let slot, let byteCount):
            streams[slot].sink?.requestSent(stream: streams[slot].number, byteCount: byteCount)
        case .localEnd:
            break
        case .closed(let slot, let closure):
            closed(slot, closure)
        case .settings:
            streamsMax = session.peerStreamsMax
            owner?.streamsMaxChanged(connection: self)
        case .goAway:
            isRetiring = true
            owner?.connectionRetired(self)
        case .pong:
            keepAlive?.heard()
        case .failed:
            isRetiring = true
            owner?.connectionRetired(self)
            // The GOAWAY that explains it goes out first; `wireFinished` closes.
            wire.flushSoon()
        }
    }

    private func head(_ slot: StreamSlot, _ block: HeaderBlock, isEnd: Bool) {
        guard !block.isTooLarge else { return session.reset(slot, .protocolError) }
        streams[slot].hasEnded = isEnd
        streams[slot].sink?.responseHead(
            stream: streams[slot].number, block, of: session.headers, isEnd: isEnd)
    }

    private func body(_ slot: StreamSlot, _ chunk: BodyChunk) {
        guard let sink = streams[slot].sink else {
            // Nobody wants it; the connection must not starve for that.
            return session.consume(streamID: session.streamID(of: slot), byteCount: chunk.byteCount)
        }
        sink.responseBody(stream: streams[slot].number, session.bytes(of: chunk))
    }

    private func closed(_ slot: StreamSlot, _ closure: StreamClosure) {
        let stream = streams[slot]
        streams[slot] = Stream()
        if let sink = stream.sink {
            sink.requestEnded(stream: stream.number, failure: stream.hasEnded ? nil : Self.failure(closure))
        }
        if isRetiring { closeIfIdle() }
    }

    private static func failure(_ closure: StreamClosure) -> HTTP2StreamFailure {
        if closure.code == .refusedStream, closure.isByPeer { return .refused }
        return closure.isByPeer ? .reset(closure.code) : .malformed(closure.code)
    }
}

extension SessionLimits {
    /// The connection's configured bounds; everything else has the session's own defaults.
    init(_ limits: HTTP2Limits) {
        self.init()
        streamsMax = limits.concurrentStreamsMax
        headerListBytesMax = limits.headerListBytesMax
        streamWindowBytes = limits.streamWindowBytes
        connectionWindowBytes = limits.connectionWindowBytes
        peerResets.burst = limits.resetStreamsMax
    }
}
