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
    /// Whether HTTP/2 can say the same: no tunnel, and a host as far as the version demands one.
    private(set) var mayBeCarried = false
    /// Whether the client asked for another protocol.
    private(set) var wantsUpgrade = false
    private(set) var endpoint: EndpointHandle?
    var upstream: HTTP1ClientHandler?
    /// The whole request has been passed on.
    var isRequestDone = false
    /// The whole request as it was sent, while it may be sent again: no response byte came, the connection
    /// was pooled, the method is idempotent.
    var replay: ByteBuffer?
    /// Set when the request is logged.
    var access: AccessLogEntry?
    /// Set when the request's destination has routes.
    var routed: RoutedRequest?
    /// The request as it came, while its route allows a retry and it is short enough.
    private(set) var kept: ByteBuffer?
    /// Times the request went to another endpoint because one could not be connected to.
    private(set) var redispatchCount = 0
    /// Set when a tap took the request.
    var tap: TapExchange?
    /// Status of the final head that was passed on; 0 before that.
    private(set) var status = 0

    private var startedAt: UInt64 = 0
    private var isPending = false
    private var hasRetried = false
    private var keptBytesMax = 0
    /// Where there is room for what is kept.
    private var replays: ReplayBudget?
    /// Set while the request is counted among those in flight.
    private var inFlight: InFlightLimit?

    /// A request was parsed.
    mutating func start(_ parser: borrowing HTTP1RequestParser) {
        generation &+= 1
        method = parser.method
        isHTTP10 = parser.isHTTP10
        keepsConnection = parser.keepsConnection
        wantsUpgrade = parser.wantsUpgrade
        mayUsePool = !parser.isHTTP10 && parser.hasHost && parser.method != .connect && !parser.wantsUpgrade
        mayBeCarried =
            parser.method != .connect && !parser.wantsUpgrade
            && (parser.isHTTP10 || (parser.hasHost && !parser.authority.isEmpty))
        isRequestDone = false
        status = 0
        isPending = false
        hasRetried = false
        redispatchCount = 0
        routed = nil
        dropKept()
    }

    /// Counts the request in.
    /// - Returns: `false` when there are too many.
    mutating func admit(to limit: InFlightLimit?) -> Bool {
        guard let limit else { return true }
        guard limit.admit() else { return false }
        inFlight = limit
        return true
    }

    private mutating func settle() {
        inFlight?.release()
        inFlight = nil
    }

    /// Keeps what will be sent of the request, up to so many bytes of body behind its head, as far as there is room
    /// for it; 0 keeps nothing.
    mutating func keepRequest(bodyBytesMax: Int, head: Int, in replays: ReplayBudget) {
        dropKept()
        guard bodyBytesMax > 0 else { return }
        keptBytesMax = head + bodyBytesMax
        kept = ByteBuffer()
        self.replays = replays
    }

    /// Takes bytes of the request, as they came, into what is kept.
    mutating func keep(_ bytes: ByteBuffer) {
        guard let count = kept?.readableBytes, let replays else { return }
        if count + bytes.readableBytes <= keptBytesMax, replays.take(bytes.readableBytes) {
            kept?.writeImmutableBuffer(bytes)
        } else {
            dropKept()
        }
    }

    /// Hands the kept request over.
    mutating func takeKept() -> ByteBuffer? {
        let taken = kept
        dropKept()
        return taken
    }

    private mutating func dropKept() {
        guard let count = kept?.readableBytes else { return }
        replays?.giveBack(count)
        kept = nil
    }

    /// An endpoint was chosen: the request counts from here.
    mutating func dispatched(to endpoint: EndpointHandle) {
        self.endpoint = endpoint
        startedAt = NIODeadline.now().uptimeNanoseconds
        isPending = true
        endpoint.requestStarted()
        routed?.attempted()
        access?.dispatched()
    }

    /// The client is told to close after this response.
    mutating func closeAfterwards() { keepsConnection = false }

    /// The head of the final response came.
    /// - Parameter fields: its header fields, when a tap wants to see them.
    mutating func answered(status: Int, fields: TapFields? = nil) {
        self.status = status
        tap?.answered(status: status, fields: fields)
        replay = nil
        dropKept()
        settle()
        guard let endpoint else { return }
        let now = NIODeadline.now().uptimeNanoseconds
        routed?.headPassed()
        routed?.firstByte(status: status, at: now)
        answered(endpoint, status: status, at: now)
    }

    /// The endpoint answered, whether or not the client gets to see it.
    private mutating func answered(_ endpoint: EndpointHandle, status: Int, at now: UInt64) {
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
        let isFailure =
            routed?.route.classify(status: status, grpcStatus: nil).isFailure
            ?? (Classification.of(status: status, grpcStatus: nil) == .failure)
        endpoint.responseEnded(status: status, grpcStatus: nil, isFailure: isFailure)
        routed?.completed(status: status, grpcStatus: nil, at: NIODeadline.now().uptimeNanoseconds)
        clear()
    }

    /// The endpoint's answer was a failure that is not passed on: the request will be sent again.
    mutating func attemptAnswered(status: Int) {
        guard let endpoint else { return }
        answered(endpoint, status: status, at: NIODeadline.now().uptimeNanoseconds)
        endpoint.responseEnded(status: status, grpcStatus: nil, isFailure: true)
        tap?.answered(status: status, fields: nil)
        tapEnded()
    }

    /// The endpoint could not be asked, and another will be.
    mutating func attemptFailed(error: String) {
        redispatchCount += 1
        endpoint?.requestFailed(status: nil, error: error)
        if isPending { endpoint?.load.abandoned() }
        isPending = false
        routed?.attemptFailed(error: error)
        tapEnded()
    }

    /// Each attempt is a request of its own to taps.
    private mutating func tapEnded() {
        tap?.ended(.plain)
        tap = nil
    }

    /// We stopped waiting for the answer.
    mutating func gaveUp(error: String) {
        endpoint?.requestFailed(status: nil, error: error)
        routed?.failed(status: nil, error: error)
    }

    /// The endpoint failed before it answered: what the client sees instead counts as the endpoint's answer.
    mutating func failedBeforeHead(answering status: Int) {
        guard endpoint != nil else { return }
        answered(status: status)
        completed()
    }

    /// The response broke off behind its head.
    mutating func broke() {
        endpoint?.requestFailed(status: status == 0 ? nil : status, error: "unclassified")
        routed?.failed(status: status == 0 ? nil : status, error: "unclassified")
        clear()
    }

    /// The client left. An answer that had begun counts as what its head said.
    mutating func abandoned() {
        if isPending { endpoint?.requestAbandoned() }
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
        access?.finish()
        access = nil
        tapEnded()
        endpoint = nil
        upstream = nil
        replay = nil
        dropKept()
        routed = nil
        status = 0
        settle()
    }
}
