import MeshMetrics

/// Counts of responses by latency, on the 26 buckets of `LatencyBuckets`; two merge by adding.
public struct LatencyHistogram: Sendable, Equatable {
    /// Buckets with the `+Inf` one.
    public static let bucketCount = 26

    private var counts: InlineArray<26, UInt64>

    /// No responses.
    public init() { counts = InlineArray(repeating: 0) }

    /// The count of one bucket, not cumulative; `index` in `0..<26`.
    public subscript(index: Int) -> UInt64 {
        get { counts[index] }
        set { counts[index] = newValue }
    }

    /// Adds to one bucket, wrapping round: cumulative counts are taken apart by adding here and taking off there.
    ///
    /// In place, where `self[index] &+= amount` from another module copies the histogram out and in.
    public mutating func add(_ amount: UInt64, at index: Int) { counts[index] &+= amount }

    /// Empties the buckets from which more was taken than they held.
    public mutating func dropDeficits() {
        for index in 0..<Self.bucketCount where counts[index] > UInt64(Int64.max) { counts[index] = 0 }
    }

    /// Responses in all buckets.
    public var count: UInt64 {
        var sum: UInt64 = 0
        for index in 0..<Self.bucketCount { sum &+= counts[index] }
        return sum
    }

    /// Whether no response was counted.
    public var isEmpty: Bool {
        for index in 0..<Self.bucketCount where counts[index] != 0 { return false }
        return true
    }

    /// Adds the counts of `other`, bucket by bucket.
    public mutating func add(_ other: LatencyHistogram) {
        for index in 0..<Self.bucketCount { counts[index] &+= other.counts[index] }
    }

    /// Whether all buckets are equal.
    public static func == (left: LatencyHistogram, right: LatencyHistogram) -> Bool {
        for index in 0..<bucketCount where left.counts[index] != right.counts[index] { return false }
        return true
    }

    /// Estimates the latency that `quantile` of the responses stayed under.
    ///
    /// - Parameter quantile: In `0...1`; 0.99 is p99.
    /// - Returns: `nil` when the histogram is empty. Never more than the last finite bound.
    /// - Complexity: O(buckets), no allocation.
    /// Source: linear interpolation inside the bucket, as Prometheus `histogram_quantile`.
    public func quantile(_ quantile: Double) -> QuantileEstimate? {
        let total = count
        guard total > 0 else { return nil }
        let rank = min(max(quantile, 0), 1) * Double(total)
        var below: UInt64 = 0
        for index in 0..<Self.bucketCount {
            let through = below &+ counts[index]
            guard counts[index] > 0, Double(through) >= rank else {
                below = through
                continue
            }
            return Self.estimate(index, fraction: (rank - Double(below)) / Double(counts[index]))
        }
        return nil
    }

    private static func estimate(_ index: Int, fraction: Double) -> QuantileEstimate {
        let bounds = LatencyBuckets.boundsMilliseconds
        guard index < bounds.count else {
            return QuantileEstimate(
                milliseconds: Double(bounds[bounds.count - 1]), errorMillisecondsMax: .infinity)
        }
        let lower = index == 0 ? 0 : Double(bounds[index - 1])
        let upper = Double(bounds[index])
        let value = lower + (upper - lower) * min(max(fraction, 0), 1)
        return QuantileEstimate(milliseconds: value, errorMillisecondsMax: max(value - lower, upper - value))
    }
}

/// A quantile read from a bucketed histogram, with how wrong it can be.
public struct QuantileEstimate: Sendable, Equatable {
    /// The estimate.
    public let milliseconds: Double
    /// Bound of the error: the distance to the farther end of the bucket that holds the true value; infinite
    /// when that is the `+Inf` bucket.
    public let errorMillisecondsMax: Double
}
