/// Bounds the requests of one side that have no response head yet (`LINKERD2_PROXY_…_MAX_IN_FLIGHT`). Bound to
/// its loop: the configured bound is shared out among the loops, because one counter for all would be written by
/// every core for every request.
package final class InFlightLimit {
    /// Requests admitted and not yet answered.
    package private(set) var count = 0
    private let max: Int

    /// - Parameter loopCount: how many loops share `max`.
    package init(max: Int, loopCount: Int) {
        self.max = Swift.max(1, (max + loopCount - 1) / Swift.max(1, loopCount))
    }

    /// Counts one request in.
    /// - Returns: `false`, and counts nothing, when there are too many: answer it with `loadShed`.
    func admit() -> Bool {
        guard count < max else { return false }
        count += 1
        return true
    }

    /// A request that was admitted has its answer, or is gone.
    func release() { count -= 1 }

    /// What the client of a request that is not admitted is told.
    static let refusal = ProxyError(.loadShed, "service unavailable")
}
