/// A wall-clock instant in whole milliseconds since 1970 UTC, as the store keeps it.
public struct UnixTime: Hashable, Comparable, Sendable {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    public var milliseconds: Int64

    /// The instant `milliseconds` after 1970 UTC.
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The instant `seconds` after 1970 UTC; out-of-range values saturate.
    public init(seconds: Double) {
        let scaled = (seconds * 1_000).rounded()
        milliseconds = scaled.isNaN ? 0 : Int64(exactly: min(max(scaled, -9e15), 9e15)) ?? 0
    }

    /// Rounds down to a multiple of `step` milliseconds.
    public func floored(to step: Int64) -> UnixTime {
        let remainder = milliseconds % step
        return UnixTime(milliseconds: milliseconds - (remainder < 0 ? remainder + step : remainder))
    }

    /// Rounds up to a multiple of `step` milliseconds.
    public func ceiled(to step: Int64) -> UnixTime {
        let floor = floored(to: step)
        return floor == self ? self : floor.advanced(by: step)
    }

    /// The instant `milliseconds` later, or earlier when negative.
    public func advanced(by milliseconds: Int64) -> UnixTime {
        UnixTime(milliseconds: self.milliseconds + milliseconds)
    }

    /// Milliseconds from `earlier` to this instant.
    public func since(_ earlier: UnixTime) -> Int64 { milliseconds - earlier.milliseconds }

    /// Earlier is less.
    public static func < (left: UnixTime, right: UnixTime) -> Bool { left.milliseconds < right.milliseconds }
}
