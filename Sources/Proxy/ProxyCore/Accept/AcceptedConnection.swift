// From an accepted socket to the one handler that serves it: opaque at once, or after detection.

import MeshBalance
package import MeshTransport
package import MeshWire
package import NIOCore

/// What inbound and outbound decide about an accepted connection before any byte is read. Loop-bound.
package protocol ConnectionPlan: AnyObject {
    /// Counters of the accepted socket (`peer="src"`).
    var transport: TransportMetrics { get }
    /// Routes the connection's requests, should it carry HTTP.
    var stack: any RequestStack { get }
    /// Skip detection.
    var isOpaque: Bool { get }
    /// How long to wait for the first bytes.
    var detectTimeout: TimeAmount { get }
    /// Where opaque bytes go.
    func routeOpaque() -> RouteDecision
    /// Counts what detection found (`*_tcp_detect_http_results_total`).
    func detected(_ result: DetectionResult)
    /// Counts a connection that the proxy gave up (`*_tcp_errors_total`).
    func connectionFailed(with error: ProxyError)
}

/// What detection found; the raw value is the label's.
package enum DetectionResult: String, Sendable {
    case http1 = "http/1"
    case http2 = "http/2"
    case notHTTP = "not_http"
    /// Nothing came in time: the connection is taken for opaque.
    case timedOut = "read_timeout"
    /// The connection ended before it said anything.
    case failed = "error"

    init(_ wire: WireProtocol) {
        self =
            switch wire {
            case .http1: .http1
            case .http2: .http2
            case .opaque: .notHTTP
            }
    }
}

/// Sets up the handlers of one accepted connection.
package enum AcceptedConnection {
    /// Installs what the plan asks for. On the channel's loop, from its initializer or later.
    /// - Parameter known: what the connection carries, where that need not be detected.
    package static func serve(
        _ channel: any Channel, plan: any ConnectionPlan, limits: HTTP2Limits, drain: DrainState,
        known: WireProtocol? = nil
    ) throws {
        plan.transport.opened()
        if plan.isOpaque || known == .opaque {
            try forwardOpaque(channel, after: nil, plan: plan, drain: drain)
            return
        }
        if let known {
            let handler: any ChannelHandler =
                known == .http2
                ? HTTP2ServerHandler(stack: plan.stack, transport: plan.transport, limits: limits, drain: drain)
                : HTTP1ServerHandler(stack: plan.stack, transport: plan.transport, limits: limits, drain: drain)
            return try channel.pipeline.syncOperations.addHandler(handler)
        }
        let detector = DetectHandler(timeout: plan.detectTimeout, transport: plan.transport, found: plan.detected) {
            wire, context in
            let pipeline = context.pipeline.syncOperations
            switch wire {
            case .http1:
                let handler = HTTP1ServerHandler(
                    stack: plan.stack, transport: plan.transport, limits: limits, drain: drain)
                try pipeline.addHandler(handler, position: .after(context.handler))
            case .http2:
                let handler = HTTP2ServerHandler(
                    stack: plan.stack, transport: plan.transport, limits: limits, drain: drain)
                try pipeline.addHandler(handler, position: .after(context.handler))
            case .opaque:
                try forwardOpaque(channel, after: context.handler, plan: plan, drain: drain)
            }
        }
        try channel.pipeline.syncOperations.addHandler(detector)
    }

    private static func forwardOpaque(
        _ channel: any Channel, after handler: (any ChannelHandler)?, plan: any ConnectionPlan,
        drain: DrainState
    ) throws {
        let held = HeldDrain()
        drain.add(held)
        let near = OpaqueSide(transport: plan.transport) { drain.remove(held) }
        // Nothing more is read until the other side is there to take it.
        try channel.syncOptions?.setOption(.autoRead, value: false)
        if let handler {
            try channel.pipeline.syncOperations.addHandler(near, position: .after(handler))
        } else {
            try channel.pipeline.syncOperations.addHandler(near)
        }
        let giveUp = { (error: ProxyError) in
            plan.connectionFailed(with: error)
            channel.close(promise: nil)
        }
        switch plan.routeOpaque() {
        case .forward(let endpoint): connect(near, to: endpoint, plan.stack, giveUp: giveUp)
        case .reject(let error): giveUp(error)
        case .pending(let future):
            future.assumeIsolated().whenComplete { result in
                switch result {
                case .success(let endpoint): connect(near, to: endpoint, plan.stack, giveUp: giveUp)
                case .failure(let error): giveUp(ProxyError(wrapping: error))
                }
            }
        }
    }

    /// - Parameter attempt: counts the endpoints that were tried before, in vain.
    private static func connect(
        _ near: OpaqueSide, to endpoint: EndpointHandle, _ stack: any RequestStack, attempt: Int = 0,
        giveUp: @escaping (ProxyError) -> Void
    ) {
        let far = OpaqueSide(transport: endpoint.transport)
        let started = NIODeadline.now().uptimeNanoseconds
        endpoint.load.started()
        let connected = endpoint.connect(carrying: nil) { try $0.pipeline.syncOperations.addHandler(far) }
        connected.assumeIsolated().whenComplete { result in
            let now = NIODeadline.now().uptimeNanoseconds
            endpoint.load.answered(latencyNanoseconds: now &- started, at: now)
            switch result {
            case .success: OpaqueSide.join(near, far)
            case .failure(let error):
                // No byte was sent yet, so that another endpoint will do as well.
                let error = ProxyError(wrapping: error)
                guard FailureFate.of(error.kind, sent: .nothing, received: .nothing) == .resendElsewhere,
                    attempt < FailureFate.redispatchesMax, let next = stack.reroute(authority: "", avoiding: endpoint)
                else { return giveUp(error) }
                connect(near, to: next, stack, attempt: attempt + 1, giveUp: giveUp)
            }
        }
    }
}

/// Holds the drain until an opaque connection ends by itself.
final class HeldDrain: DrainableConnection {
    func beginDrain() {}
}
