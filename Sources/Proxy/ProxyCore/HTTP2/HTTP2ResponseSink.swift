package import MeshHTTP2
package import NIOCore

/// Whoever made a request on an `HTTP2ClientHandler`: a server stream, or a call of the proxy's own.
///  Calls come on the connection's loop, in the order of the wire, with the number that the sink gave the
/// stream. `requestEnded(stream:failure:)` is the last one, and comes exactly once.
package protocol HTTP2ResponseSink: AnyObject {
    /// A 1xx response; more heads follow.
    func responseInformational(stream: Int, _ block: HeaderBlock, of headers: HTTP2Headers)
    /// The final head. `isEnd`: neither body nor trailers follow.
    func responseHead(stream: Int, _ block: HeaderBlock, of headers: HTTP2Headers, isEnd: Bool)
    /// Body bytes. Give the credit back with `HTTP2ClientHandler.consume` when they are taken.
    func responseBody(stream: Int, _ bytes: ByteBuffer)
    /// Trailers, which end the response.
    func responseTrailers(stream: Int, _ block: HeaderBlock, of headers: HTTP2Headers)
    /// The response ended without trailers.
    func responseEnd(stream: Int)
    /// That many request bytes left for the endpoint.
    func requestSent(stream: Int, byteCount: Int)
    /// The stream is gone. `failure` is nil when the response was complete.
    func requestEnded(stream: Int, failure: HTTP2StreamFailure?)
}

/// Where the request of one server stream goes on: an HTTP/2 connection, or what restores HTTP/1 for it.
package protocol StreamUpstream: AnyObject {
    /// When what is being handled arrived.
    var nowNanoseconds: UInt64 { get }
    /// Queues request body.
    func sendBody(_ bytes: ByteBuffer, on slot: StreamSlot)
    /// Ends the request.
    func finish(_ slot: StreamSlot)
    /// Ends the request with trailers.
    func sendTrailers(_ block: HeaderBlock, of headers: HTTP2Headers, on slot: StreamSlot)
    /// Gives the request up: its sink hears nothing more.
    func cancel(_ slot: StreamSlot, _ code: HTTP2ErrorCode)
    /// Gives credit for response bytes; the stream may be gone.
    func consume(streamID: Int, byteCount: Int)
}

/// Why a stream ended before its response was complete.
package enum HTTP2StreamFailure: Error, Sendable {
    /// The endpoint did not process it (REFUSED_STREAM, or above GOAWAY's last id): it is safe to send again.
    case refused
    /// The endpoint reset it.
    case reset(HTTP2ErrorCode)
    /// The endpoint's answer broke the protocol, so we reset it.
    case malformed(HTTP2ErrorCode)
    /// The connection broke.
    case connectionLost
    /// There never was a connection.
    case connect(ProxyError)
}

extension HTTP2StreamFailure {
    /// The error to answer with when no response head was sent yet; nil when the reset goes through as it is.
    var proxyError: ProxyError? {
        switch self {
        case .reset, .refused: nil
        case .malformed: ProxyError(.upstreamMalformed, "malformed response from endpoint")
        case .connectionLost: ProxyError(.upstreamClosed, "connection closed before message completed")
        case .connect(let error): error
        }
    }

    /// The `error` label of the response that did not complete: a small closed set.
    var metricLabel: String {
        switch self {
        case .reset(let code), .malformed(let code): code.description
        case .refused: HTTP2ErrorCode.refusedStream.description
        case .connectionLost, .connect: "unclassified"
        }
    }

    /// The code to reset the client's stream with when a response was under way.
    var resetCode: HTTP2ErrorCode {
        switch self {
        case .reset(let code): code
        case .refused: .refusedStream
        case .malformed, .connectionLost, .connect: .internalError
        }
    }
}
