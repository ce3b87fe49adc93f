// Every failure the proxy answers itself: HTTP status, gRPC code, metric label, and what becomes of the
// connection. One table, exhaustive, without `default`. Source: `spec/proxy.md` 5.1, 6.8.

package import NIOCore

/// What the client of a failed request sees.
package struct ErrorResponse: Sendable, Equatable {
    package let status: Int
    package let reason: String
    /// `grpc-status` for requests that are gRPC; they get HTTP 200.
    package let grpcStatus: Int
    /// Whether an HTTP/1 connection closes, and an HTTP/2 one gets GOAWAY, after the response.
    package let closesConnection: Bool
    /// The `error` label of `*_http_errors_total`.
    package let metricLabel: String
}

extension ProxyError.Kind {
    /// The response of this kind of failure.
    package var response: ErrorResponse {
        switch self {
        case .malformedRequest: .make(400, "Bad Request", grpc: 13, closes: true, "unexpected")
        case .headTimedOut: .make(408, "Request Timeout", grpc: 4, closes: true, "unexpected")
        case .connectFailed: .make(502, "Bad Gateway", grpc: 14, closes: true, "i/o")
        case .connectTimedOut: .make(504, "Gateway Timeout", grpc: 14, closes: true, "i/o")
        case .upstreamClosed: .make(502, "Bad Gateway", grpc: 14, closes: true, "i/o")
        case .upstreamMalformed: .make(502, "Bad Gateway", grpc: 14, closes: true, "unexpected")
        case .upstreamReset: .make(502, "Bad Gateway", grpc: 14, closes: false, "i/o")
        case .failFast: .make(504, "Gateway Timeout", grpc: 14, closes: true, "failfast")
        case .loadShed: .make(503, "Service Unavailable", grpc: 14, closes: true, "loadshed")
        case .responseTimedOut: .make(504, "Gateway Timeout", grpc: 14, closes: true, "response timeout")
        case .unauthorized: .make(403, "Forbidden", grpc: 7, closes: false, "unauthorized")
        case .identityMismatch: .make(502, "Bad Gateway", grpc: 14, closes: true, "identity required")
        case .notFound: .make(404, "Not Found", grpc: 5, closes: false, "not found")
        case .loop: .make(508, "Loop Detected", grpc: 10, closes: true, "gateway loop")
        case .tlsDetectTimedOut:
            .make(504, "Gateway Timeout", grpc: 14, closes: true, "tls detection timeout")
        case .gatewayDomain: .make(404, "Not Found", grpc: 5, closes: false, "gateway domain invalid")
        case .unexpected: .make(500, "Internal Server Error", grpc: 13, closes: true, "unexpected")
        }
    }
}

extension ErrorResponse {
    fileprivate static func make(
        _ status: Int, _ reason: String, grpc: Int, closes: Bool, _ label: String
    ) -> ErrorResponse {
        ErrorResponse(
            status: status, reason: reason, grpcStatus: grpc, closesConnection: closes, metricLabel: label)
    }
}

extension ProxyError {
    /// Text for `l5d-proxy-error`: visible ASCII, or `unexpected error` when the message is not.
    package var headerText: String {
        message.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F } ? message : "unexpected error"
    }

    /// The whole HTTP/1 response: a head with an empty body.
    ///
    /// - Parameters:
    ///   - isInformational: adds `l5d-proxy-error`, and `l5d-proxy-connection` when the connection closes.
    ///   - closes: adds `connection: close`.
    package func http1Response(isInformational: Bool, closes: Bool) -> ByteBuffer {
        let response = kind.response
        var text = "HTTP/1.1 \(response.status) \(response.reason)\r\ncontent-length: 0\r\n"
        if isInformational {
            text += "l5d-proxy-error: \(headerText)\r\n"
            if response.closesConnection { text += "l5d-proxy-connection: close\r\n" }
        }
        if closes { text += "connection: close\r\n" }
        return ByteBuffer(string: text + "\r\n")
    }
}
