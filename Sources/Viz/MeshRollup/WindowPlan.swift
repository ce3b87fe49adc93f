/// Chunks to read for a window: whole spans by their totals, ragged ends by their buckets.
public struct StoredRead: Equatable, Sendable {
    /// Tier to read.
    public let tier: Tier
    /// Spans to read, aligned to the tier's span.
    public let spans: Window
    /// Buckets to take; `nil` takes whole spans by their totals.
    public let clip: Window?

    /// A read.
    public init(tier: Tier, spans: Window, clip: Window?) {
        self.tier = tier
        self.spans = spans
        self.clip = clip
    }
}

/// Decides how a window is read from the tiers: the coarsest that fits, and the finest that still exists for
/// what sticks out. Windows are exact as long as the finer tier is retained; older edges fall on the buckets
/// of the coarser one.
public enum WindowPlan {
    /// Reads that cover `window` without overlap, in time order.
    ///
    /// - Parameters:
    ///   - keepsPods: Whether pods are asked for; only the finest tier knows them.
    ///   - now: What retention is counted from.
    public static func reads(for window: Window, keepsPods: Bool, now: UnixTime) -> [StoredRead] {
        reads(for: window, keepsPods: keepsPods) { now.advanced(by: -$0.retentionMilliseconds) }
    }

    /// The same for a store that tells from when on each tier is complete: a byte budget may have cut it short.
    public static func reads(
        for window: Window, keepsPods: Bool, keptFrom: (Tier) -> UnixTime
    ) -> [StoredRead] {
        keepsPods ? finest(window) : cover(window, .hour, keptFrom)
    }

    private static func cover(_ window: Window, _ tier: Tier, _ keptFrom: (Tier) -> UnixTime) -> [StoredRead] {
        guard !window.isEmpty else { return [] }
        guard let finer = tier.finer else { return finest(window) }
        let span = tier.spanMilliseconds
        let whole = Window(from: window.from.ceiled(to: span), to: window.to.floored(to: span))
        guard window.from.ceiled(to: span) < window.to.floored(to: span) else {
            return ragged(window, tier, finer, keptFrom)
        }
        return ragged(Window(from: window.from, to: whole.from), tier, finer, keptFrom)
            + [StoredRead(tier: tier, spans: whole, clip: nil)]
            + ragged(Window(from: whole.to, to: window.to), tier, finer, keptFrom)
    }

    private static func ragged(
        _ window: Window, _ tier: Tier, _ finer: Tier, _ keptFrom: (Tier) -> UnixTime
    ) -> [StoredRead] {
        guard !window.isEmpty else { return [] }
        let oldest = keptFrom(finer).ceiled(to: finer.spanMilliseconds)
        if window.from >= oldest { return cover(window, finer, keptFrom) }
        let clip = Window(from: window.from.floored(to: tier.bucketMilliseconds), to: window.to)
        return [StoredRead(tier: tier, spans: window.aligned(to: tier.spanMilliseconds), clip: clip)]
    }

    private static func finest(_ window: Window) -> [StoredRead] {
        guard !window.isEmpty else { return [] }
        let span = Tier.tenSeconds.spanMilliseconds
        let first = window.from.ceiled(to: span)
        let last = window.to.floored(to: span)
        func clipped(_ part: Window) -> [StoredRead] {
            part.isEmpty ? [] : [StoredRead(tier: .tenSeconds, spans: part.aligned(to: span), clip: part)]
        }
        guard first < last else {
            guard first == last else { return clipped(window) }
            return clipped(Window(from: window.from, to: first)) + clipped(Window(from: first, to: window.to))
        }
        return clipped(Window(from: window.from, to: first))
            + [StoredRead(tier: .tenSeconds, spans: Window(from: first, to: last), clip: nil)]
            + clipped(Window(from: last, to: window.to))
    }
}

extension Tier {
    /// The next finer tier.
    public var finer: Tier? {
        switch self {
        case .tenSeconds: nil
        case .minute: .tenSeconds
        case .hour: .minute
        }
    }
}
