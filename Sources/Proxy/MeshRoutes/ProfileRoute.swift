// A destination's routes as discovery sends them: plain values that any loop can compile for itself.

/// How requests that meet a condition are treated.
package struct ProfileRoute: Sendable, Equatable {
    package var condition: RequestCondition
    package var classes: [ResponseClass]
    /// Labels for metrics, keys without `rt_`.
    package var labels: [String: String]
    package var isRetryable: Bool
    /// Until the head of the answer, retries included; `nil` for no bound. In nanoseconds, above zero.
    package var timeoutNanoseconds: Int64?

    package init(
        condition: RequestCondition, classes: [ResponseClass] = [], labels: [String: String] = [:],
        isRetryable: Bool = false, timeoutNanoseconds: Int64? = nil
    ) {
        self.condition = condition
        self.classes = classes
        self.labels = labels
        self.isRetryable = isRetryable
        self.timeoutNanoseconds = timeoutNanoseconds
    }
}

/// One leg of a split.
package struct WeightedAuthority: Sendable, Equatable {
    /// `name:port`.
    package var authority: String
    /// Relative to the other legs; nothing goes to a leg of weight 0.
    package var weight: UInt32

    package init(authority: String, weight: UInt32) {
        self.authority = authority
        self.weight = weight
    }
}
