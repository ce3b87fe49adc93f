// Which responses are failures, where a route says so itself. Source: `spec/proxy.md` 6.7, appendix A.

/// A condition on a response's status.
package indirect enum ResponseCondition: Sendable, Equatable {
    /// Every one holds.
    case all([ResponseCondition])
    /// One holds.
    case any([ResponseCondition])
    case not(ResponseCondition)
    case status(ClosedRange<Int>)

    /// Whether a response with `status` is meant.
    package func matches(status: Int) -> Bool {
        switch self {
        case .all(let conditions): conditions.allSatisfy { $0.matches(status: status) }
        case .any(let conditions): conditions.contains { $0.matches(status: status) }
        case .not(let condition): !condition.matches(status: status)
        case .status(let range): range.contains(status)
        }
    }
}

/// Responses that a route counts as success or failure.
package struct ResponseClass: Sendable, Equatable {
    package let condition: ResponseCondition
    package let isFailure: Bool

    package init(condition: ResponseCondition, isFailure: Bool) {
        self.condition = condition
        self.isFailure = isFailure
    }
}

extension Array where Element == ResponseClass {
    /// What the first matching class says; `nil` when none does, and the usual rule decides.
    package func isFailure(status: Int) -> Bool? { first { $0.condition.matches(status: status) }?.isFailure }
}
