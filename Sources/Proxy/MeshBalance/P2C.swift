/// Power of two random choices: of two endpoints picked at random, the cheaper one.
///
/// Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001).
package enum P2C {
    /// Chooses an index below `count`.
    ///
    /// - Parameters:
    ///   - count: how many candidates there are.
    ///   - generator: where randomness comes from; two numbers are drawn when there are more than two
    ///     candidates.
    ///   - cost: what a candidate costs now; ties go to the first drawn.
    /// - Returns: `nil` when `count` is zero.
    /// - Complexity: O(1), no allocation.
    @inlinable
    package static func choose(
        among count: Int, using generator: inout XorShift, cost: (Int) -> Double
    ) -> Int? {
        guard count > 1 else { return count == 1 ? 0 : nil }
        let (first, second) = generator.twoDistinct(below: count)
        return cost(second) < cost(first) ? second : first
    }
}

/// A small, fast, seedable generator (xorshift64*), good enough to spread load, never for secrets.
///
/// Source: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled" (2016).
package struct XorShift: RandomNumberGenerator, Sendable {
    @usableFromInline var state: UInt64

    /// Starts from `seed`; zero, which xorshift cannot leave, is replaced.
    package init(seed: UInt64) {
        state = seed == 0 ? 0x9E37_79B9_7F4A_7C15 : seed
    }

    @inlinable
    package mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_F491_4F6C_DD1D
    }

    /// Two different numbers below `count`, which is at least 2.
    @inlinable
    package mutating func twoDistinct(below count: Int) -> (Int, Int) {
        let bound = UInt64(count)
        let first = Int(next().multipliedFullWidth(by: bound).high)
        var second = Int(next().multipliedFullWidth(by: bound - 1).high)
        if second >= first { second += 1 }
        return (first, second)
    }
}
