// Attributes counts to 10 s buckets. A scrape that came in time counts where it ended; one that had to bridge
// a gap is divided over it evenly, so that a minute of silence in the scraper is no spike after it. Each
// counter is cut by cumulative rounding, so the parts always add up to the whole.

/// Divides what was counted between two scrapes over time.
public enum Spread {
    /// One part of a rollup, in the 10 s bucket that starts at `bucket`.
    public struct Part: Sendable, Equatable {
        public let bucket: UnixTime
        public let rollup: Rollup
    }

    /// Gaps longer than this are cut to it: the parts stay bounded and the tiers keep no more anyway.
    public static let gapMaxMilliseconds: Int64 = 400 * 86_400_000

    /// The bucket that a scrape at `at` counts in: `at` itself ends it.
    public static func bucket(endingAt at: UnixTime) -> UnixTime {
        at.advanced(by: -1).floored(to: Tier.tenSeconds.bucketMilliseconds)
    }

    /// Divides `rollup`, which was counted in `(from, to]`.
    ///
    /// - Parameter isGap: Whether the stretch is longer than scrapes are apart.
    /// - Returns: Parts by ascending bucket: one per 10 s up to an hour, one per minute up to a day, else one
    ///   per hour. The gauge stays with the last; empty parts are left out.
    public static func parts(_ rollup: Rollup, from: UnixTime, to: UnixTime, isGap: Bool) -> [Part] {
        var parts: [Part] = []
        forEachPart(rollup, from: from, to: to, isGap: isGap) { parts.append(Part(bucket: $0, rollup: $1)) }
        return parts
    }

    /// The same, one after the other: most rollups have one part, and an array of it costs more than the part.
    public static func forEachPart(
        _ rollup: Rollup, from: UnixTime, to: UnixTime, isGap: Bool, _ body: (UnixTime, Rollup) -> Void
    ) {
        let from = max(from, to.advanced(by: -gapMaxMilliseconds))
        let length = to.since(from)
        guard isGap, length > 0 else {
            var whole = rollup
            whole.isEstimated = whole.isEstimated || isGap
            return body(bucket(endingAt: to), whole)
        }
        let step = step(for: length)
        var taken = Rollup()
        var start = from
        while start < to {
            let end = min(start.floored(to: step).advanced(by: step), to)
            let isLast = end == to
            let part = share(
                of: rollup, taken: &taken, through: UInt64(end.since(from)), of: UInt64(length), isLast)
            if !part.isEmpty { body(bucketStart(of: start, end), part) }
            start = end
        }
    }

    private static func step(for milliseconds: Int64) -> Int64 {
        if milliseconds <= 3_600_000 { return Tier.tenSeconds.bucketMilliseconds }
        return milliseconds <= 86_400_000 ? Tier.minute.bucketMilliseconds : Tier.hour.bucketMilliseconds
    }

    private static func bucketStart(of start: UnixTime, _ end: UnixTime) -> UnixTime {
        min(start.floored(to: Tier.tenSeconds.bucketMilliseconds), bucket(endingAt: end))
    }

    /// What lies between the share taken so far and the share through `position`.
    private static func share(
        of whole: Rollup, taken: inout Rollup, through position: UInt64, of length: UInt64, _ isLast: Bool
    ) -> Rollup {
        func portion(_ value: UInt64) -> UInt64 {
            let product = value.multipliedFullWidth(by: position)
            return length.dividingFullWidth(product).quotient  // position <= length, so the quotient fits.
        }
        var part = Rollup()
        part.isEstimated = true
        for counter in Counter.allCases where whole[counter] > 0 {
            let through = isLast ? whole[counter] : portion(whole[counter])
            part[counter] = through - taken[counter]
            taken[counter] = through
        }
        for index in 0..<LatencyHistogram.bucketCount where whole.latency[index] > 0 {
            let through = isLast ? whole.latency[index] : portion(whole.latency[index])
            part.latency[index] = through - taken.latency[index]
            taken.latency[index] = through
        }
        if isLast { part.openConnections = whole.openConnections }
        return part
    }
}
