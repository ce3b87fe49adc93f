import MeshHTTP2
import NIOCore
import NIOPosix

// The classes here and in `HTTP2Fixture` are `@unchecked Sendable` so that futures may carry them: every one
// of them is made, called and dropped on its fixture's one event loop.

/// An HTTP/2 endpoint for tests: a session on a channel, and a closure that answers its events. Loop-bound.
final class HTTP2Peer: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let session: HTTP2Session
    var onEvent: (HTTP2Event, HTTP2Peer) -> Void
    var onClose: () -> Void = {}
    private(set) var context: ChannelHandlerContext?
    /// What a test's upstream wants to remember.
    var notes = HTTP2Notes()

    init(
        _ role: HTTP2Session.Role, limits: SessionLimits = SessionLimits(),
        onEvent: @escaping (HTTP2Event, HTTP2Peer) -> Void
    ) {
        session = HTTP2Session(role: role, limits: limits)
        self.onEvent = onEvent
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { channelActive(context: context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        flush()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        session.receive(unwrapInboundIn(data), nowNanoseconds: NIODeadline.now().uptimeNanoseconds)
        drain()
        flush()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) { flush() }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        onClose()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func flush() {
        while let context, context.channel.isWritable {
            let count = session.produce { context.write(NIOAny($0), promise: nil) }
            if count > 0 { context.flush() }
            drain()
            if count == 0 { break }
        }
    }

    func close() { context?.close(promise: nil) }

    /// As a server that stops at once: GOAWAY that took no stream, and the end.
    func refuseAllAndClose() {
        context?.writeAndFlush(
            NIOAny(ByteBuffer(bytes: [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])), promise: nil)
        close()
    }

    private func drain() {
        while let event = session.nextEvent() { onEvent(event, self) }
    }

    /// Answers with a head; the body and trailers, if any, end the response.
    func respond(
        _ slot: Int, status: String = "200", fields: [(String, String)] = [], body: ByteBuffer? = nil,
        trailers: [(String, String)] = []
    ) {
        let headers = HTTP2Headers()
        let isEnd = body == nil && trailers.isEmpty
        session.submitResponse(
            headers.append([(":status", status)] + fields.map { (name: $0.0, value: $0.1) }), of: headers,
            isEnd: isEnd,
            on: slot)
        guard !isEnd else { return }
        if let body { session.sendBody(body, on: slot) }
        if trailers.isEmpty { session.finish(slot) } else { sendTrailers(trailers, on: slot) }
    }

    func sendTrailers(_ fields: [(String, String)], on slot: Int) {
        let headers = HTTP2Headers()
        session.sendTrailers(headers.append(fields.map { (name: $0.0, value: $0.1) }), of: headers, on: slot)
    }

    /// Takes body bytes and gives their credit back at once.
    func take(_ chunk: BodyChunk, of slot: Int) -> ByteBuffer {
        let bytes = session.bytes(of: chunk)
        session.consume(streamID: session.streamID(of: slot), byteCount: chunk.byteCount)
        return bytes
    }
}

/// What the upstream of one test remembers. Loop-bound.
final class HTTP2Notes: @unchecked Sendable {
    var codes: [HTTP2ErrorCode] = []
    var owed: [(stream: Int, count: Int)] = []
    var held: [(peer: HTTP2Peer, slot: Int)] = []
    var isKilled = false
    var owedCount: Int { owed.reduce(0) { $0 + $1.count } }
}

/// What a test client saw of one stream.
struct HTTP2Answer: Sendable, Equatable {
    var status = 0
    var informational: [Int] = []
    var fields: [String: String] = [:]
    var body = ByteBuffer()
    var trailers: [String: String] = [:]
    var isComplete = false
    /// The reset's code; nil when the stream ended well.
    var reset: HTTP2ErrorCode?
    /// The connection went away first.
    var isLost = false
}

/// A client with one connection. Loop-bound; results are futures.
final class HTTP2TestClient: @unchecked Sendable {
    private(set) var peer: HTTP2Peer
    private let loop: any EventLoop
    private var answers: [Int: (HTTP2Answer, EventLoopPromise<HTTP2Answer>)] = [:]
    private(set) var goAways: [Int] = []
    /// Gives credit for response bytes at once; false stops reading.
    var takesBody = true
    private(set) var untaken: [Int: Int] = [:]
    /// Response bytes that arrived.
    private(set) var receivedBytes = 0

    init(loop: any EventLoop) {
        self.loop = loop
        peer = HTTP2Peer(.client) { _, _ in }
        peer.onEvent = { [unowned self] event, _ in handle(event) }
        peer.onClose = { [unowned self] in
            for (slot, (answer, promise)) in answers {
                var answer = answer
                answer.isLost = true
                answers[slot] = nil
                promise.succeed(answer)
            }
        }
    }

    func connect(to address: SocketAddress) -> EventLoopFuture<Void> {
        let bound = NIOLoopBound(peer, eventLoop: loop)
        return ClientBootstrap(group: loop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(bound.value)
            }
        }.connect(to: address).map { _ in }
    }

    /// Opens a stream; `slot` is for what comes later on it.
    func open(
        _ path: String, method: String = "GET", fields: [(String, String)] = [], body: ByteBuffer? = nil,
        isEnd: Bool = true
    ) -> (slot: Int, answer: EventLoopFuture<HTTP2Answer>) {
        var list: [(name: String, value: String)] = [(":method", method)]
        if method != "CONNECT" { list += [(":scheme", "http"), (":path", path)] }
        list.append((":authority", "web.test:80"))
        list += fields.map { (name: $0.0, value: $0.1) }
        let headers = HTTP2Headers()
        let block = headers.append(list)
        let promise = loop.makePromise(of: HTTP2Answer.self)
        guard let slot = peer.session.submitRequest(block, of: headers, isEnd: body == nil && isEnd) else {
            promise.succeed(HTTP2Answer(isLost: true))
            return (-1, promise.futureResult)
        }
        answers[slot] = (HTTP2Answer(), promise)
        if let body { peer.session.sendBody(body, on: slot) }
        if isEnd { peer.session.finish(slot) }
        peer.flush()
        return (slot, promise.futureResult)
    }

    /// Gives back all credit that was withheld, and goes on reading.
    func takeUntaken() {
        takesBody = true
        for (slot, count) in untaken {
            peer.session.consume(streamID: peer.session.streamID(of: slot), byteCount: count)
        }
        untaken = [:]
        peer.flush()
    }

    private func handle(_ event: HTTP2Event) {
        let session = peer.session
        switch event {
        case .head(let slot, let block, let isEnd):
            for field in session.headers.fields(of: block) {
                answers[slot]?.0.fields[field.name] = field.value
            }
            answers[slot]?.0.status = session.headers.number(of: .status, in: block) ?? 0
            answers[slot]?.0.isComplete = isEnd
        case .informational(let slot, let block):
            answers[slot]?.0.informational.append(session.headers.number(of: .status, in: block) ?? 0)
        case .data(let slot, let chunk):
            receivedBytes += chunk.byteCount
            var bytes = session.bytes(of: chunk)
            answers[slot]?.0.body.writeBuffer(&bytes)
            if takesBody {
                session.consume(streamID: session.streamID(of: slot), byteCount: chunk.byteCount)
            } else {
                untaken[slot, default: 0] += chunk.byteCount
            }
        case .trailers(let slot, let block):
            for field in session.headers.fields(of: block) {
                answers[slot]?.0.trailers[field.name] = field.value
            }
            answers[slot]?.0.isComplete = true
        case .end(let slot): answers[slot]?.0.isComplete = true
        case .closed(let slot, let closure):
            guard let (last, promise) = answers.removeValue(forKey: slot) else { return }
            var answer = last
            if closure.code != .noError { answer.reset = closure.code }
            promise.succeed(answer)
        case .goAway(let last, _): goAways.append(last)
        default: break
        }
    }
}
