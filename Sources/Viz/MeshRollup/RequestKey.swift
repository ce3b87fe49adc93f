/// Sampled requests from one workload to another by method and path, as the server's proxy saw them.
///
/// Pods are not told apart: samples are few. In this family `requests` is how many requests the sampled ones stand for,
/// while outcomes, statuses and latencies count the sampled ones themselves; their quotient is the share sampled.
public struct RequestKey: Hashable, Comparable, Sendable {
    /// `unknown` for clients that are no pods.
    public var src: WorkloadKey
    public var dst: WorkloadKey
    public var method: String
    /// A template, see `PathTemplate`.
    public var path: String

    /// Requests; see the fields.
    public init(src: WorkloadKey, dst: WorkloadKey, method: String, path: String) {
        self.src = src
        self.dst = dst
        self.method = method
        self.path = path
    }

    /// Folded into the honest `other` of its destination: what goes past the label budget.
    public var folded: RequestKey {
        RequestKey(src: .other, dst: dst, method: "", path: WorkloadKey.other.name)
    }

    /// By destination and source, then by what was asked.
    public static func < (left: RequestKey, right: RequestKey) -> Bool {
        if left.dst != right.dst { return left.dst < right.dst }
        if left.src != right.src { return left.src < right.src }
        return (left.path, left.method) < (right.path, right.method)
    }
}
