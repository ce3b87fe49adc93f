import MeshWire
import NIOCore

/// Whoever made a request on an `HTTP1ClientHandler`: an accepted HTTP/1 connection, or a stream whose request was
/// carried. Calls come on the connection's loop, in the order of the wire.
protocol HTTP1ResponseSink: AnyObject {
    /// The tap that hears of body bytes, if one took the exchange.
    var tap: TapExchange? { get }
    /// Whether the request asked for another protocol, so that 101 may answer it.
    var wantsUpgrade: Bool { get }
    /// Which of the response's fields are for this proxy alone.
    var responseRules: HTTP1FieldRules { get }
    /// A 1xx response other than 101; more heads follow.
    func forwardInformational(_ source: ByteBuffer, _ head: borrowing HTTP1ResponseParser)
    /// 101, or 2xx to CONNECT; `becomeTunnel` follows.
    func forwardSwitch(_ source: ByteBuffer, _ head: borrowing HTTP1ResponseParser)
    /// What sends the request again instead of passing on an answer with this status; `nil` when it is passed on.
    func retry(after status: Int) -> (() -> Void)?
    /// The final head, and how many of the bytes behind it in `source` are its body's.
    func forwardHead(
        _ source: ByteBuffer, _ head: borrowing HTTP1ResponseParser, bodyBytes: Int, isUntilClose: Bool)
    /// Bytes of the body, in their framing.
    func write(_ buffer: ByteBuffer)
    /// Everything that one read brought was handed over.
    func flush()
    /// The response is whole. The sink owns the connection: it finishes or closes it.
    func responseEnded(from connection: HTTP1ClientHandler, isReusable: Bool)
    /// The connection failed; it is closed, or closing.
    func upstreamFailed(_ error: ProxyError)
    /// The connection takes bytes again, or no longer.
    func upstreamWritabilityChanged(_ isWritable: Bool)
    /// The connection leaves HTTP; the sink owns it. `rest` came behind the head.
    func becomeTunnel(from connection: HTTP1ClientHandler, received rest: ByteBuffer)
}
