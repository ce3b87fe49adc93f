// Path patterns that match in time linear in the path, whatever people write: no back-tracking. Swift's own
// `Regex` back-tracks (`(a+)+b` on a long run of a takes exponential time) and allocates for each match, so the
// hot path has a matcher of its own: the pattern becomes a small non-deterministic automaton once, and the
// deterministic one is built from it lazily, one state for each set of states that a real path reached. After
// a few requests a byte costs one look into a table.
//
// Anchors are Linkerd's: `^` and `$` are put around a pattern that lacks them, textually, so that `a|b` means
// `(^a)|(b$)`; hence a match may start anywhere unless the pattern says otherwise.
// Source: Thompson, "Regular expression search algorithm" (1968); `spec/proxy.md` 3.3.

/// A compiled path pattern. Loop-bound: its table grows as it is used.
package final class PathPattern {
    /// Steps that a pattern may compile to; repetitions multiply them.
    static let stepsMax = 4_000
    /// States of the lazy automaton before it starts over; bounds memory, not what can be matched.
    static let statesMax = 512

    private enum Step {
        case bytes(ByteSet, next: Int32)
        case split(Int32, Int32)
        case start(next: Int32)
        case end(next: Int32)
        case match
    }

    private struct State {
        /// Steps that wait for a byte or for the end, ascending.
        let steps: [Int32]
        let matches: Bool
        let matchesAtEnd: Bool
        /// Whether no further byte can lead to a match.
        let isDead: Bool
    }

    private var steps: [Step] = []
    private var first: Int32 = 0
    private var classes = [UInt8](repeating: 0, count: 256)
    private var classCount = 1
    /// One byte of each class.
    private var samples: [UInt8] = [0]
    private var states: [State] = []
    private var known: [[Int32]: Int32] = [:]
    /// `states × classCount` successors; -1 until one is needed.
    private var table: [Int32] = []

    /// - Parameter pattern: as people write it, with or without anchors.
    /// - Throws: when it is outside the language of `PatternParser`, or too large.
    package init(_ pattern: String) throws(PatternMistake) {
        let head = pattern.hasPrefix("^") ? "" : "^"
        let tail = pattern.hasSuffix("$") ? "" : "$"
        let node = try PatternParser.parse(head + pattern + tail)
        let end = try add(.match, pattern)
        first = try compile(node, next: end, pattern)
        divideBytes()
        startOver()
    }

    /// Whether the path matches.
    ///
    /// - Complexity: O(path) table look-ups once warm; at worst O(path × pattern), never more.
    package func matches(_ path: Span<UInt8>) -> Bool {
        var state = 0
        for offset in 0..<path.count {
            let byte = path[offset]
            let next = table[state * classCount + Int(classes[Int(byte)])]
            state = next >= 0 ? Int(next) : advance(from: state, over: byte)
            if states[state].matches { return true }
            if states[state].isDead { return false }
        }
        return states[state].matches || (path.isEmpty ? matchesEmpty : states[state].matchesAtEnd)
    }

    /// The same for text.
    package func matches(_ path: String) -> Bool {
        let bytes = Array(path.utf8)
        return matches(bytes.span)
    }

    /// States built so far.
    var stateCount: Int { states.count }

    // MARK: Compiling

    private func add(_ step: Step, _ pattern: String) throws(PatternMistake) -> Int32 {
        guard steps.count < Self.stepsMax else { throw PatternMistake(text: "the pattern \(pattern) is too large") }
        steps.append(step)
        return Int32(steps.count - 1)
    }

    /// - Returns: the step at which `node`, followed by `next`, begins.
    private func compile(_ node: PatternNode, next: Int32, _ pattern: String) throws(PatternMistake) -> Int32 {
        switch node {
        case .empty: return next
        case .bytes(let set): return try add(.bytes(set, next: next), pattern)
        case .start: return try add(.start(next: next), pattern)
        case .end: return try add(.end(next: next), pattern)
        case .sequence(let parts):
            var start = next
            for part in parts.reversed() { start = try compile(part, next: start, pattern) }
            return start
        case .alternation(let branches):
            var start: Int32?
            for branch in branches.reversed() {
                let begin = try compile(branch, next: next, pattern)
                if let rest = start { start = try add(.split(begin, rest), pattern) } else { start = begin }
            }
            return start ?? next
        case .repetition(let inner, let min, let max):
            return try compile(repeating: inner, min: min, max: max, next: next, pattern)
        }
    }

    private func compile(
        repeating inner: PatternNode, min: Int, max: Int?, next: Int32, _ pattern: String
    ) throws(PatternMistake) -> Int32 {
        var start = next
        if let max {
            for _ in min..<Swift.max(min, max) {
                start = try add(.split(try compile(inner, next: start, pattern), next), pattern)
            }
        } else {
            let loop = try add(.match, pattern)  // Filled in below, when its target is known.
            steps[Int(loop)] = .split(try compile(inner, next: loop, pattern), next)
            start = loop
        }
        for _ in 0..<min { start = try compile(inner, next: start, pattern) }
        return start
    }

    /// Bytes that no step tells apart share a column of the table.
    private func divideBytes() {
        var sets: [ByteSet] = []
        for case .bytes(let set, _) in steps where !sets.contains(set) { sets.append(set) }
        var known: [[Bool]: UInt8] = [:]
        samples = []
        for byte in UInt8.min...UInt8.max {
            let signature = sets.map { $0.contains(byte) }
            if let index = known[signature] {
                classes[Int(byte)] = index
            } else {
                let index = UInt8(samples.count)
                known[signature] = index
                samples.append(byte)
                classes[Int(byte)] = index
            }
        }
        classCount = samples.count
    }

    // MARK: The lazy automaton

    private var matchesEmpty = false

    private func startOver() {
        states.removeAll(keepingCapacity: true)
        known.removeAll(keepingCapacity: true)
        table.removeAll(keepingCapacity: true)
        var seen = Set<Int32>()
        follow(first, isStart: true, isEnd: false, &seen)
        _ = addState(seen)
        var atBoth = Set<Int32>()
        follow(first, isStart: true, isEnd: true, &atBoth)
        matchesEmpty = containsMatch(atBoth)
    }

    private func addState(_ reached: Set<Int32>) -> Int32 {
        let waiting = reached.filter { index in
            switch steps[Int(index)] {
            case .bytes, .end: true
            case .split, .start, .match: false
            }
        }.sorted()
        let matches = containsMatch(reached)
        let key = waiting + (matches ? [-1] : [])
        if let index = known[key] { return index }
        var atEnd = Set<Int32>()
        for index in waiting { follow(index, isStart: false, isEnd: true, &atEnd) }
        let index = Int32(states.count)
        states.append(
            State(
                steps: waiting, matches: matches, matchesAtEnd: containsMatch(atEnd),
                isDead: waiting.isEmpty && !matches))
        table.append(contentsOf: repeatElement(-1, count: classCount))
        known[key] = index
        return index
    }

    private func containsMatch(_ reached: Set<Int32>) -> Bool {
        reached.contains { if case .match = steps[Int($0)] { true } else { false } }
    }

    private func advance(from state: Int, over byte: UInt8) -> Int {
        let column = Int(classes[Int(byte)])
        var reached = Set<Int32>()
        for index in states[state].steps {
            if case .bytes(let set, let next) = steps[Int(index)], set.contains(byte) {
                follow(next, isStart: false, isEnd: false, &reached)
            }
        }
        // A match may also start behind this byte.
        follow(first, isStart: false, isEnd: false, &reached)
        if states.count >= Self.statesMax {
            startOver()
            return Int(addState(reached))
        }
        let next = addState(reached)
        table[state * classCount + column] = next
        return Int(next)
    }

    /// Adds everything that is reached from a step without taking a byte.
    private func follow(_ step: Int32, isStart: Bool, isEnd: Bool, _ reached: inout Set<Int32>) {
        var pending = [step]
        while let index = pending.popLast() {
            guard reached.insert(index).inserted else { continue }
            switch steps[Int(index)] {
            case .split(let one, let other):
                pending.append(other)
                pending.append(one)
            case .start(let next): if isStart { pending.append(next) }
            case .end(let next): if isEnd { pending.append(next) }
            case .bytes, .match: break
            }
        }
    }
}
