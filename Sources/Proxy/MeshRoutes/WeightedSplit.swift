// Which leg of a split one request takes: at random, by weight, among those that can take it now.
// Source: `spec/proxy.md` 3.6.

/// Weights of the legs of a split.
package struct WeightedSplit: Sendable, Equatable {
    private let weights: [UInt32]
    private let total: UInt64

    package init(weights: [UInt32]) {
        self.weights = weights
        total = weights.reduce(0) { $0 + UInt64($1) }
    }

    /// Chooses a leg.
    ///
    /// - Parameter isAvailable: whether a leg can take a request now. When none can, the choice is by weight
    ///   alone: the request then waits, or fails, where it would have gone.
    /// - Returns: an index below the number of weights; `nil` when all weights are zero.
    package func choose(
        using generator: inout some RandomNumberGenerator, isAvailable: (Int) -> Bool
    ) -> Int? {
        guard total > 0 else { return nil }
        if let only = weights.indices.first, weights.count == 1 { return only }
        let any = pick(below: total, using: &generator) { _ in true }
        if let any, isAvailable(any) { return any }
        let available = weights.indices.reduce(UInt64(0)) { sum, index in
            sum + (weights[index] > 0 && isAvailable(index) ? UInt64(weights[index]) : 0)
        }
        return available > 0 ? pick(below: available, using: &generator, where: isAvailable) : any
    }

    private func pick(
        below bound: UInt64, using generator: inout some RandomNumberGenerator, where isCandidate: (Int) -> Bool
    ) -> Int? {
        var rest = UInt64.random(in: 0..<bound, using: &generator)
        for index in weights.indices where weights[index] > 0 && isCandidate(index) {
            if rest < UInt64(weights[index]) { return index }
            rest -= UInt64(weights[index])
        }
        return nil
    }
}
