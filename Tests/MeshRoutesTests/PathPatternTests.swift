import Testing

@testable import MeshRoutes

@Suite("Path patterns", .timeLimit(.minutes(1))) struct PathPatternTests {
    @Test(
        "Whole paths are matched, in the language that people know",
        arguments: [
            ("/books", ["/books"], ["/book", "/books/", "/x/books", ""]),
            (#"/books/\d+"#, ["/books/1", "/books/123"], ["/books/", "/books/x", "/books/1/edit"]),
            ("/authors/[^/]*/books", ["/authors/a/books", "/authors//books"], ["/authors/a/b/books"]),
            ("/.*", ["/", "/a/b/c"], ["", "a"]),
            ("/(a|b)(/x)?", ["/a", "/b", "/a/x"], ["/c", "/ax", "/"]),
            ("/(?:cats|dogs)/[a-z_]{2,4}", ["/cats/ab", "/dogs/a_bc"], ["/cats/a", "/dogs/abcde", "/cats/AB"]),
            ("/v[12]/.+", ["/v1/a", "/v2/a/b"], ["/v1/", "/v3/a"]),
            ("/a{3}", ["/aaa"], ["/aa", "/aaaa"]),
            ("/a{2,}b?", ["/aa", "/aaaab"], ["/a", "/aabb"]),
            ("/a+?b*?", ["/a", "/aabb"], ["/", "/b"]),
            (#"/emojivoto\.v1\.VotingService/Vote.*"#, ["/emojivoto.v1.VotingService/VoteDoughnut"], ["/emojivotoXv1.VotingService/Vote"]),
            ("/(?i)Mixed/CASE", ["/mixed/case", "/MIXED/Case"], ["/mixd/case"]),
            ("/((?i)a)b", ["/ab", "/Ab"], ["/aB"]),
            ("/(?P<id>[[:alnum:]]+)-(?<n>[[:digit:]])", ["/aB9-1"], ["/-1", "/a-x"]),
            (#"/[\w.-]+"#, ["/a.b-c_9"], ["/a b", "/a/b"]),
            (#"/[]x]\]"#, ["/]]", "/x]"], ["/]"]),
            (#"\A/a\z"#, ["/a"], ["/ab"]),
            ("/é+", ["/é", "/éé"], ["/e"]),
            (#"/\x41\x{42}"#, ["/AB"], ["/ab"]),
            ("/(|a)b", ["/b", "/ab"], ["/aab"]),
            ("/(a*)*b", ["/b", "/aaab"], ["/a"]),
            ("", [""], ["/"]),
        ] as [(String, [String], [String])])
    func language(pattern: String, matching: [String], other: [String]) throws {
        let compiled = try PathPattern(pattern)
        for path in matching + matching { #expect(compiled.matches(path), "\(pattern) should match \(path)") }
        for path in other + other { #expect(!compiled.matches(path), "\(pattern) should not match \(path)") }
    }

    @Test("Missing anchors are added as text, so that an alternation needs a group")
    func anchors() throws {
        let loose = try PathPattern("/a|/b")
        #expect(loose.matches("/a/more") && loose.matches("/more/b"))
        #expect(!loose.matches("/more/a/more"))
        for text in ["^/a$", "^/a", "/a$", "/a"] {
            let strict = try PathPattern(text)
            #expect(strict.matches("/a") && !strict.matches("/a/b") && !strict.matches("/b/a"))
        }
        #expect(try PathPattern("^/a.*|.*/b$").matches("/x/b"))
    }

    @Test(
        "What cannot be matched in linear time, or is not understood, is refused with a reason",
        arguments: [
            "(a", "a)", "[a", "a|*", "/{id}", "a{2", "a{3,2}", "a{9999}", #"(a)\1"#, "(?=a)", "(?!a)",
            "(?<=a)b", #"\bword"#, #"\pL"#, "[z-a]", "[[:nope:]]", "[a[b]]", "[a&&b]", "(?x)a", #"\xZZ"#, "[é]",
            "(?P=name)", "(?",
        ])
    func refused(pattern: String) {
        let error = #expect(throws: PatternMistake.self) { _ = try PathPattern(pattern) }
        #expect(error?.text.isEmpty == false)
    }

    @Test("Groups and repetitions that would grow without bound are refused")
    func bounded() {
        #expect(throws: PatternMistake.self) {
            _ = try PathPattern(String(repeating: "(", count: 100) + String(repeating: ")", count: 100))
        }
        #expect(throws: PatternMistake.self) { _ = try PathPattern("((a{100}){100}){100}") }
    }

    @Test("Patterns that ruin a back-tracking matcher cost a step for each byte")
    func hostile() throws {
        let path = "/" + String(repeating: "a", count: 20_000)
        for pattern in ["/(a+)+b", "/(a|aa)+b", "/(a*)*b", "/(.*a){20}b", "/.*.*.*.*.*b"] {
            #expect(try !PathPattern(pattern).matches(path))
            #expect(try PathPattern(pattern).matches(path + "b"))
        }
    }

    @Test("The table that is built on the way stays bounded, and starting over changes no answer")
    func bounds() throws {
        // "The 12th byte from the end is a": needs 2^12 states when built whole.
        let pattern = try PathPattern("/[ab]*a[ab]{11}")
        var random = SeededGenerator(seed: 7)
        for _ in 0..<200 {
            let bytes = (0..<60).map { _ in Bool.random(using: &random) ? "a" : "b" }
            let path = "/" + bytes.joined()
            #expect(pattern.matches(path) == (bytes[48] == "a"))
            #expect(pattern.stateCount <= PathPattern.statesMax)
        }
    }

    @Test("Random patterns agree with a matcher that tries everything", arguments: [1, 2, 3, 4])
    func agrees(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<400 {
            let text = "/" + Self.pattern(depth: 3, &random)
            let compiled = try PathPattern("(" + text + ")")
            let node = try PatternParser.parse("^(" + text + ")$")
            for _ in 0..<12 {
                let count = Int.random(in: 0...6, using: &random)
                let path = "/" + (0..<count).map { _ in ["a", "b", "/"].randomElement(using: &random) ?? "a" }.joined()
                let bytes = Array(path.utf8)
                let expected = Self.ends(of: node, in: bytes, from: 0).contains(bytes.count)
                #expect(compiled.matches(path) == expected, "seed \(seed): \(text) on \(path)")
            }
        }
    }

    private static func pattern(depth: Int, _ random: inout SeededGenerator) -> String {
        guard depth > 0 else { return ["a", "b", ".", "[^a]", "/", "[ab]"].randomElement(using: &random) ?? "a" }
        let inner = pattern(depth: depth - 1, &random)
        switch Int.random(in: 0..<7, using: &random) {
        case 0: return "(" + inner + ")*"
        case 1: return "(" + inner + ")+"
        case 2: return "(" + inner + ")?"
        case 3: return "(" + inner + "|" + pattern(depth: depth - 1, &random) + ")"
        case 4: return "(" + inner + "){1,2}"
        default: return inner + pattern(depth: depth - 1, &random)
        }
    }

    /// Every offset at which a match of `node` from `start` can end: the definition, without any cleverness.
    private static func ends(of node: PatternNode, in bytes: [UInt8], from start: Int) -> Set<Int> {
        switch node {
        case .empty: return [start]
        case .start: return start == 0 ? [start] : []
        case .end: return start == bytes.count ? [start] : []
        case .bytes(let set): return start < bytes.count && set.contains(bytes[start]) ? [start + 1] : []
        case .sequence(let parts):
            return parts.reduce([start]) { reached, part in
                reached.reduce(into: []) { $0.formUnion(ends(of: part, in: bytes, from: $1)) }
            }
        case .alternation(let branches):
            return branches.reduce(into: []) { $0.formUnion(ends(of: $1, in: bytes, from: start)) }
        case .repetition(let inner, let min, let max):
            var reached: Set<Int> = [start]
            var all: Set<Int> = min == 0 ? [start] : []
            for count in 1...Swift.max(1, max ?? (min + bytes.count + 1)) {
                reached = reached.reduce(into: []) { $0.formUnion(ends(of: inner, in: bytes, from: $1)) }
                if count >= min { all.formUnion(reached) }
            }
            return all
        }
    }
}

/// A seeded generator: the same numbers every time (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
