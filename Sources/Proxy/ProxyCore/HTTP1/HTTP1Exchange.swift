import MeshBalance
import MeshWire
import NIOCore

/// One request and its answer on an HTTP/1 connection, and what the metrics need to know about them.
struct HTTP1Exchange {
    /// Tells one exchange from the next when an answer to a question arrives late.
    private(set) var generation: UInt64 = 0
    private(set) var method: HTTP1Method = .other
    private(set) var isHTTP10 = false
    /// Whether the client can send another request afterwards.
    private(set) var keepsConnection = false
    /// Whether a pooled connection will do: an HTTP/1.0 request, one without a host, or one that becomes a
    /// tunnel takes its own.
    private(set) var mayUsePool = false
    private(set) var endpoint: EndpointHandle?
    var upstream: HTTP1ClientHandler?
    /// The whole request has been passed on.
    var isRequestDone = false
    /// The whole request as it was sent, while it may be sent again: no response byte came, the connection
    /// was pooled, the method is idempotent.
    var replay: ByteBuffer?
    /// Status of the final head that was passed on; 0 before that.
    private(set) var status = 0

    private var startedAt: UInt64 = 0
    private var isPending = false
    private var hasRetried = false

    /// A request was parsed.
    mutating func start(_ parser: HTTP1RequestParser) {
        generation &+= 1
        method = parser.method
        isHTTP10 = parser.isHTTP10
        keepsConnection = parser.keepsConnection
        mayUsePool = !parser.isHTTP10 && parser.hasHost && parser.method != .connect && !parser.wantsUpgrade
        isRequestDone = false
        status = 0
        isPending = false
        hasRetried = false
    }

    /// An endpoint was chosen: the request counts from here.
    mutating func dispatched(to endpoint: EndpointHandle) {
        self.endpoint = endpoint
        startedAt = NIODeadline.now().uptimeNanoseconds
        isPending = true
        endpoint.load.started()
        endpoint.metrics.requestStarted()
    }

    /// The client is told to close after this response.
    mutating func closeAfterwards() { keepsConnection = false }

    /// The head of the final response came.
    mutating func answered(status: Int) {
        self.status = status
        replay = nil
        guard let endpoint else { return }
        let now = NIODeadline.now().uptimeNanoseconds
        let latency = now &- startedAt
        if isPending {
            isPending = false
            endpoint.load.answered(latencyNanoseconds: latency, at: now)
        }
        endpoint.metrics.responseHead(status: status, latencyNanoseconds: latency)
    }

    /// The whole response was passed on.
    mutating func completed() {
        guard let endpoint else { return }
        let isFailure = Classification.of(status: status, grpcStatus: nil) == .failure
        endpoint.metrics.responseEnded(status: status, grpcStatus: nil, isFailure: isFailure)
        clear()
    }

    /// The endpoint failed before it answered: what the client sees instead counts as the endpoint's answer.
    mutating func failedBeforeHead(answering status: Int) {
        guard endpoint != nil else { return }
        answered(status: status)
        completed()
    }

    /// The response broke off behind its head.
    mutating func broke() {
        endpoint?.metrics.requestFailed(status: status == 0 ? nil : status, error: "unclassified")
        clear()
    }

    /// The client left. An answer that had begun counts as what its head said.
    mutating func abandoned() {
        if isPending { endpoint?.load.abandoned() }
        isPending = false
        if status != 0 { completed() }
        clear()
    }

    /// Whether the request may be sent once more, over a fresh connection.
    mutating func takeRetry() -> Bool {
        guard replay != nil, !hasRetried else { return false }
        hasRetried = true
        return true
    }

    private mutating func clear() {
        endpoint = nil
        upstream = nil
        replay = nil
        status = 0
    }
}
