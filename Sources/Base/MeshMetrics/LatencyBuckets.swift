/// The bucket bounds of every latency histogram in the mesh.
/// Source: Linkerd's proxies, `response_latency_ms`.
public enum LatencyBuckets {
    /// Upper bounds in milliseconds, inclusive, ascending; a last bucket for `+Inf` follows them.
    public static let boundsMilliseconds: [UInt64] = [
        1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1_000, 2_000, 3_000, 4_000, 5_000,
        10_000, 20_000, 30_000, 40_000, 50_000,
    ]

    /// Number of buckets with the `+Inf` one.
    public static let count = boundsMilliseconds.count + 1

    /// The bucket that holds a latency.
    ///
    /// - Parameter milliseconds: Whole milliseconds; a bound itself belongs to its own bucket.
    /// - Returns: `0..<count`; the last is `+Inf`.
    /// - Complexity: O(log buckets), no allocation.
    public static func index(milliseconds: UInt64) -> Int {
        var low = 0
        var high = boundsMilliseconds.count
        while low < high {
            let middle = (low + high) / 2
            if boundsMilliseconds[middle] < milliseconds { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
