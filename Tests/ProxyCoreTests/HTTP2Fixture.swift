import MeshBalance
import MeshHTTP2
import MeshTransport
import NIOCore
import NIOPosix
import ProxyCore
import Testing

/// A stack with one endpoint and one decision.
final class FakeStack: RequestStack, @unchecked Sendable {
    let direction: Direction
    var decide: (String, Bool) -> RouteDecision
    var failures: [ProxyError.Kind] = []
    var authorities: [String] = []
    var emitsInformationalHeaders = true
    let taps = LoopTaps()
    let tapLabels: [String: String] = [:]

    init(_ direction: Direction = .inbound, _ decide: @escaping (String, Bool) -> RouteDecision) {
        self.direction = direction
        self.decide = decide
    }

    func route(authority: String, isGRPC: Bool) -> RouteDecision {
        authorities.append(authority)
        return decide(authority, isGRPC)
    }

    func failed(with error: ProxyError) { failures.append(error.kind) }
}

/// Client, proxy handler and upstream on real sockets, all on one loop. Everything is built and touched
/// there.
final class HTTP2Fixture: @unchecked Sendable {
    let loop: any EventLoop
    let stack: FakeStack
    let metrics = RequestMetrics(labels: "")
    let inboundTransport = TransportMetrics(labels: "")
    let upstreamTransport = TransportMetrics(labels: "")
    let drain: DrainState
    let endpoint: EndpointHandle
    let client: HTTP2TestClient
    /// Connections that the upstream accepted, in order.
    var upstreams: [HTTP2Peer] = []
    var onUpstreamEvent: (HTTP2Event, HTTP2Peer) -> Void
    var upstreamLimits = SessionLimits()
    let notes = HTTP2Notes()
    private var listeners: [any Channel] = []

    private init(
        loop: any EventLoop, upstreamPort: Int, canonicalName: String?,
        onUpstreamEvent: @escaping (HTTP2Event, HTTP2Peer) -> Void
    ) throws {
        self.loop = loop
        self.onUpstreamEvent = onUpstreamEvent
        drain = DrainState(loop: loop)
        client = HTTP2TestClient(loop: loop)
        let backoff = Backoff(minNanoseconds: 1_000_000, maxNanoseconds: 10_000_000, jitter: 0.1)
        let connect = ConnectSettings(timeout: .seconds(5), backoff: backoff, socket: SocketSettings())
        let endpoint = EndpointHandle(
            address: try SocketAddress(ipAddress: "127.0.0.1", port: upstreamPort), loop: loop,
            metrics: metrics,
            transport: upstreamTransport,
            settings: EndpointSettings(connect: connect, poolIdleTimeout: .seconds(3), poolIdleMax: 10),
            canonicalName: canonicalName)
        self.endpoint = endpoint
        stack = FakeStack { _, _ in .forward(endpoint) }
    }

    /// Starts everything, runs `body` with the fixture on its loop, and waits for what it returns.
    static func run<Result: Sendable>(
        upstreamLimits: SessionLimits = SessionLimits(), canonicalName: String? = nil,
        isUpstreamDown: Bool = false,
        _ onUpstreamEvent: @escaping @Sendable (HTTP2Event, HTTP2Peer) -> Void,
        _ body: @escaping @Sendable (HTTP2Fixture) -> EventLoopFuture<Result>
    ) async throws -> Result {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let started = loop.flatSubmit { () -> EventLoopFuture<HTTP2Fixture> in
            start(loop, upstreamLimits, canonicalName, isUpstreamDown, onUpstreamEvent)
        }
        do {
            let fixture = try await started.get()
            let result = try await loop.flatSubmit { body(fixture) }.get()
            try await loop.submit { fixture.stop() }.get()
            try await group.shutdownGracefully()
            return result
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
    }

    private static func start(
        _ loop: any EventLoop, _ limits: SessionLimits, _ canonicalName: String?, _ isUpstreamDown: Bool,
        _ onUpstreamEvent: @escaping @Sendable (HTTP2Event, HTTP2Peer) -> Void
    ) -> EventLoopFuture<HTTP2Fixture> {
        let box = NIOLoopBoundBox<HTTP2Fixture?>(nil, eventLoop: loop)
        let upstream = ServerBootstrap(group: loop).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                guard let fixture = box.value else { return }
                let peer = HTTP2Peer(.server, limits: fixture.upstreamLimits) {
                    [unowned fixture] event, peer in
                    fixture.onUpstreamEvent(event, peer)
                }
                peer.notes = fixture.notes
                fixture.upstreams.append(peer)
                try channel.pipeline.syncOperations.addHandler(peer)
            }
        }.bind(host: "127.0.0.1", port: 0)
        return upstream.flatMap { listener in
            loop.makeCompletedFuture {
                let port = listener.localAddress?.port ?? 0
                let fixture = try HTTP2Fixture(
                    loop: loop, upstreamPort: port, canonicalName: canonicalName,
                    onUpstreamEvent: onUpstreamEvent)
                fixture.upstreamLimits = limits
                fixture.listeners.append(listener)
                box.value = fixture
                if isUpstreamDown { listener.close(promise: nil) }
                return fixture
            }
        }.flatMap { fixture in fixture.listen().map { @Sendable _ in fixture } }
    }

    private func listen() -> EventLoopFuture<Void> {
        let fixture = self
        return ServerBootstrap(group: loop)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.writeBufferWaterMark, value: SocketSettings.writeQueueBytes)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    fixture.inboundTransport.opened()
                    let handler = HTTP2ServerHandler(
                        stack: fixture.stack, transport: fixture.inboundTransport, limits: HTTP2Limits(),
                        drain: fixture.drain)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .flatMap { listener in
                fixture.listeners.append(listener)
                guard let address = listener.localAddress else {
                    return listener.eventLoop.makeSucceededVoidFuture()
                }
                return fixture.client.connect(to: address)
            }
    }

    /// Where the proxy listens.
    var address: SocketAddress? { listeners.last?.localAddress }

    private func stop() {
        for listener in listeners { listener.close(promise: nil) }
        client.peer.close()
        endpoint.retire()
        notes.held = []
    }

    /// Completes when `isTrue` is, looking once a millisecond.
    func when(_ isTrue: @escaping @Sendable (HTTP2Fixture) -> Bool) -> EventLoopFuture<Bool> {
        let promise = loop.makePromise(of: Bool.self)
        check(NIODeadline.now() + .seconds(10), promise, isTrue)
        return promise.futureResult
    }

    private func check(
        _ deadline: NIODeadline, _ promise: EventLoopPromise<Bool>,
        _ isTrue: @escaping @Sendable (HTTP2Fixture) -> Bool
    ) {
        if isTrue(self) { return promise.succeed(true) }
        if NIODeadline.now() > deadline { return promise.succeed(false) }
        _ = loop.scheduleTask(in: .milliseconds(1)) { self.check(deadline, promise, isTrue) }
    }

    /// Completes an answer of discovery a little later; nil fails it.
    func answerLater(_ promise: EventLoopPromise<EndpointHandle>, _ endpoint: EndpointHandle?) {
        _ = loop.assumeIsolated().scheduleTask(in: .milliseconds(20)) {
            if let endpoint {
                promise.assumeIsolated().succeed(endpoint)
            } else {
                promise.fail(ProxyError(.failFast, "service in fail-fast"))
            }
        }
    }

    /// Everything that the metrics say, in one line a series.
    var series: [String] {
        metrics.outcomes.filter { $0.count > 0 }.map { entry in
            let outcome = entry.outcome
            let how = "\(outcome.classification) \(outcome.error)"
            return "\(outcome.status) \(outcome.grpcStatus) \(how) \(entry.count)"
        }
    }
}
