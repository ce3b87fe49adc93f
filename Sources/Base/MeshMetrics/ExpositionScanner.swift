// The hot half of reading a scrape. Nearly every line of a proxy is `name{labels} digits`, and nearly every one
// was there ten seconds ago: so a line is cut at its last space, without looking at its labels, and only a line
// whose hash is new is parsed in full. Whatever does not look like that goes to `ExpositionParser.strict`.

/// One line that is neither empty nor a comment.
public struct ExpositionLine: Sendable {
    /// The line without its end and surrounding blanks.
    public let range: Range<Int>
    /// End of the metric's name.
    public let nameEnd: Int
    /// Whether the name is that of the line before.
    public let hasSameName: Bool

    /// The metric's name.
    public var name: Range<Int> { range.lowerBound..<nameEnd }
}

/// What a `# TYPE` line says.
public struct ExpositionType: Sendable {
    /// The metric's name.
    public let name: Range<Int>
    /// `counter`, `gauge` and so on, as written.
    public let type: Range<Int>
}

/// Walks over the lines of one scrape.
public struct ExpositionScanner: Sendable {
    /// What comes next.
    public enum Item: Sendable {
        case line(ExpositionLine)
        case type(ExpositionType)
        /// A line that begins with no metric's name.
        case malformed
    }

    private var offset = 0
    private var lastName = 0..<0
    /// Whether `# EOF` was seen, with which OpenMetrics documents end.
    public private(set) var hasSeenEOF = false

    /// A scanner at the start.
    public init() {}

    /// The next line; `nil` at the end. `bytes` must be the same each time.
    ///
    /// - Complexity: O(line), no allocation.
    public mutating func next(in bytes: RawSpan) -> Item? {
        while offset < bytes.byteCount {
            var start = offset
            var end = bytes.first(UInt8(ascii: "\n"), from: start)
            offset = end &+ 1
            while end > start, Self.isBlank(bytes.byte(at: end &- 1)) { end &-= 1 }
            while start < end, Self.isBlank(bytes.byte(at: start)) { start &+= 1 }
            guard start < end else { continue }
            if bytes.byte(at: start) == UInt8(ascii: "#") {
                if let type = comment(bytes, start, end) { return .type(type) }
                continue
            }
            return line(bytes, start, end)
        }
        return nil
    }

    /// Cuts `name{labels} digits` at its last space, by looking at its end only.
    ///
    /// - Returns: The series and its value; `nil` when the line ends in any other way. A line with an exemplar may
    ///   be cut too late: a series not seen before has to be confirmed by `ExpositionParser.strict`.
    @inlinable
    public static func quick(_ line: ExpositionLine, in bytes: RawSpan) -> (series: Range<Int>, value: UInt64)? {
        let start = line.range.lowerBound
        var offset = line.range.upperBound &- 1
        var value: UInt64 = 0
        var scale: UInt64 = 1
        while offset > start {
            let digit = bytes.byte(at: offset) &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            guard scale <= 100_000_000_000_000 else { return nil }
            value &+= UInt64(digit) &* scale
            scale &*= 10
            offset &-= 1
        }
        guard scale > 1, offset > start, bytes.byte(at: offset) == UInt8(ascii: " ") else { return nil }
        let isWhole = bytes.byte(at: offset &- 1) == UInt8(ascii: "}") || offset == line.nameEnd
        return isWhole ? (start..<offset, value) : nil
    }

    private mutating func line(_ bytes: RawSpan, _ start: Int, _ end: Int) -> Item {
        let nameEnd = start &+ lastName.count
        if !lastName.isEmpty, nameEnd < end, !ExpositionParser.isNameByte(bytes.byte(at: nameEnd)),
            bytes.areEqual(start, lastName.lowerBound, count: lastName.count)
        {
            return .line(ExpositionLine(range: start..<end, nameEnd: nameEnd, hasSameName: true))
        }
        var offset = start
        while offset < end, ExpositionParser.isNameByte(bytes.byte(at: offset)) { offset &+= 1 }
        guard offset > start, offset < end else { return .malformed }
        lastName = start..<offset
        return .line(ExpositionLine(range: start..<end, nameEnd: offset, hasSameName: false))
    }

    /// Looks for `# TYPE <name> <type>` and `# EOF`.
    private mutating func comment(_ bytes: RawSpan, _ start: Int, _ end: Int) -> ExpositionType? {
        var words: [Range<Int>] = []
        var offset = start &+ 1
        while offset < end, words.count < 3 {
            while offset < end, Self.isBlank(bytes.byte(at: offset)) { offset &+= 1 }
            let first = offset
            while offset < end, !Self.isBlank(bytes.byte(at: offset)) { offset &+= 1 }
            if offset > first { words.append(first..<offset) }
            // Help texts are long and of no interest.
            if words.count == 1, !Self.isType(bytes, words[0]) {
                hasSeenEOF = hasSeenEOF || Self.isEOF(bytes, words[0])
                return nil
            }
        }
        return words.count == 3 ? ExpositionType(name: words[1], type: words[2]) : nil
    }

    private static func isType(_ bytes: RawSpan, _ word: Range<Int>) -> Bool {
        word.count == 4 && letters(bytes, word) == 0x5459_5045
    }

    private static func isEOF(_ bytes: RawSpan, _ word: Range<Int>) -> Bool {
        word.count == 3 && letters(bytes, word) == 0x45_4F46
    }

    /// Up to eight letters as a number, the first highest.
    private static func letters(_ bytes: RawSpan, _ word: Range<Int>) -> UInt64 {
        var number: UInt64 = 0
        for offset in word.prefix(8) { number = number << 8 | UInt64(bytes.byte(at: offset)) }
        return number
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
}
