// An accepted HTTP/1 connection: finds where requests begin and end, asks the stack where each goes, and
// passes its bytes on. One exchange at a time, in order; pipelined requests wait in the input buffer.
//
// The handler stays small on purpose: parsing is MeshWire's, choosing is the stack's, the response is the
// client handler's, which writes straight into this handler's context.

package import MeshTransport
import MeshWire
package import NIOCore

/// The server side of HTTP/1, one handler per connection.
package final class HTTP1ServerHandler: ConnectionServer {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    /// Pipelined bytes kept while an exchange runs; more are left in the socket.
    static let pipelinedBytesMax = 65_536
    /// How long a closed connection may still send, so that our last answer is not lost to a reset.
    static let lingerMax = TimeAmount.seconds(1)
    /// How long an idle connection may still bring a request after the drain began.
    static let drainIdleMax = TimeAmount.seconds(2)

    enum Phase {
        /// Waiting for a request.
        case head
        /// Waiting for an endpoint or a connection to it.
        case routing
        /// The request flows to the endpoint, or its answer is awaited.
        case streaming
        /// The request was answered early; the rest of its body is dropped.
        case discarding
        /// Answered for the last time; waiting for the client to close.
        case closing
        /// An opaque side took over, or the channel is gone.
        case detached
    }

    let stack: any RequestStack
    let transport: TransportMetrics
    let drain: DrainState
    let limits: HTTP2Limits
    let responseRules: HTTP1FieldRules
    var context: ChannelHandlerContext?
    var phase: Phase = .head
    var parser: HTTP1RequestParser
    var body = HTTP1BodyReader(.none)
    var input = ByteBuffer()
    var emitter = HTTP1Emitter()
    /// Pieces of a carried response.
    var gathered = GatheredOutput()
    /// Whether the client's socket takes more.
    private(set) var isClientWritable = true
    var exchange = HTTP1Exchange()
    /// Made when the first exchange goes over HTTP/2.
    var carrier: HTTP1Carrier?
    /// A flush is due at the end of the read that is being handled somewhere else.
    var isFlushDue = false
    var isInputClosed = false
    var isDraining = false
    /// Ends a connection whose client does not; cancelled with it, or it would keep the channel's buffers alive.
    var linger: Scheduled<Void>?
    private(set) var authority = AuthorityMemo()
    private let taps: LoopTaps
    let accessLog: AccessLogSource?
    /// Made when the first request is tapped.
    var tapSource: TapSource?
    private var errno: CInt = 0
    private var incompleteBytes = 0
    private let headTimeout: TimeAmount
    /// Runs while a head has begun and not ended: a client that drips one in holds nothing for long.
    private var headTimer: Scheduled<Void>?
    private var isUpstreamFull = false
    private var isReading = true
    private var isInRead = false

    package init(stack: any RequestStack, transport: TransportMetrics, limits: HTTP2Limits, drain: DrainState)
    {
        self.stack = stack
        taps = stack.taps
        accessLog = stack.accessLog
        self.transport = transport
        self.drain = drain
        headTimeout = limits.headTimeout
        self.limits = limits
        var rules: HTTP1FieldRules =
            stack.direction == .inbound ? .dropsClientID : [.dropsCanonicalName, .takesRequiredID]
        if stack.requestName == .override { rules.insert(.takesOverride) }
        parser = HTTP1RequestParser(rules: rules)
        responseRules =
            stack.direction == .inbound
            ? [] : stack.emitsInformationalHeaders ? .takesProxyConnection : [.takesProxyConnection, .dropsProxyError]
    }

    // MARK: The channel's events

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        isClientWritable = context.channel.isWritable
        drain.add(self)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        transport.read(buffer.readableBytes)
        guard phase != .closing else { return }
        if input.readableBytes > 0 {
            input.writeBuffer(&buffer)
        } else {
            input = buffer
        }
        isInRead = true
        process()
        isInRead = false
        updateReading()
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        exchange.upstream?.flush()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        isClientWritable = context.channel.isWritable
        exchange.upstream?.setReading(isClientWritable)
        carrier?.clientWritabilityChanged(isClientWritable)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        isInputClosed = true
        // An HTTP/1 client that stops sending has left, or is about to: what it asked for is of no use any
        // more. Its last answer may still be in our queue, so close behind it.
        let isBusy = phase == .routing || phase == .streaming
        if isBusy { cancelExchange() }
        close(afterFlush: .all)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        errno = (error as? IOError)?.errnoCode ?? errno
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        linger?.cancel()
        linger = nil
        stopHeadTimer()
        drain.remove(self)
        guard phase != .detached else { return }
        transport.closed(errno: errno)
        cancelExchange()
        phase = .detached
    }

    package func beginDrain() {
        isDraining = true
        guard phase == .head, let context else { return }
        // A request may be on its way already; it is served, with `connection: close`.
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.drainIdleMax) { [weak self] in
            guard let self, phase == .head else { return }
            close(afterFlush: .all)
        }
    }

    // MARK: The request

    /// Works through the input until it is used up or something must be waited for.
    func process() {
        while true {
            switch phase {
            case .head:
                guard input.readableBytes > 0 else { return }
                guard parseHead() else { return startHeadTimer() }
                stopHeadTimer()
                startExchange()
            case .streaming:
                guard !exchange.isRequestDone, input.readableBytes > 0 else { return }
                guard let slice = nextBodySlice() else { return }
                exchange.keep(slice)
                exchange.isRequestDone = body.isDone
                if let carrier, carrier.isActive {
                    send(slice, over: carrier)
                } else {
                    exchange.upstream?.write(slice)
                }
                if !isInRead { exchange.upstream?.flush() }
            case .discarding:
                guard nextBodySlice() != nil || body.isDone else { return }
                if body.isDone { phase = .head }
            case .routing, .closing, .detached: return
            }
        }
    }

    private func startHeadTimer() {
        guard headTimer == nil, phase == .head, let context else { return }
        headTimer = context.eventLoop.assumeIsolated().scheduleTask(in: headTimeout) { [weak self] in
            guard let self, phase == .head else { return }
            refuse(ProxyError(.headTimedOut, "the request's head did not arrive in time"))
        }
    }

    private func stopHeadTimer() {
        headTimer?.cancel()
        headTimer = nil
    }

    /// - Returns: whether a whole head was parsed.
    private func parseHead() -> Bool {
        // A head that came in pieces is parsed again only when its end is there: no quadratic work for a
        // drip.
        if incompleteBytes > 0, input.readableBytes < HTTP1Limits.headBytesMax,
            !hasHeadEnd(from: max(0, incompleteBytes - 3))
        {
            incompleteBytes = input.readableBytes
            return false
        }
        let received = input
        do {
            guard try parser.parse(received.readableBytesUInt8Span) else {
                incompleteBytes = input.readableBytes
                return false
            }
            incompleteBytes = 0
            return true
        } catch {
            refuse(ProxyError(.malformedRequest, error.rawValue))
            return false
        }
    }

    private func hasHeadEnd(from start: Int) -> Bool {
        let received = input
        let bytes = received.readableBytesUInt8Span
        var offset = start
        while offset + 3 < bytes.count {
            if bytes[offset] == 0x0D, bytes[offset + 1] == 0x0A, bytes[offset + 2] == 0x0D,
                bytes[offset + 3] == 0x0A
            {
                return true
            }
            offset += 1
        }
        return false
    }

    private func nextBodySlice() -> ByteBuffer? {
        let received = input
        do {
            let count = try body.consume(received.readableBytesUInt8Span, from: 0)
            guard count > 0, let slice = input.readSlice(length: count) else { return nil }
            if input.readableBytes == 0 { input = ByteBuffer() }
            return slice
        } catch {
            // The endpoint has part of a request that will never be whole.
            cancelExchange()
            refuse(ProxyError(.malformedRequest, error.rawValue))
            return nil
        }
    }

    private func startExchange() {
        body = HTTP1BodyReader(parser.framing)
        exchange.start(parser)
        beginAccessEntry()
        let named =
            switch stack.requestName {
            case .canonical where !parser.canonicalName.isEmpty: parser.canonicalName
            case .override: parser.overrideName
            case .canonical, .authority: parser.authority
            }
        let text = authority.text(input, named)
        guard exchange.admit(to: stack.inFlight) else { return respond(with: InFlightLimit.refusal) }
        findRoute(named: text)
        switch stack.route(authority: text, isGRPC: false) {
        case .forward(let endpoint): dispatch(to: endpoint)
        case .reject(let error): respond(with: error)
        case .pending(let future):
            phase = .routing
            let generation = exchange.generation
            future.assumeIsolated().whenComplete { [self] result in
                guard phase == .routing, exchange.generation == generation else { return }
                switch result {
                case .success(let endpoint):
                    findRoute(named: text)
                    dispatch(to: endpoint)
                case .failure(let error): respond(with: ProxyError(wrapping: error))
                }
                process()
                updateReading()
            }
        }
    }

    /// Sends the parsed request, whose bytes are still at the front of the input, to an endpoint.
    func dispatch(to endpoint: EndpointHandle) {
        if !parser.requiredID.isEmpty, let error = mismatch(of: endpoint) { return respond(with: error) }
        exchange.dispatched(to: endpoint)
        if taps.isTapped { exchange.tap = tapRequest(endpoint, taps) }
        if endpoint.carriesHTTP1, exchange.mayBeCarried {
            carry(to: endpoint)
        } else if exchange.mayUsePool, let connection = endpoint.http1.take() {
            send(over: connection)
        } else {
            connect(endpoint)
        }
    }

    /// Opens a new connection for the exchange.
    func connect(_ endpoint: EndpointHandle) {
        phase = .routing
        let generation = exchange.generation
        let connection = HTTP1ClientHandler(endpoint: endpoint)
        let connected = endpoint.connect(carrying: .http1) { channel in
            try channel.pipeline.syncOperations.addHandler(connection)
        }
        connected.assumeIsolated().whenComplete { [self] result in
            guard phase == .routing, exchange.generation == generation else {
                if case .success = result { connection.finish() }  // The client left, the connection is good.
                return
            }
            switch result {
            case .success: send(over: connection)
            case .failure(let error): upstreamFailed(ProxyError(wrapping: error))
            }
            process()
            updateReading()
        }
    }

    private func send(over connection: HTTP1ClientHandler) {
        phase = .streaming
        exchange.upstream = connection
        connection.begin(self, method: exchange.method)
        if let replay = exchange.replay {
            connection.write(replay)
        } else {
            sendHead(over: connection)
        }
        if !isClientWritable { connection.setReading(false) }
        if !isInRead { connection.flush() }
    }

    private func sendHead(over connection: HTTP1ClientHandler) {
        let head = parser.headBytes
        let received = input
        let bodyBytes: Int
        do {
            bodyBytes = try body.consume(received.readableBytesUInt8Span, from: head)
        } catch {
            cancelExchange()
            return refuse(ProxyError(.malformedRequest, error.rawValue))
        }
        let message = emitter.assemble(
            received, start: parser.leadingBytes, head: head, body: bodyBytes, removals: parser.removals,
            fieldsEnd: parser.fieldsEnd, additions: connection.endpoint.requestAdditions)
        if exchange.kept != nil, let sent = received.getSlice(at: received.readerIndex, length: head + bodyBytes) {
            exchange.keep(sent)
        }
        input.moveReaderIndex(forwardBy: head + bodyBytes)
        if input.readableBytes == 0 { input = ByteBuffer() }
        exchange.isRequestDone = body.isDone
        if connection.isReused, exchange.isRequestDone, message.second == nil, exchange.method.isIdempotent {
            exchange.replay = message.first
        }
        connection.write(message.first)
        if let second = message.second { connection.write(second) }
    }

    // MARK: Back-pressure

    /// The endpoint takes bytes again, or no longer.
    func upstreamWritabilityChanged(_ isWritable: Bool) {
        isUpstreamFull = !isWritable
        updateReading()
    }

    /// Reads from the client unless the endpoint is full or enough pipelined bytes wait.
    func updateReading() {
        if phase == .head || phase == .closing { isUpstreamFull = false }
        let isBehind = phase != .closing && input.readableBytes > Self.pipelinedBytesMax
        let shouldRead = !isUpstreamFull && (!isBehind || phase == .head)
        guard shouldRead != isReading, let context else { return }
        isReading = shouldRead
        // Fails only when the channel is closed, and then nothing is left to read.
        try? context.channel.syncOptions?.setOption(.autoRead, value: shouldRead)
    }
}
