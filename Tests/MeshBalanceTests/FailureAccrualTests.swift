import MeshBalance
import Testing

@Suite("Failure accrual", .timeLimit(.minutes(1))) struct FailureAccrualTests {
    private static let second: UInt64 = 1_000_000_000
    private let settings = FailureAccrual.Settings(
        failuresMax: 3, backoff: Backoff(minNanoseconds: second, maxNanoseconds: 4 * second, jitter: 0))

    private func tripped(at now: UInt64) -> FailureAccrual {
        var breaker = FailureAccrual(settings, seed: 1)
        for _ in 0..<3 { breaker.answered(isFailure: true, at: now) }
        return breaker
    }

    @Test("Only failures in a row shut it")
    func consecutive() {
        var breaker = FailureAccrual(settings, seed: 1)
        for _ in 0..<10 {
            breaker.answered(isFailure: true, at: 0)
            breaker.answered(isFailure: true, at: 0)
            breaker.answered(isFailure: false, at: 0)
        }
        #expect(breaker.isOpen(at: 0))
        for count in 1...3 {
            #expect(breaker.isOpen(at: 0), "after \(count - 1)")
            breaker.answered(isFailure: true, at: 0)
        }
        #expect(!breaker.isOpen(at: 0) && !breaker.isOpen(at: Self.second - 1))
        #expect(breaker.isOpen(at: Self.second))
    }

    @Test("After the pause exactly one request tries it out; its success closes the breaker")
    func probation() {
        var breaker = tripped(at: 0)
        breaker.dispatched(at: Self.second)
        #expect(!breaker.isOpen(at: Self.second), "one is under way")
        #expect(!breaker.isOpen(at: 100 * Self.second), "however long it takes")
        breaker.answered(isFailure: false, at: 2 * Self.second)
        #expect(breaker.isOpen(at: 2 * Self.second))
        breaker.answered(isFailure: true, at: 2 * Self.second)
        breaker.answered(isFailure: true, at: 2 * Self.second)
        #expect(breaker.isOpen(at: 2 * Self.second), "the count started over")
    }

    @Test("Each failed trial doubles the pause, up to the longest; a success resets it")
    func doubling() {
        var breaker = tripped(at: 0)
        var now: UInt64 = 0
        for pause in [1, 2, 4, 4, 4] as [UInt64] {
            #expect(!breaker.isOpen(at: now + pause * Self.second - 1))
            now += pause * Self.second
            #expect(breaker.isOpen(at: now))
            breaker.dispatched(at: now)
            breaker.answered(isFailure: true, at: now)
        }
        now += 4 * Self.second
        breaker.dispatched(at: now)
        breaker.answered(isFailure: false, at: now)
        for _ in 0..<3 { breaker.answered(isFailure: true, at: now) }
        #expect(breaker.isOpen(at: now + Self.second))
    }

    @Test("Answers to earlier requests change nothing while it is shut")
    func stragglers() {
        var breaker = tripped(at: 0)
        for _ in 0..<5 { breaker.answered(isFailure: false, at: 1) }
        for _ in 0..<5 { breaker.answered(isFailure: true, at: 1) }
        breaker.dispatched(at: 1)
        #expect(!breaker.isOpen(at: Self.second - 1) && breaker.isOpen(at: Self.second))
    }

    @Test("A trial that ends without an answer lets the next request try")
    func abandoned() {
        var breaker = tripped(at: 0)
        breaker.dispatched(at: Self.second)
        breaker.abandoned(at: Self.second)
        #expect(breaker.isOpen(at: Self.second))
    }

    @Test("A back-off beyond the clock stays shut")
    func overflow() {
        let breaker = tripped(at: .max - 1)
        #expect(!breaker.isOpen(at: .max - 1))
    }
}
