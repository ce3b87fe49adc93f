import MeshModel

/// A half-open time range `[from, to)` that a query looks back over.
public struct Window: Hashable, Sendable {
    /// First instant inside.
    public var from: UnixTime
    /// First instant after.
    public var to: UnixTime

    /// The range `[from, to)`; an inverted one is empty at `to`.
    public init(from: UnixTime, to: UnixTime) {
        self.from = min(from, to)
        self.to = to
    }

    /// Length in milliseconds.
    public var milliseconds: Int64 { to.since(from) }

    /// Whether nothing lies inside.
    public var isEmpty: Bool { from >= to }

    /// Whether `instant` lies inside.
    public func contains(_ instant: UnixTime) -> Bool { from <= instant && instant < to }

    /// The part of this window that lies inside `other`.
    public func intersection(_ other: Window) -> Window {
        let to = min(to, other.to)
        return Window(from: max(from, other.from), to: max(to, max(from, other.from)))
    }

    /// Grown to whole buckets of `step` milliseconds.
    public func aligned(to step: Int64) -> Window {
        Window(from: from.floored(to: step), to: to.ceiled(to: step))
    }

    /// Milliseconds after a bucket's end at which its last scrape counts as taken in.
    public static let settleMilliseconds: Int64 = 2_000

    /// The window of `length` that ends at the last complete 10 s bucket before `now`.
    ///
    /// Ending at `now` would count a bucket that is still filling and show every rate too low.
    public static func last(_ length: Duration, before now: UnixTime) -> Window {
        let end = now.advanced(by: -settleMilliseconds).floored(to: Tier.tenSeconds.bucketMilliseconds)
        return Window(from: end.advanced(by: -max(0, length.milliseconds)), to: end)
    }
}

/// How finely a stretch of history is kept.
public enum Tier: UInt8, CaseIterable, Sendable, Hashable {
    case tenSeconds = 0
    case minute = 1
    case hour = 2

    /// Width of one bucket.
    public var bucketMilliseconds: Int64 {
        switch self {
        case .tenSeconds: 10_000
        case .minute: 60_000
        case .hour: 3_600_000
        }
    }

    /// Width of what one chunk record holds: 10 minutes, an hour, a day.
    public var spanMilliseconds: Int64 {
        switch self {
        case .tenSeconds: 600_000
        case .minute: 3_600_000
        case .hour: 86_400_000
        }
    }

    /// Buckets in one chunk.
    public var bucketsPerSpan: Int { Int(spanMilliseconds / bucketMilliseconds) }

    /// How long its chunks are kept unless limits say otherwise: 6 hours, 14 days, 13 months.
    public var retentionMilliseconds: Int64 {
        switch self {
        case .tenSeconds: 6 * 3_600_000
        case .minute: 14 * 86_400_000
        case .hour: 396 * 86_400_000
        }
    }

    /// Whether its records are per pod; coarser tiers keep whole workloads.
    public var keepsPods: Bool { self == .tenSeconds }
}
