import Testing

@testable import MeshRoutes

private func matches(_ condition: RequestCondition, _ method: String, _ target: String) throws -> Bool {
    let (methodBytes, targetBytes) = (Array(method.utf8), Array(target.utf8))
    let range = RequestTarget.path(of: targetBytes.span)
    return try CompiledCondition(condition).matches(
        method: methodBytes.span, path: targetBytes.span.extracting(range))
}

@Suite("Route conditions", .timeLimit(.minutes(1))) struct RouteConditionTests {
    @Test("Methods are compared whole and by case; paths without their query")
    func simple() throws {
        #expect(try matches(.method("GET"), "GET", "/"))
        #expect(try !matches(.method("GET"), "get", "/"))
        #expect(try !matches(.method("GET"), "GETS", "/"))
        #expect(try matches(.path("/a"), "GET", "/a?b=/c"))
        #expect(try matches(.path("/a"), "GET", "http://web.ns.svc:80/a?x"))
        #expect(try !matches(.path("/a"), "GET", "/a/"))
    }

    @Test(
        "The path of a target is found in all of its forms",
        arguments: [
            ("/a/b?c", "/a/b"), ("/", "/"), ("*", "*"), ("http://h/a?b", "/a"), ("http://h", ""), ("http://h?x", ""),
            ("/a?b?c", "/a"), ("", ""), ("h:80", "h:80"),
        ])
    func targets(target: String, path: String) {
        let bytes = Array(target.utf8)
        let range = RequestTarget.path(of: bytes.span)
        #expect(String(decoding: bytes[range], as: UTF8.self) == path)
    }

    @Test("All, any and not combine; all of none is true, any of none is false")
    func combined() throws {
        #expect(try matches(.all([]), "GET", "/"))
        #expect(try !matches(.any([]), "GET", "/"))
        let books = RequestCondition.all([.method("GET"), .any([.path("/books"), .path("/authors")]), .not(.path("/x"))])
        #expect(try matches(books, "GET", "/authors"))
        #expect(try !matches(books, "POST", "/authors") && !matches(books, "GET", "/x"))
        #expect(throws: PatternMistake.self) { _ = try CompiledCondition(.not(.any([.path("(")]))) }
    }

    @Test("The first response class that matches decides; none leaves it to the usual rule")
    func classes() {
        let classes = [
            ResponseClass(condition: .status(404...404), isFailure: true),
            ResponseClass(condition: .any([.status(500...503), .status(400...404)]), isFailure: false),
            ResponseClass(condition: .all([.status(200...299), .not(.status(204...204))]), isFailure: true),
        ]
        let expected: [(Int, Bool?)] = [
            (404, true), (403, false), (503, false), (504, nil), (200, true), (204, nil), (302, nil),
        ]
        for (status, isFailure) in expected { #expect(classes.isFailure(status: status) == isFailure, "\(status)") }
    }
}

@Suite("Retry budget", .timeLimit(.minutes(1))) struct RetryBudgetTests {
    private static let second: UInt64 = 1_000_000_000

    private func budget(ratio: Double, floor: UInt32, seconds: UInt64 = 10, loops: Int = 1) throws -> RetryBudget {
        let settings = try #require(
            RetryBudget.Settings(windowNanoseconds: seconds * Self.second, ratio: ratio, minPerSecond: floor))
        return RetryBudget(settings, loopCount: loops)
    }

    @Test("The floor is there from the start, and comes back when the window has passed")
    func floor() throws {
        var budget = try budget(ratio: 0, floor: 2)
        for _ in 0..<20 { #expect(budget.withdrawRetry(at: Self.second) == true) }
        #expect(budget.withdrawRetry(at: Self.second) == false)
        #expect(budget.withdrawRetry(at: 5 * Self.second) == false)
        #expect(budget.withdrawRetry(at: 12 * Self.second) == true)
    }

    @Test("Requests pay for retries at the ratio, and are forgotten with the window")
    func ratio() throws {
        var budget = try budget(ratio: 0.2, floor: 0)
        #expect(budget.withdrawRetry(at: 0) == false)
        for _ in 0..<50 { budget.depositRequest(at: Self.second) }
        #expect(budget.balance == 10)
        for _ in 0..<10 { #expect(budget.withdrawRetry(at: 2 * Self.second) == true) }
        #expect(budget.withdrawRetry(at: 2 * Self.second) == false)
        for _ in 0..<5 { budget.depositRequest(at: 3 * Self.second) }
        #expect(budget.withdrawRetry(at: 4 * Self.second) == true)
        for _ in 0..<50 { budget.depositRequest(at: 30 * Self.second) }
        #expect(budget.balance == 10)
        #expect(budget.withdrawRetry(at: 60 * Self.second) == false, "nothing is left of what lies far back")
    }

    @Test("Loops share the floor; a clock that steps back changes nothing")
    func shared() throws {
        var budget = try budget(ratio: 0, floor: 10, seconds: 1, loops: 4)
        #expect(budget.balance == 3)
        #expect(budget.withdrawRetry(at: 5 * Self.second) == true)
        #expect(budget.withdrawRetry(at: 4 * Self.second) == true)
        #expect(budget.balance == 1)
    }

    @Test("Over any stretch of time, retries stay within ratio and floor", arguments: [11, 12, 13])
    func property(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let ratio = Double.random(in: 0...0.5, using: &random)
        let floor = UInt32.random(in: 0...5, using: &random)
        var budget = try budget(ratio: ratio, floor: floor)
        var now: UInt64 = 0
        var requests: [UInt64] = []
        var retries: [UInt64] = []
        for _ in 0..<3_000 {
            now += UInt64.random(in: 0...20_000_000, using: &random)
            if Bool.random(using: &random) {
                budget.depositRequest(at: now)
                requests.append(now)
            } else if budget.withdrawRetry(at: now) {
                retries.append(now)
            }
            // What was put in over two windows bounds what came out over one.
            let start = now >= 10 * Self.second ? now - 10 * Self.second : 0
            let earlier = start >= 10 * Self.second ? start - 10 * Self.second : 0
            let allowed = Double(requests.count { $0 >= earlier }) * ratio + Double(floor) * 20 + 1
            #expect(Double(retries.count { $0 >= start }) <= allowed, "seed \(seed)")
        }
    }

    @Test("Settings out of range are no settings")
    func ranges() {
        let second = Self.second
        #expect(RetryBudget.Settings(windowNanoseconds: second - 1, ratio: 1, minPerSecond: 1) == nil)
        #expect(RetryBudget.Settings(windowNanoseconds: 61 * second, ratio: 1, minPerSecond: 1) == nil)
        #expect(RetryBudget.Settings(windowNanoseconds: second, ratio: -0.1, minPerSecond: 1) == nil)
        #expect(RetryBudget.Settings(windowNanoseconds: second, ratio: 1_000.5, minPerSecond: 1) == nil)
        #expect(RetryBudget.Settings(windowNanoseconds: second, ratio: .nan, minPerSecond: 1) == nil)
        #expect(RetryBudget.Settings(windowNanoseconds: second, ratio: 1, minPerSecond: .max) == nil)
        #expect(RetryBudget.Settings(windowNanoseconds: 60 * second, ratio: 1_000, minPerSecond: 0) != nil)
    }
}

@Suite("Weighted split", .timeLimit(.minutes(1))) struct WeightedSplitTests {
    private func shares(_ weights: [UInt32], available: Set<Int>? = nil) -> [Double] {
        var random = SeededGenerator(seed: 3)
        let split = WeightedSplit(weights: weights)
        var counts = [Int](repeating: 0, count: weights.count)
        for _ in 0..<20_000 {
            if let index = split.choose(using: &random, isAvailable: { available?.contains($0) ?? true }) { counts[index] += 1 }
        }
        return counts.map { Double($0) / 20_000 }
    }

    @Test("Legs get their share of the requests")
    func proportional() {
        let shares = shares([900, 100, 0])
        #expect(abs(shares[0] - 0.9) < 0.02 && abs(shares[1] - 0.1) < 0.02 && shares[2] == 0)
    }

    @Test("Legs that cannot take requests leave theirs to the others, by weight")
    func failover() {
        let two = shares([500, 300, 200], available: [1, 2])
        #expect(two[0] == 0 && abs(two[1] - 0.6) < 0.02)
        #expect(shares([500, 300, 200], available: [2])[2] == 1)
        let none = shares([500, 500], available: [])
        #expect(abs(none[0] - 0.5) < 0.02, "nobody is ready: wait where the weights say")
    }

    @Test("No weight, no leg; one leg needs no choice")
    func edges() {
        var random = SeededGenerator(seed: 1)
        #expect(WeightedSplit(weights: []).choose(using: &random) { _ in true } == nil)
        #expect(WeightedSplit(weights: [0, 0]).choose(using: &random) { _ in true } == nil)
        #expect(WeightedSplit(weights: [7]).choose(using: &random) { _ in false } == 0)
        let most = WeightedSplit(weights: [.max, .max, .max])
        #expect(most.choose(using: &random) { $0 == 1 } == 1)
    }
}
