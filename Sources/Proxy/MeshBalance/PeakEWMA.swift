// Latency estimate that jumps to a worse sample and decays towards better ones.
//
// Source: Finagle's peak EWMA. A slow endpoint is noticed at once and forgiven slowly; an endpoint nobody
// asks decays until it is asked again. Time comes in as nanoseconds of any monotonic clock, because
// the caller has just read its event loop's clock and a wider type would cost more than the arithmetic.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Peak-sensitive moving average of round-trip times.
package struct PeakEWMA: Sendable, Equatable {
    /// The estimate before anything was measured, 30 ms.
    package static let defaultNanoseconds: Double = 30e6
    /// How long the weight of a sample takes to fall to 1/e, 10 s.
    package static let decayNanoseconds: Double = 10e9

    /// The estimate after the last sample.
    package private(set) var nanoseconds: Double
    private var updatedAt: UInt64
    private let decay: Double

    /// Starts at `initial`, as if measured at `now`.
    package init(
        initialNanoseconds: Double = defaultNanoseconds, decayNanoseconds: Double = decayNanoseconds,
        at now: UInt64 = 0
    ) {
        nanoseconds = initialNanoseconds
        decay = decayNanoseconds
        updatedAt = now
    }

    /// The estimate at `now`: what nobody asks decays towards nothing, so that an endpoint which was slow, or
    /// was never measured, is tried again. Without this, the last endpoint nobody measured would lose every
    /// comparison and get no request at all.
    package func estimate(at now: UInt64) -> Double {
        guard now > updatedAt else { return nanoseconds }
        return nanoseconds * exp(-(Double(now - updatedAt) / decay))
    }

    /// Takes a measured round trip into the estimate.
    package mutating func record(_ sampleNanoseconds: UInt64, at now: UInt64) {
        let sample = Double(sampleNanoseconds)
        guard now > updatedAt else {
            nanoseconds = max(nanoseconds, sample)  // A late sample must not rewind the clock.
            return
        }
        let keep = exp(-(Double(now - updatedAt) / decay))
        nanoseconds = max(sample, nanoseconds * keep + sample * (1 - keep))
        updatedAt = now
    }
}
