/// In-flight requests and latency of one endpoint on one event loop; what P2C compares.
///
/// A request is in flight from dispatch to the first byte of its answer, as in Linkerd. Every `started` is
/// followed by exactly one `answered` or `abandoned`.
package final class LoadTracker {
    /// Requests sent and not yet answered.
    package private(set) var pendingCount = 0
    private var estimate: PeakEWMA

    /// Starts with the default estimate, as if measured at `now` nanoseconds of the loop's clock.
    package init(at now: UInt64) { estimate = PeakEWMA(at: now) }

    /// Expected cost of one more request at `now`: latency times queue. Lower is better.
    package func cost(at now: UInt64) -> Double { estimate.estimate(at: now) * Double(pendingCount + 1) }

    /// The latency estimate, in nanoseconds.
    package var estimatedNanoseconds: Double { estimate.nanoseconds }

    /// A request was dispatched.
    package func started() { pendingCount += 1 }

    /// The first byte of its answer came, or it failed, after `latencyNanoseconds`.
    package func answered(latencyNanoseconds: UInt64, at now: UInt64) {
        pendingCount -= 1
        estimate.record(latencyNanoseconds, at: now)
    }

    /// It ended without telling anything about the endpoint, as when the client left.
    package func abandoned() { pendingCount -= 1 }
}
