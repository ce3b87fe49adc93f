// The admin port: probes, metrics, log level, shutdown. On a loop of its own, so that a busy data plane never
// fails a probe. It speaks HTTP/1 and HTTP/2, and counts itself as inbound traffic. Source: `spec/proxy.md` 8.

import MeshMetrics
package import MeshTransport
import MeshWire
package import NIOCore

/// What the admin port reads and changes.
package struct AdminState: Sendable {
    /// Where `/metrics` comes from.
    package let metrics: MetricsRegistry
    /// Whether `/ready` says so.
    package let isReady: @Sendable () -> Bool
    /// The log filter in force.
    package let log: LogFilter
    /// Starts the drain.
    package let shutdown: @Sendable () -> Void
    /// Whether `/shutdown` exists.
    package let isShutdownEnabled: Bool
    /// The environment, as `/env.json` shows it.
    package let environment: [String: String]
    /// Who may ask.
    package let policy: InboundPolicy

    package init(
        metrics: MetricsRegistry, isReady: @escaping @Sendable () -> Bool, log: LogFilter,
        shutdown: @escaping @Sendable () -> Void, isShutdownEnabled: Bool, environment: [String: String],
        policy: InboundPolicy
    ) {
        self.metrics = metrics
        self.isReady = isReady
        self.log = log
        self.shutdown = shutdown
        self.isShutdownEnabled = isShutdownEnabled
        self.environment = environment
        self.policy = policy
    }
}

/// Bounds of the admin port, so that nobody can starve probes through it.
package enum AdminLimits {
    /// Connections open at once; further ones are closed as they come.
    package static let connectionsMax = 256
    /// A request with its body; more is 413, or the end of the connection when not even the head fits.
    package static let requestBytesMax = 65_536
    /// How long the first bytes may take.
    package static let detectTimeout = TimeAmount.seconds(1)
    /// How long a request may take to arrive from its first byte on.
    package static let requestTimeout = TimeAmount.seconds(10)
    /// How long a connection may be idle between requests; longer than any usual scrape interval.
    package static let idleTimeout = TimeAmount.seconds(300)
    /// HTTP/2 streams open at once.
    package static let streamsMax = 32
}

/// The admin server.
package enum AdminServer {
    /// Binds and serves until the listener is closed.
    package static func bind(
        _ address: SocketAddress, loops: any EventLoopGroup, shards: LoopLocal<ProxyLoop>, state: AdminState
    ) -> EventLoopFuture<Listener> {
        Listener.bind(address, loops: loops, settings: SocketSettings()) { channel in
            channel.eventLoop.makeCompletedFuture {
                guard let loop = shards.value(on: channel.eventLoop), loop.drain.openCount < AdminLimits.connectionsMax
                else { throw ProxyError(.loadShed, "too many admin connections") }
                let held = HeldDrain()
                loop.drain.add(held)
                channel.closeFuture.assumeIsolated().whenComplete { _ in loop.drain.remove(held) }
                try accept(channel, loop, state)
            }
        }
        .flatMap { listener in listener.accept().map { listener } }
    }

    /// Mesh TLS for this proxy ends here, as on any inbound port; bytes that do not say which HTTP they are come
    /// from a proxy then, and HTTP/2 is what proxies speak.
    private static func accept(_ channel: any Channel, _ loop: ProxyLoop, _ state: AdminState) throws {
        guard let identity = loop.identity else {
            return try serve(channel, AdminConnection(channel, .none(.noTLSFromRemote), loop, state), fallback: .http1)
        }
        try MeshTLSAccept.serve(
            channel, identity: identity, timeout: AdminLimits.detectTimeout, failed: { _ in },
            decided: { tls, _ in
                guard !tls.isPassthrough else { throw ProxyError(.malformedRequest, "TLS for somebody else") }
                let fallback: WireProtocol = tls == .none(.noTLSFromRemote) ? .http1 : .http2
                try serve(channel, AdminConnection(channel, tls, loop, state), fallback: fallback)
            })
    }

    /// Finds out which HTTP it is; `fallback` is for bytes that do not say.
    private static func serve(_ channel: any Channel, _ connection: AdminConnection, fallback: WireProtocol) throws {
        connection.transport.opened()
        let detector = DetectHandler(timeout: AdminLimits.detectTimeout, transport: connection.transport) {
            wire, context in
            let pipeline = context.pipeline.syncOperations
            if (wire == .opaque ? fallback : wire) == .http2 {
                try pipeline.addHandler(AdminHTTP2Handler(connection), position: .after(context.handler))
            } else {
                try pipeline.addHandler(AdminHTTP1Handler(connection), position: .after(context.handler))
            }
        }
        try channel.pipeline.syncOperations.addHandler(detector)
    }
}

/// One accepted admin connection: who it is, and the series it counts in. Loop-bound.
final class AdminConnection {
    let state: AdminState
    /// Counters of the accepted socket.
    let transport: TransportMetrics
    private let requests: RequestMetrics
    private let decision: Counter
    private let isAllowed: Bool
    private let isFromLoopback: Bool

    init(_ channel: any Channel, _ security: InboundTLS, _ loop: ProxyLoop, _ state: AdminState) {
        self.state = state
        let tls = loop.identity == nil ? SeriesLabels.tlsDisabled : security.labels
        let metrics = loop.metrics
        isFromLoopback = channel.remoteAddress?.isLoopback ?? false
        let port = channel.localAddress?.port ?? 0
        let target = channel.localAddress.map { SeriesLabels.target($0.unmapped) } ?? ""
        let policy = state.policy
        let server = policy.serverLabels(port: port)
        transport = metrics.transport(labels: "direction=\"inbound\",peer=\"src\",\(target),\(tls),\(server)")
        let authorization = policy.authorization(of: channel.remoteAddress, port: port, security)
        isAllowed = authorization != nil
        let granted = authorization.map { "," + policy.authorizationLabels($0) } ?? ""
        requests = metrics.requests(
            labels: "direction=\"inbound\",\(target),\(tls),\(server),\(InboundPolicy.routeLabels)\(granted)")
        let family: CounterFamily = isAllowed ? .inboundHTTPAuthzAllow : .inboundHTTPAuthzDeny
        decision = metrics.counter(
            family, labels: "\(target),\(server),\(InboundPolicy.routeLabels)\(granted),\(tls)")
    }

    /// A request with its target; fields and body are added by the handler.
    func request(method: String, target: String) -> AdminRequest {
        AdminRequest(method: method, target: target, isFromLoopback: isFromLoopback)
    }

    /// Answers and counts. Completes on the loop; never fails.
    func answer(_ request: AdminRequest, on loop: any EventLoop) -> EventLoopFuture<AdminResponse> {
        requests.requestStarted()
        decision.increment()
        let (state, isAllowed) = (state, isAllowed)
        let started = NIODeadline.now().uptimeNanoseconds
        let bound = NIOLoopBound(self, eventLoop: loop)
        let answering = loop.makeFutureWithTask { () async -> AdminResponse in
            guard isAllowed else { return AdminResponse(status: 403) }
            return await AdminRoutes.answer(request, state)
        }
        return answering.map { response in
            bound.value.count(response.status, since: started)
            return response
        }
    }

    /// Counts an answer that no route gave.
    func countRefusal(_ status: Int) {
        requests.requestStarted()
        count(status, since: NIODeadline.now().uptimeNanoseconds)
    }

    private func count(_ status: Int, since started: UInt64) {
        requests.responseHead(
            status: status, latencyNanoseconds: NIODeadline.now().uptimeNanoseconds &- started)
        requests.responseEnded(
            status: status, grpcStatus: nil, isFailure: Classification.of(status: status, grpcStatus: nil) == .failure)
    }
}
