/// Why the proxy could not complete one request or connection.
///
/// `kind` is closed and countable; `message` is what `l5d-proxy-error` says and never becomes a label.
package struct ProxyError: Error, Sendable {
    /// The closed set of failures. `ErrorResponses` gives each its status, gRPC code, label and connection
    /// fate.
    package enum Kind: String, Sendable, CaseIterable {
        /// The client's HTTP was malformed or ambiguous.
        case malformedRequest = "malformed_request"
        /// The client's HTTP/1 head took too long.
        case headTimedOut = "head_timed_out"
        /// The endpoint refused the connection, or it broke while connecting.
        case connectFailed = "connect_failed"
        /// The endpoint did not accept within the connect time-out.
        case connectTimedOut = "connect_timed_out"
        /// The endpoint closed or reset the connection before it answered.
        case upstreamClosed = "upstream_closed"
        /// The endpoint's answer was malformed.
        case upstreamMalformed = "upstream_malformed"
        /// The endpoint reset the HTTP/2 stream of a request that may not be reset towards the client.
        case upstreamReset = "upstream_reset"
        /// No endpoint became available within the dispatch time-out.
        case failFast = "fail_fast"
        /// Too many requests wait or are in flight.
        case loadShed = "load_shed"
        /// A route's response time-out passed.
        case responseTimedOut = "response_timed_out"
        /// Policy forbids the request.
        case unauthorized = "unauthorized"
        /// The endpoint is not who the request requires it to be.
        case identityMismatch = "identity_mismatch"
        /// No route matches.
        case notFound = "not_found"
        /// The request would come back to this proxy.
        case loop = "loop"
        /// The first bytes of an accepted connection did not come in time.
        case tlsDetectTimedOut = "tls_detect_timed_out"
        /// A gateway connection names something that this proxy is no gateway for.
        case gatewayDomain = "gateway_domain"
        /// A bug, or a state nobody foresaw.
        case unexpected = "unexpected"
    }

    package let kind: Kind
    package let message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}
