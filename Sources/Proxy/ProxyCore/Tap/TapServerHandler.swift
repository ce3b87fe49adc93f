import MeshHTTP2
import MeshTLS
import MeshTransport
import NIOCore

/// One connection of a tapper: `io.linkerd.proxy.tap.Tap/Observe`, and nothing else.
///
/// Back-pressure is end to end: a subscription's chunks are taken only while little waits in the stream, and
/// what is not taken waits in the subscription, which has a bound and counts.
final class TapServerHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Who the client is, as far as is known.
    enum Access {
        /// Known from the start; the refusal's text, or `nil` when it may tap.
        case decided(refusal: String?)
        /// The TLS handshake will say; must be this identity, or this machine.
        case identity(String, isLoopback: Bool)
    }

    static let path = "/io.linkerd.proxy.tap.Tap/Observe"
    /// Bytes that may wait in one stream before no more are taken from its subscription.
    private static let streamBytesMax = 65_536
    /// How often losses are said when no event says them.
    private static let lossesInterval = TimeAmount.seconds(1)

    private let hub: TapHub
    private var access: Access
    private let session: HTTP2Session
    private let wire: HTTP2Wire
    private let scratch = HTTP2Headers(byteCapacity: 256, fieldCapacity: 8)
    private var calls: [StreamSlot: Call] = [:]
    private var context: ChannelHandlerContext?
    private var ticker: RepeatedTask?
    /// A tapper that is gone without a word must not stay subscribed.
    private let keepAlive = HTTP2KeepAlive(interval: .seconds(10), timeout: .seconds(10))

    private final class Call {
        var reader = GRPCMessageReader()
        var subscription: TapSubscription?
        var isDeregistered = false
        let streamID: Int
        init(streamID: Int) { self.streamID = streamID }
    }

    init(hub: TapHub, access: Access) {
        self.hub = hub
        self.access = access
        var limits = SessionLimits()
        limits.streamsMax = 64
        session = HTTP2Session(role: .server, limits: limits)
        // The tap port is not counted among the proxy's sockets, so these counters are nobody's.
        wire = HTTP2Wire(session: session, transport: TransportMetrics(labels: ""))
    }

    // MARK: The channel's events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        wire.attach(context, owner: self)
        wire.flushSoon()
        keepAlive.start(on: context.eventLoop, session: session) { [weak self] action in
            switch action {
            case .pinged: self?.wire.flushSoon()
            case .expired: self?.wire.close()
            }
        }
        let bound = NIOLoopBound(Weak(self), eventLoop: context.eventLoop)
        ticker = context.eventLoop.scheduleRepeatedTask(
            initialDelay: Self.lossesInterval, delay: Self.lossesInterval
        ) { _ in bound.value.handler?.reportLosses() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        keepAlive.heard()
        session.receive(unwrapInboundIn(data), nowNanoseconds: NIODeadline.now().uptimeNanoseconds)
        drainEvents()
        wire.flushSoon()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        wire.flush()
        pumpAll()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let established as TLSEstablished:
            guard case .identity(let allowed, let isLoopback) = access else { return }
            let isAllowed = isLoopback || established.peer.identity == allowed
            access = .decided(refusal: isAllowed ? nil : "Unauthorized client")
        case ChannelEvent.inputClosed: context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        closeDown()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { closeDown() }

    private func closeDown() {
        ticker?.cancel()
        ticker = nil
        keepAlive.stop()
        wire.detach()
        context = nil
        for call in calls.values { stop(call) }
        calls.removeAll()
    }

    private final class Weak {
        weak var handler: TapServerHandler?
        init(_ handler: TapServerHandler) { self.handler = handler }
    }

    // MARK: Calls

    private func began(_ slot: StreamSlot, _ block: HeaderBlock) {
        let headers = session.headers
        guard headers.value(of: .method, in: block, equals: "POST"), headers.isGRPC(block) else {
            scratch.removeAll()
            let status = scratch.append([(":status", "415"), ("content-length", "0")])
            return session.submitResponse(status, of: scratch, isEnd: true, on: slot)
        }
        guard headers.value(of: .path, in: block, equals: Self.path) else {
            return refuse(slot, GRPCStatus(12, "unknown method"))
        }
        guard case .decided(refusal: nil) = access else {
            guard case .decided(let refusal?) = access else { return refuse(slot, GRPCStatus(16, "no identity yet")) }
            return refuse(slot, GRPCStatus(16, refusal))
        }
        calls[slot] = Call(streamID: session.streamID(of: slot))
    }

    private func received(_ slot: StreamSlot, _ chunk: BodyChunk) {
        let bytes = session.bytes(of: chunk)
        session.consume(streamID: session.streamID(of: slot), byteCount: chunk.byteCount)
        guard let call = calls[slot], call.subscription == nil else { return }
        call.reader.append(bytes)
        do throws(GRPCStatus) {
            guard let message = try call.reader.next() else { return }
            try start(slot, call, message)
        } catch {
            calls[slot] = nil
            refuse(slot, error)
        }
    }

    private func start(_ slot: StreamSlot, _ call: Call, _ message: ByteBuffer) throws(GRPCStatus) {
        guard let loop = context?.eventLoop else { return }
        let interest: TapInterest
        do {
            interest = try TapInterest(message: message)
        } catch {
            throw GRPCStatus(GRPCStatus.Code.invalidArgument, error.message)
        }
        let bound = NIOLoopBound(Weak(self), eventLoop: loop)
        let streamID = call.streamID
        call.subscription = hub.subscribe(interest) {
            // Gathered for a moment: at high rates one wake-up and one write carry many events.
            loop.scheduleTask(in: TapSubscription.wakeDelay) { bound.value.handler?.pump(slot, streamID) }
        }
        scratch.removeAll()
        let head = scratch.append([(":status", "200"), ("content-type", "application/grpc")])
        session.submitResponse(head, of: scratch, isEnd: false, on: slot)
        wire.flushSoon()
    }

    /// Moves what waits into the stream, as far as the reader keeps up.
    private func pump(_ slot: StreamSlot, _ streamID: Int) {
        guard let call = calls[slot], call.streamID == streamID, let subscription = call.subscription else { return }
        if !call.isDeregistered, subscription.isFull {
            call.isDeregistered = true
            hub.unsubscribe(subscription)
        }
        while session.pendingByteCount(on: slot) < Self.streamBytesMax {
            switch subscription.take() {
            case .bytes(let bytes): session.sendBody(bytes, on: slot)
            case .nothing:
                wire.flushSoon()
                return
            case .finished(let losses):
                finish(slot, losses)
                return
            }
        }
        wire.flushSoon()
    }

    private func pumpAll() {
        for (slot, call) in calls { pump(slot, call.streamID) }
    }

    private func reportLosses() {
        for (slot, call) in calls {
            call.subscription?.reportLosses()
            pump(slot, call.streamID)
        }
    }

    /// The tap saw its number of requests: what was lost on the way stands in the trailers.
    private func finish(_ slot: StreamSlot, _ losses: TapLosses) {
        if let call = calls.removeValue(forKey: slot) { stop(call) }
        scratch.removeAll()
        let trailers = scratch.append([
            ("grpc-status", "0"), ("l5d-tap-limited", "\(losses.limited)"),
            ("l5d-tap-dropped-requests", "\(losses.droppedRequests)"),
            ("l5d-tap-dropped-events", "\(losses.droppedEvents)"),
        ])
        session.sendTrailers(trailers, of: scratch, on: slot)
        wire.flushSoon()
    }

    private func refuse(_ slot: StreamSlot, _ status: GRPCStatus) {
        scratch.removeAll()
        let fields = scratch.append([
            (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "\(status.code)"),
            ("grpc-message", status.message),
        ])
        session.submitResponse(fields, of: scratch, isEnd: true, on: slot)
        wire.flushSoon()
    }

    private func stop(_ call: Call) {
        guard let subscription = call.subscription else { return }
        hub.unsubscribe(subscription)
        subscription.cancel()
    }
}

extension TapServerHandler: HTTP2WireOwner {
    func drainEvents() {
        while let event = session.nextEvent() {
            switch event {
            case .head(let slot, let block, let isEnd):
                began(slot, block)
                if isEnd { requestEnded(slot) }
            case .data(let slot, let chunk): received(slot, chunk)
            case .end(let slot), .trailers(let slot, _): requestEnded(slot)
            case .sent(let slot, _):
                if let call = calls[slot] { pump(slot, call.streamID) }
            case .closed(let slot, _):
                if let call = calls.removeValue(forKey: slot) { stop(call) }
            case .failed:
                wire.flushSoon()
                if !session.wantsWrite { wire.close() }
            case .localEnd, .pong, .informational, .settings, .goAway: break
            }
        }
    }

    func wireFinished() { wire.close() }

    private func requestEnded(_ slot: StreamSlot) {
        guard let call = calls[slot], call.subscription == nil else { return }
        calls[slot] = nil
        refuse(slot, GRPCStatus(GRPCStatus.Code.invalidArgument, "missing request message"))
    }
}
