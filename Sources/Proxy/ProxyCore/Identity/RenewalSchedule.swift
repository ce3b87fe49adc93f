import MeshBalance

/// When to ask for the next certificate (`spec/proxy.md` 9.1). Pure; seconds since 1970 in, nanoseconds out.
struct RenewalSchedule: Sendable {
    /// Part of what remains of a certificate's life after which the next one is asked for.
    static let fraction = 0.7
    /// Part of a delay by which it may be shortened, so that proxies started together do not ask together.
    static let spread = 0.05
    /// The first delay without a certificate: nothing works meanwhile, so it is short, and doubles.
    static let firstNanoseconds: UInt64 = 100_000_000

    let minNanoseconds: UInt64
    let maxNanoseconds: UInt64

    /// After a new certificate.
    func afterSuccess(validUntil: Int64, now: Int64, using random: inout XorShift) -> UInt64 {
        shortened(clamped(share(validUntil, now)), using: &random)
    }

    /// After a failure. With a certificate that still holds, soon, and later with each failure, but never so
    /// late that it could end meanwhile; without one, sooner still.
    func afterFailure(
        validUntil: Int64?, now: Int64, failures: Int, using random: inout XorShift
    ) -> UInt64 {
        guard let validUntil else {
            return shortened(min(doubled(Self.firstNanoseconds, failures), minNanoseconds), using: &random)
        }
        let backoff = min(doubled(minNanoseconds, failures), maxNanoseconds)
        return shortened(max(minNanoseconds, min(backoff, share(validUntil, now))), using: &random)
    }

    private func share(_ validUntil: Int64, _ now: Int64) -> UInt64 {
        UInt64(Double(max(0, validUntil - now)) * Self.fraction * 1e9)
    }

    private func clamped(_ nanoseconds: UInt64) -> UInt64 { min(max(nanoseconds, minNanoseconds), maxNanoseconds) }

    private func doubled(_ nanoseconds: UInt64, _ times: Int) -> UInt64 {
        let (product, overflow) = nanoseconds.multipliedReportingOverflow(by: 1 << UInt64(min(max(0, times), 32)))
        return overflow ? .max : product
    }

    private func shortened(_ nanoseconds: UInt64, using random: inout XorShift) -> UInt64 {
        nanoseconds - UInt64.random(in: 0...UInt64(Double(nanoseconds) * Self.spread), using: &random)
    }
}
