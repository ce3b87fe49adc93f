// The syntax of path patterns: what people write in ServiceProfiles is taken for the `regex` crate's by
// Linkerd's proxy, so this reads the same language as far as paths need it.
//
//   alternation  a|b          groups      (…) (?:…) (?P<name>…) (?i:…) (?i)
//   repetition   * + ? {2} {2,} {2,5}, each with a meaningless ? behind it
//   classes      [a-z_] [^/] [[:alpha:]] \d \w \s \D \W \S .
//   assertions   ^ $ \A \z
//   escapes      \. \/ \t \n \r \f \v \x2F \x{2F}
//
// Deliberately absent, and refused by name: look-around and back-references (which no linear matcher has), word
// boundaries, Unicode classes, set operations. Bytes are matched, not characters: `[^/]` is any byte but one.

/// Why a pattern cannot be used.
package struct PatternMistake: Error, Equatable, Sendable {
    /// A sentence for people.
    package let text: String
}

/// 256 bits: which bytes a step takes.
struct ByteSet: Hashable, Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    static let digits = ByteSet(UInt8(ascii: "0")...UInt8(ascii: "9"))
    static let letters = ByteSet(UInt8(ascii: "a")...UInt8(ascii: "z")).union(ByteSet(UInt8(ascii: "A")...UInt8(ascii: "Z")))
    static let wordBytes = letters.union(digits).union(ByteSet(UInt8(ascii: "_")...UInt8(ascii: "_")))
    static let blanks = ByteSet(0x09...0x0D).union(ByteSet(0x20...0x20))
    static let all = ByteSet(0...255)
    static let exceptNewline = ByteSet(0x0A...0x0A).inverted

    init() {}

    init(_ range: ClosedRange<UInt8>) { for byte in range { insert(byte) } }

    init(_ bytes: String) { for byte in bytes.utf8 { insert(byte) } }

    mutating func insert(_ byte: UInt8) {
        let bit = UInt64(1) << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    func contains(_ byte: UInt8) -> Bool {
        let word =
            switch byte >> 6 {
            case 0: words.0
            case 1: words.1
            case 2: words.2
            default: words.3
            }
        return word >> UInt64(byte & 63) & 1 == 1
    }

    func union(_ other: ByteSet) -> ByteSet {
        var sum = self
        sum.words.0 |= other.words.0
        sum.words.1 |= other.words.1
        sum.words.2 |= other.words.2
        sum.words.3 |= other.words.3
        return sum
    }

    var inverted: ByteSet {
        var set = self
        set.words = (~words.0, ~words.1, ~words.2, ~words.3)
        return set
    }

    /// With the other case of every letter in it.
    var caseless: ByteSet {
        var set = self
        for byte in UInt8(ascii: "a")...UInt8(ascii: "z") where contains(byte) || contains(byte - 32) {
            set.insert(byte)
            set.insert(byte - 32)
        }
        return set
    }

    static func == (a: ByteSet, b: ByteSet) -> Bool { a.words == b.words }

    func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }
}

/// A parsed pattern.
indirect enum PatternNode: Equatable {
    case empty
    case bytes(ByteSet)
    case sequence([PatternNode])
    case alternation([PatternNode])
    /// `max` is `nil` without a bound.
    case repetition(PatternNode, min: Int, max: Int?)
    case start
    case end
}

/// Reads a pattern. Recursion and repetition are bounded.
struct PatternParser {
    private static let nestingMax = 50
    private static let repetitionMax = 1_000

    private let bytes: [UInt8]
    private var offset = 0
    private var isCaseless = false
    private var takesNewline = false

    init(_ text: String) { bytes = Array(text.utf8) }

    /// - Throws: for everything outside the language above.
    static func parse(_ text: String) throws(PatternMistake) -> PatternNode {
        var parser = PatternParser(text)
        let node = try parser.alternation(depth: 0)
        guard parser.offset == parser.bytes.count else { throw parser.mistake("unopened )") }
        return node
    }

    private func mistake(_ text: String) -> PatternMistake {
        PatternMistake(text: "\(text) at byte \(offset) of the pattern \(String(decoding: bytes, as: UTF8.self))")
    }

    private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        offset += 1
        return true
    }

    private mutating func alternation(depth: Int) throws(PatternMistake) -> PatternNode {
        guard depth < Self.nestingMax else { throw mistake("groups nested too deeply") }
        // Flags such as (?i) hold to the end of their group.
        let flags = (isCaseless, takesNewline)
        defer { (isCaseless, takesNewline) = flags }
        var branches: [PatternNode] = []
        var parts: [PatternNode] = []
        while let byte = next, byte != UInt8(ascii: ")") {
            if take("|") {
                branches.append(.sequence(parts))
                parts = []
            } else if let part = try repeated(depth: depth) {
                parts.append(part)
            }
        }
        branches.append(.sequence(parts))
        return branches.count == 1 ? branches[0] : .alternation(branches)
    }

    private mutating func repeated(depth: Int) throws(PatternMistake) -> PatternNode? {
        guard var node = try atom(depth: depth) else { return nil }
        while let byte = next {
            let bounds: (min: Int, max: Int?)
            switch byte {
            case UInt8(ascii: "*"): bounds = (0, nil)
            case UInt8(ascii: "+"): bounds = (1, nil)
            case UInt8(ascii: "?"): bounds = (0, 1)
            case UInt8(ascii: "{"): bounds = try counted()
            default: return node
            }
            offset += 1
            _ = take("?")  // Prefers the shorter match; whether there is one stays the same.
            node = .repetition(node, min: bounds.min, max: bounds.max)
        }
        return node
    }

    /// Reads `{2}`, `{2,}` or `{2,5}` up to its closing brace.
    private mutating func counted() throws(PatternMistake) -> (min: Int, max: Int?) {
        offset += 1
        guard let least = number() else { throw mistake("{ without a number") }
        var most: Int? = least
        if take(",") { most = next == UInt8(ascii: "}") ? nil : number() ?? -1 }
        guard next == UInt8(ascii: "}"), least <= Self.repetitionMax, most ?? least >= least,
            most ?? 0 <= Self.repetitionMax
        else { throw mistake("a repetition that is malformed or above \(Self.repetitionMax)") }
        return (least, most)
    }

    private mutating func number() -> Int? {
        let start = offset
        while let byte = next, ByteSet.digits.contains(byte) { offset += 1 }
        return Int(String(decoding: bytes[start..<offset], as: UTF8.self))
    }

    /// - Returns: `nil` for flags, which are no part of what is matched.
    private mutating func atom(depth: Int) throws(PatternMistake) -> PatternNode? {
        let byte = bytes[offset]
        switch byte {
        case UInt8(ascii: "("): return try group(depth: depth)
        case UInt8(ascii: "["): return .bytes(try set())
        case UInt8(ascii: "\\"): return try escaped()
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "{"):
            throw mistake("nothing to repeat")
        default: break
        }
        offset += 1
        switch byte {
        case UInt8(ascii: "."): return .bytes(takesNewline ? .all : .exceptNewline)
        case UInt8(ascii: "^"): return .start
        case UInt8(ascii: "$"): return .end
        default: break
        }
        guard byte >= 0x80 else { return .bytes(literal(byte)) }
        // A character of several bytes is one atom: what repeats is all of it.
        var parts = [PatternNode.bytes(ByteSet(byte...byte))]
        while let more = next, more & 0xC0 == 0x80 {
            parts.append(.bytes(ByteSet(more...more)))
            offset += 1
        }
        return .sequence(parts)
    }

    private func literal(_ byte: UInt8) -> ByteSet {
        let set = ByteSet(byte...byte)
        return isCaseless ? set.caseless : set
    }

    private mutating func group(depth: Int) throws(PatternMistake) -> PatternNode? {
        offset += 1
        let flags = (isCaseless, takesNewline)
        if take("?") {
            if take("P") || next == UInt8(ascii: "<") {
                guard take("<") else { throw mistake("a back-reference, which is not supported") }
                if next == UInt8(ascii: "=") || next == UInt8(ascii: "!") {
                    throw mistake("look-around, which is not supported")
                }
                while let byte = next, ByteSet.wordBytes.contains(byte) { offset += 1 }
                guard take(">") else { throw mistake("a group's name without >") }
            } else if try takeFlags() {
                return nil
            }
        }
        let node = try alternation(depth: depth + 1)
        (isCaseless, takesNewline) = flags
        guard take(")") else { throw mistake("unclosed (") }
        return node
    }

    /// - Returns: whether the group is over, as in `(?i)`.
    private mutating func takeFlags() throws(PatternMistake) -> Bool {
        var value = true
        while let byte = next {
            offset += 1
            switch byte {
            case UInt8(ascii: "i"): isCaseless = value
            case UInt8(ascii: "s"): takesNewline = value
            case UInt8(ascii: "-"): value = false
            // Unicode or not: bytes are matched either way; and which of several matches is preferred is not asked.
            case UInt8(ascii: "u"), UInt8(ascii: "U"): break
            case UInt8(ascii: ":"): return false
            case UInt8(ascii: ")"): return true
            case UInt8(ascii: "="), UInt8(ascii: "!"): throw mistake("look-around, which is not supported")
            default: throw mistake("a flag that is not supported")
            }
        }
        throw mistake("unclosed (")
    }

    private mutating func escaped() throws(PatternMistake) -> PatternNode {
        offset += 1
        guard let byte = next else { throw mistake("a backslash with nothing behind it") }
        switch byte {
        case UInt8(ascii: "A"): offset += 1; return .start
        case UInt8(ascii: "z"): offset += 1; return .end
        case UInt8(ascii: "b"), UInt8(ascii: "B"): throw mistake("a word boundary, which is not supported")
        case UInt8(ascii: "1")...UInt8(ascii: "9"): throw mistake("a back-reference, which is not supported")
        default: break
        }
        let set = try escapedSet()
        return .bytes(isCaseless ? set.caseless : set)
    }

    /// The bytes that an escape stands for; its backslash is taken already.
    private mutating func escapedSet() throws(PatternMistake) -> ByteSet {
        guard let byte = next else { throw mistake("a backslash with nothing behind it") }
        offset += 1
        switch byte {
        case UInt8(ascii: "d"): return .digits
        case UInt8(ascii: "D"): return ByteSet.digits.inverted
        case UInt8(ascii: "w"): return .wordBytes
        case UInt8(ascii: "W"): return ByteSet.wordBytes.inverted
        case UInt8(ascii: "s"): return .blanks
        case UInt8(ascii: "S"): return ByteSet.blanks.inverted
        case UInt8(ascii: "t"): return ByteSet(0x09...0x09)
        case UInt8(ascii: "n"): return ByteSet(0x0A...0x0A)
        case UInt8(ascii: "v"): return ByteSet(0x0B...0x0B)
        case UInt8(ascii: "f"): return ByteSet(0x0C...0x0C)
        case UInt8(ascii: "r"): return ByteSet(0x0D...0x0D)
        case UInt8(ascii: "x"): return try hexadecimal()
        default:
            guard byte < 0x80, !ByteSet.wordBytes.contains(byte) else {
                throw mistake("an escape that is not supported")
            }
            return ByteSet(byte...byte)
        }
    }

    private mutating func hexadecimal() throws(PatternMistake) -> ByteSet {
        let isBraced = take("{")
        let start = offset
        while let byte = next, offset - start < (isBraced ? 6 : 2), ByteSet("0123456789abcdefABCDEF").contains(byte) {
            offset += 1
        }
        guard let value = UInt32(String(decoding: bytes[start..<offset], as: UTF8.self), radix: 16), value < 0x80,
            isBraced || offset - start == 2, !isBraced || take("}")
        else { throw mistake("an \\x without an ASCII code behind it") }
        return ByteSet(UInt8(value)...UInt8(value))
    }
}

// MARK: - Classes in brackets

extension PatternParser {
    private mutating func set() throws(PatternMistake) -> ByteSet {
        offset += 1
        let isInverted = take("^")
        var set = ByteSet()
        var isFirst = true
        while let byte = next {
            if byte == UInt8(ascii: "]"), !isFirst {
                offset += 1
                if isCaseless { set = set.caseless }
                return isInverted ? set.inverted : set
            }
            isFirst = false
            set = set.union(try setItem(byte))
        }
        throw mistake("unclosed [")
    }

    private mutating func setItem(_ byte: UInt8) throws(PatternMistake) -> ByteSet {
        guard byte < 0x80 else { throw mistake("a character beyond ASCII in a class") }
        if byte == UInt8(ascii: "[") {
            guard offset + 1 < bytes.count, bytes[offset + 1] == UInt8(ascii: ":") else {
                throw mistake("a class in a class, which is not supported")
            }
            return try namedClass()
        }
        let isOperator = [UInt8(ascii: "&"), UInt8(ascii: "~")].contains(byte)
        if isOperator, offset + 1 < bytes.count, bytes[offset + 1] == byte {
            throw mistake("a set operation, which is not supported")
        }
        var low = ByteSet(byte...byte)
        offset += 1
        if byte == UInt8(ascii: "\\") { low = try escapedSet() }
        guard next == UInt8(ascii: "-"), offset + 1 < bytes.count, bytes[offset + 1] != UInt8(ascii: "]"),
            let first = low.only
        else { return low }
        offset += 1
        var high = ByteSet(bytes[offset]...bytes[offset])
        offset += 1
        if high.only == UInt8(ascii: "\\") { high = try escapedSet() }
        guard let last = high.only, first <= last, last < 0x80 else { throw mistake("a range that is not in order") }
        return ByteSet(first...last)
    }

    private mutating func namedClass() throws(PatternMistake) -> ByteSet {
        offset += 2
        let isInverted = take("^")
        let start = offset
        while let byte = next, ByteSet.letters.contains(byte) { offset += 1 }
        let name = String(decoding: bytes[start..<offset], as: UTF8.self)
        guard take(":"), take("]") else { throw mistake("a named class without :]") }
        let printable = ByteSet(0x21...0x7E)
        let set: ByteSet? =
            switch name {
            case "alpha": .letters
            case "digit": .digits
            case "alnum": ByteSet.letters.union(.digits)
            case "word": .wordBytes
            case "space": .blanks
            case "blank": ByteSet("\t ")
            case "lower": ByteSet(UInt8(ascii: "a")...UInt8(ascii: "z"))
            case "upper": ByteSet(UInt8(ascii: "A")...UInt8(ascii: "Z"))
            case "xdigit": ByteSet("0123456789abcdefABCDEF")
            case "graph": printable
            case "punct": printable.without(ByteSet.letters.union(.digits))
            default: nil
            }
        guard let set else { throw mistake("a named class that is not supported") }
        return isInverted ? set.inverted : set
    }
}

extension ByteSet {
    /// The one byte in it; `nil` when there are more or none.
    fileprivate var only: UInt8? {
        var found: UInt8?
        for byte in UInt8.min...UInt8.max where contains(byte) {
            guard found == nil else { return nil }
            found = byte
        }
        return found
    }

    fileprivate func without(_ other: ByteSet) -> ByteSet { inverted.union(other).inverted }
}
