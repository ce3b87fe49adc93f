// The serving end of an accepted HTTP/2 connection: each stream is routed once and joined to a stream of an
// upstream connection on the same event loop. This file owns the channel; `HTTP2ServerHandler+Requests`
// follows a request from its head to the endpoint, `+Responses` the way back, `+Ends` how either side stops
// early.
//  Credit: bytes received from one side are given back to that side's flow control only when they entered the
// other side's output. `…Owed` counts what was received and not yet given back, so that no path can give
// twice or forget.

import MeshHTTP2
package import MeshTransport
package import NIOCore

/// One stream of an accepted connection.
struct HTTP2ServerStream {
    enum Phase {
        /// The slot is free, or its stream's head has not come.
        case idle
        /// Discovery will say where it goes; the request is kept.
        case routing
        /// Joined to an upstream stream.
        case forwarding
        /// The proxy answered, or the response is complete: what else comes of the request is dropped.
        case answered
    }

    var phase: Phase = .idle
    var isGRPC = false
    var hasResponseHead = false
    /// The first body frame of the response, or its end, was seen: latency is recorded.
    var hasFirstByte = false
    var isResponseEnded = false
    var isRequestEnded = false
    /// An outcome was recorded for the request that was counted.
    var isCounted = false
    var attempts: UInt8 = 0
    var status = 0
    var grpcStatus: Int?
    var startedAt: UInt64 = 0
    var requestOwed = 0
    var responseOwed = 0
    var endpoint: EndpointHandle?
    var upstream: (any StreamUpstream)?
    /// -1 once the upstream stream is gone.
    var upstreamSlot = -1
    /// Kept after the stream is gone: its connection still gets credit.
    var upstreamID = 0
    /// Counted among the requests in flight.
    var isInFlight = false
    /// Set when the request's destination has routes.
    var routed: RoutedRequest?
    /// A response head that waits for the frame behind it.
    var heldHead: HeldHead?
    /// Tells a late routing answer that the slot has a new stream.
    var generation = 0
    var copy: RequestCopy?
    /// Set when the request is logged.
    var access: AccessLogEntry?
    /// Set when a tap took the request.
    var tap: TapExchange?
    /// What the carried request was; nil when it is HTTP/2's own.
    var origin: OrigProto?
    /// Made when the slot's first carried request goes to the application, and kept for the next.
    var restorer: HTTP1Restorer?

    /// Makes the slot ready for its next stream.
    ///
    /// - Returns: the copy of the request, which its event loop lent.
    mutating func reset() -> RequestCopy? {
        access?.finish()
        // Both move out: that costs no reference counting.
        var copy: RequestCopy?
        swap(&copy, &self.copy)
        var restorer: HTTP1Restorer?
        swap(&restorer, &self.restorer)
        let generation = self.generation
        self = HTTP2ServerStream()
        self.generation = generation &+ 1
        swap(&restorer, &self.restorer)
        return copy
    }
}

/// Serves an accepted HTTP/2 connection, towards an application or a peer proxy.
package final class HTTP2ServerHandler: ConnectionServer {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// Marks the PING whose answer proves that GOAWAY arrived.
    private static let drainPing: UInt64 = 0x6472_6169_6E69_6E67
    /// How long a client may take to answer that PING before it is told the last stream anyway.
    private static let drainRoundTripMax = TimeAmount.seconds(1)

    let stack: any RequestStack
    let limits: HTTP2Limits
    let session: HTTP2Session
    let wire: HTTP2Wire
    /// For answers of the proxy's own; most connections never need one.
    lazy var scratch = HTTP2Headers(byteCapacity: 256, fieldCapacity: 8)
    var streams: ContiguousArray<HTTP2ServerStream> = []
    var nowNanoseconds: UInt64 = 0
    var memoizedAuthority = ""
    let inFlight: InFlightLimit?
    let taps: LoopTaps
    let accessLog: AccessLogSource?
    /// Made when the first request is tapped.
    var tapSource: TapSource?
    private let transport: TransportMetrics
    let drain: DrainState
    /// What peers' proxies say about errors is kept from the application.
    let dropsProxyErrors: Bool
    private var keepAlive: HTTP2KeepAlive?
    private var errno: CInt = 0
    private var isDraining = false
    private var isClosed = false
    /// Connections of HTTP/1 that this read brought something for.
    private var unflushed: ContiguousArray<HTTP1ClientHandler> = []
    private var isInRead = false
    private(set) var loop: (any EventLoop)?
    private(set) var remoteAddress: SocketAddress?

    package init(stack: any RequestStack, transport: TransportMetrics, limits: HTTP2Limits, drain: DrainState)
    {
        self.stack = stack
        inFlight = stack.inFlight
        self.limits = limits
        taps = stack.taps
        accessLog = stack.accessLog
        self.transport = transport
        self.drain = drain
        dropsProxyErrors = stack.direction == .outbound && !stack.emitsInformationalHeaders
        session = HTTP2Session(role: .server, limits: SessionLimits(limits), memory: drain.http2Memory)
        wire = HTTP2Wire(session: session, transport: transport)
        if let interval = limits.keepAliveInterval {
            keepAlive = HTTP2KeepAlive(interval: interval, timeout: limits.keepAliveTimeout)
        }
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        wire.attach(context, owner: self)
        loop = context.eventLoop
        remoteAddress = context.remoteAddress
        keepAlive?.start(on: context.eventLoop, session: session) { [weak self] action in
            switch action {
            case .pinged: self?.wire.flushSoon()
            case .expired: self?.wire.close()
            }
        }
        drain.add(self)
        wire.flushSoon()
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

    package func channelReadComplete(context: ChannelHandlerContext) { flushConnections() }

    /// Flushes the connection once, when everything that this read brought is written.
    func flushAfterRead(_ connection: HTTP1ClientHandler) {
        guard isInRead else { return connection.flush() }
        if unflushed.last === connection { return }
        unflushed.append(connection)
    }

    private func flushConnections() {
        isInRead = false
        guard !unflushed.isEmpty else { return }
        for connection in unflushed { connection.flush() }
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
        closeDown()
        context.fireChannelInactive()
    }

    package func handlerRemoved(context: ChannelHandlerContext) { closeDown() }

    private func closeDown() {
        guard !isClosed else { return }
        isClosed = true
        flushConnections()
        wire.detach()
        keepAlive?.stop()
        for slot in streams.indices where streams[slot].phase != .idle {
            streamClosed(slot, code: .cancel)
        }
        transport.closed(errno: errno)
        drain.remove(self)
    }
}

// MARK: - Drain

extension HTTP2ServerHandler: DrainableConnection {
    /// GOAWAY that still takes what is under way, then, a round trip later, GOAWAY with the last stream.
    package func beginDrain() {
        guard !isDraining, !isClosed else { return }
        isDraining = true
        session.announceShutdown()
        session.ping(Self.drainPing)
        wire.flushSoon()
        _ = loop?.assumeIsolated().scheduleTask(in: Self.drainRoundTripMax) { [weak self] in
            self?.finishDrain()
        }
    }

    private func finishDrain() {
        guard !isClosed else { return }
        session.goAway(.noError)
        wire.flushSoon()
    }
}

// MARK: - Events

extension HTTP2ServerHandler: HTTP2WireOwner {
    func drainEvents() {
        while let event = session.nextEvent() { handle(event) }
    }

    func wireFinished() { wire.close() }

    private func handle(_ event: HTTP2Event) {
        switch event {
        case .head(let slot, let block, let isEnd): requestHead(slot, block, isEnd: isEnd)
        case .data(let slot, let chunk): requestBody(slot, chunk)
        case .end(let slot): requestEnd(slot)
        case .trailers(let slot, let block): requestTrailers(slot, block)
        case .sent(let slot, let byteCount): responseSent(slot, byteCount)
        case .localEnd(let slot): responseWritten(slot)
        case .closed(let slot, let closure): streamClosed(slot, code: closure.code)
        case .pong(let value):
            keepAlive?.heard()
            if value == Self.drainPing { finishDrain() }
        case .failed:
            // The GOAWAY that explains it goes out first; `wireFinished` closes.
            wire.flushSoon()
            if !session.wantsWrite { wire.close() }
        case .informational, .settings, .goAway:
            break
        }
    }
}
