// One request that has a route, from its head to the end of its answer, across retries. The protocol handlers
// call it at the same points at which they count for the endpoint; it counts for the route, keeps the time-out
// and decides on retries. Requests of destinations without routes have none of this, and cost nothing here.

import MeshRoutes
import NIOCore

/// The route's side of one request. Loop-bound.
final class RoutedRequest {
    let route: RequestRoute
    /// Times it was sent again because its answer was a failure.
    private(set) var retryCount = 0
    private let startedAt: UInt64
    private var timer: Scheduled<Void>?
    private var isTimed = false
    private var hasFirstByte = false
    private var isAttempting = false
    private var isOver = false

    /// Counts the request.
    init(_ route: RequestRoute, at now: UInt64) {
        self.route = route
        startedAt = now
        route.metrics.requestStarted()
    }

    deinit { timer?.cancel() }

    /// Starts the route's time-out, if it has one; `expired` is called unless the head of the answer comes first.
    func limit(on loop: any EventLoop, _ expired: @escaping (ProxyError) -> Void) {
        guard let timeout = route.timeout, !isTimed else { return }
        isTimed = true
        timer = loop.assumeIsolated().scheduleTask(in: timeout) { [weak self] in
            guard let self, !isOver else { return }
            timer = nil
            expired(ProxyError(.responseTimedOut, "HTTP response timeout after \(timeout.shortText)"))
        }
    }

    /// The request is sent, for the first time or again.
    func attempted() {
        isAttempting = true
        route.attempts?.requestStarted()
    }

    /// How many bytes of the body to keep for a retry; 0 when the route allows none.
    var keptBytesMax: Int { route.retries == nil ? 0 : RetryPlan.bodyBytesMax }

    /// Decides about the answer of one attempt, and counts it when it will not be passed on.
    ///
    /// - Parameter canReplay: whether the whole request is still here and another endpoint, or the same, is ready.
    ///   Asked only about failures.
    /// - Returns: whether to drop the answer and send the request again.
    func retries(status: Int, grpcStatus: Int?, at now: UInt64, canReplay: () -> Bool) -> Bool {
        guard let plan = route.retries else { return false }
        let outcome = route.classify(status: status, grpcStatus: grpcStatus)
        guard outcome.isFailure, retryCount < RetryPlan.retriesMax, canReplay() else {
            plan.budget.budget.depositRequest(at: now)
            return false
        }
        plan.retryable.increment()
        guard plan.budget.budget.withdrawRetry(at: now) else {
            plan.skipped.increment()
            return false
        }
        retryCount += 1
        endAttempt(status: status, outcome)
        return true
    }

    /// The head of the answer goes to the client: the time-out has done its work.
    func headPassed() {
        timer?.cancel()
        timer = nil
    }

    /// The first byte of the answer's body, or its end without one.
    func firstByte(status: Int, at now: UInt64) {
        guard !hasFirstByte else { return }
        hasFirstByte = true
        let latency = now >= startedAt ? now - startedAt : 0
        route.metrics.responseHead(status: status, latencyNanoseconds: latency)
    }

    /// The whole answer was passed on.
    func completed(status: Int, grpcStatus: Int?, at now: UInt64) {
        guard !isOver else { return }
        firstByte(status: status, at: now)
        let outcome = route.classify(status: status, grpcStatus: grpcStatus)
        endAttempt(status: status, outcome)
        route.metrics.responseEnded(status: status, grpcStatus: outcome.grpcStatus, isFailure: outcome.isFailure)
        over()
    }

    /// One attempt broke off, and the request is sent again without the client noticing.
    func attemptFailed(error: String) {
        guard isAttempting else { return }
        isAttempting = false
        route.attempts?.requestFailed(status: nil, error: error)
    }

    /// The request failed, or its answer broke off.
    /// - Parameter status: what was sent to the client already; `nil` before that.
    func failed(status: Int?, error: String) {
        guard !isOver else { return }
        if isAttempting { route.attempts?.requestFailed(status: status, error: error) }
        isAttempting = false
        route.metrics.requestFailed(status: status, error: error)
        over()
    }

    private func endAttempt(status: Int, _ outcome: (isFailure: Bool, grpcStatus: Int?)) {
        guard isAttempting else { return }
        isAttempting = false
        route.attempts?.responseEnded(
            status: status, grpcStatus: outcome.grpcStatus, isFailure: outcome.isFailure)
    }

    private func over() {
        isOver = true
        headPassed()
    }
}
