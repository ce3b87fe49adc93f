// The seam between the protocol handlers and what inbound and outbound know about destinations.
//
// A handler (HTTP/1 or HTTP/2) owns framing and bytes; the stack owns names and choices. For each request the
// handler asks `route` once, and gets either an endpoint, a refusal, or a promise of an endpoint because
// discovery has not answered yet. Everything here lives on the accepted connection's event loop: no lock,
// no hop, and nothing is `Sendable`.

package import NIOCore

/// Which field of a request says where it goes.
package enum RequestName: Sendable {
    /// `:authority`, or the absolute target, or `Host`.
    case authority
    /// `l5d-dst-canonical` when there is one, which a peer proxy set; else the authority.
    case canonical
    /// `l5d-dst-override`, which is taken off the request; nothing when there is none (ingress mode).
    case override
}

/// Which side of the workload a connection belongs to.
package enum Direction: String, Sendable, CaseIterable {
    case inbound, outbound
}

/// Answers, per request, where it goes. One per accepted connection, bound to its event loop.
package protocol RequestStack: AnyObject {
    /// The side this stack serves. Inbound handlers pass the value of `l5d-dst-canonical`, when the request
    /// has one, in place of the authority.
    var direction: Direction { get }

    /// Which field the handlers take the name from that they pass as `authority`.
    var requestName: RequestName { get }

    /// Bounds the requests that wait for their answer; `nil` for no bound.
    var inFlight: InFlightLimit? { get }

    /// How requests to a destination are counted, timed and retried; `nil` when it has no routes.
    ///
    /// - Parameter authority: as for `route`.
    func routes(authority: String) -> RouteTable?

    /// Another endpoint for a request that has to be sent again. Never waits.
    ///
    /// - Parameter failed: where it must not go again; `nil` when the same endpoint will do.
    /// - Returns: `nil` when none is ready now.
    func reroute(authority: String, avoiding failed: EndpointHandle?) -> EndpointHandle?

    /// Chooses the endpoint of one request.
    ///
    /// - Parameters:
    ///   - authority: host and optional port as the request spelt them, lower-cased; empty when it named
    ///     none. Handlers memoize the string by comparing bytes, so that a busy connection builds it once.
    ///   - isGRPC: whether the content type starts with `application/grpc`.
    func route(authority: String, isGRPC: Bool) -> RouteDecision

    /// Counts a failure that the proxy itself answered (`inbound_http_errors_total`,
    /// `outbound_http_errors_total`).
    func failed(with error: ProxyError)

    /// Where requests are logged; `nil` logs none.
    var accessLog: AccessLogSource? { get }

    /// The taps of this loop.
    var taps: LoopTaps { get }

    /// What taps say about the client: `tls` as `true` or the reason why not, and `client_id` if it has one.
    var tapLabels: [String: String] { get }

    /// Whether synthetic responses may carry `l5d-proxy-error` and `l5d-proxy-connection` to this client.
    var emitsInformationalHeaders: Bool { get }
}

/// What to do with one request.
package enum RouteDecision {
    /// Send it to this endpoint now.
    case forward(EndpointHandle)
    /// Answer it with the response that `ErrorResponses` derives from the error.
    case reject(ProxyError)
    /// Discovery has not answered; the future completes on the same loop, with a `ProxyError` when it fails
    /// fast. The number of waiters is bounded by the stack. Stop reading while waiting.
    case pending(EventLoopFuture<EndpointHandle>)
}

// A stack of one endpoint, without routes.
extension RequestStack {
    package var requestName: RequestName { direction == .inbound ? .canonical : .authority }
    package var inFlight: InFlightLimit? { nil }
    package var accessLog: AccessLogSource? { nil }

    package func routes(authority: String) -> RouteTable? { nil }

    package func reroute(authority: String, avoiding failed: EndpointHandle?) -> EndpointHandle? { nil }
}
