/// Exponential back-off with jitter: the n-th delay is `min(max, min·2ⁿ)` plus up to `jitter` of itself,
/// never above `max`.
package struct Backoff: Sendable, Equatable {
    /// The first delay, in nanoseconds.
    package let minNanoseconds: UInt64
    /// The bound on any delay, in nanoseconds.
    package let maxNanoseconds: UInt64
    /// Share of the delay added at random, 0 or more.
    package let jitter: Double

    package init(minNanoseconds: UInt64, maxNanoseconds: UInt64, jitter: Double) {
        self.minNanoseconds = minNanoseconds
        self.maxNanoseconds = max(maxNanoseconds, minNanoseconds)
        self.jitter = max(0, jitter)
    }

    /// The delay before attempt `attempt + 1`, counting failures from 0.
    package func nanoseconds(afterFailures attempt: Int, using generator: inout XorShift) -> UInt64 {
        let shift = min(max(0, attempt), 62)
        let (scaled, overflow) = minNanoseconds.multipliedReportingOverflow(by: 1 << UInt64(shift))
        let base = overflow ? maxNanoseconds : min(maxNanoseconds, scaled)
        let unit = Double(generator.next() >> 11) * 0x1p-53
        let jittered = Double(base) + unit * Double(base) * jitter
        return min(maxNanoseconds, jittered >= Double(maxNanoseconds) ? maxNanoseconds : UInt64(jittered))
    }
}
