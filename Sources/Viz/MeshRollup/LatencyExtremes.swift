/// The shortest, the longest and the latest latency of sampled requests, in microseconds.
public struct LatencyExtremes: Sendable, Hashable {
    public var best: UInt64
    public var worst: UInt64
    public var last: UInt64

    /// One observation.
    public init(_ microseconds: UInt64) {
        best = microseconds
        worst = microseconds
        last = microseconds
    }

    /// Three values; a worst below the best is raised to it.
    public init(best: UInt64, worst: UInt64, last: UInt64) {
        self.best = best
        self.worst = max(best, worst)
        self.last = last
    }

    /// Takes in what happened later.
    public mutating func append(_ later: LatencyExtremes) {
        best = min(best, later.best)
        worst = max(worst, later.worst)
        last = later.last
    }

    /// Takes in what happened elsewhere meanwhile: of the two latest the longer one is told.
    public mutating func combine(_ sibling: LatencyExtremes) {
        best = min(best, sibling.best)
        worst = max(worst, sibling.worst)
        last = max(last, sibling.last)
    }
}
