// Reads the Prometheus text exposition format in place: a sample is a handful of offsets into the scrape,
// so a reader that has seen the series before allocates nothing. Comments are skipped, also `# EOF`; a
// malformed line is counted and skipped, because one bad line must not cost the rest of a scrape.
// Exemplars and timestamps after the value are ignored.

/// One sample line, as offsets into the scrape it came from.
public struct ExpositionSample: Sendable {
    /// Name and labels with their braces: what identifies the series within one scrape.
    public let series: Range<Int>
    /// The metric's name.
    public let name: Range<Int>
    /// What stands between the braces; empty when there are none.
    public let labels: Range<Int>
    /// The value; NaN and infinities are possible.
    public let value: Double
}

/// Walks over the samples and labels of a scrape.
public struct ExpositionParser: Sendable {
    /// Lines that were no comment, not empty, and not a sample.
    public private(set) var malformedLineCount = 0

    /// A parser with no lines seen.
    public init() {}

    /// Calls `body` for each sample, in order.
    ///
    /// - Complexity: O(bytes); allocates nothing itself.
    public mutating func forEachSample(in bytes: [UInt8], _ body: (ExpositionSample) throws -> Void) rethrows {
        var start = 0
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
            let next = end + 1
            if end > start, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
            while start < end, Self.isSpace(bytes[start]) { start += 1 }
            if start < end, bytes[start] != UInt8(ascii: "#") {
                if let sample = Self.sample(bytes, start, end) {
                    try body(sample)
                } else {
                    malformedLineCount += 1
                }
            }
            start = next
        }
    }

    /// Calls `body` with the offsets of each label's name and value, in order.
    ///
    /// The value is still escaped; `text(of:in:)` undoes that.
    public static func forEachLabel(
        in bytes: [UInt8], of sample: ExpositionSample, _ body: (_ name: Range<Int>, _ value: Range<Int>) -> Void
    ) {
        var offset = sample.labels.lowerBound
        let end = sample.labels.upperBound
        while offset < end {
            while offset < end, isSpace(bytes[offset]) || bytes[offset] == UInt8(ascii: ",") { offset += 1 }
            let nameStart = offset
            while offset < end, bytes[offset] != UInt8(ascii: "="), !isSpace(bytes[offset]) { offset += 1 }
            let nameEnd = offset
            while offset < end, bytes[offset] != UInt8(ascii: "\"") { offset += 1 }
            let valueStart = offset + 1
            offset = valueStart
            while offset < end, bytes[offset] != UInt8(ascii: "\"") {
                offset += bytes[offset] == UInt8(ascii: "\\") ? 2 : 1
            }
            guard offset < end else { return }
            body(nameStart..<nameEnd, valueStart..<offset)
            offset += 1
        }
    }

    /// The text at `range`, with the escapes of a label value undone.
    public static func text(of range: Range<Int>, in bytes: [UInt8]) -> String {
        let slice = bytes[range]
        guard slice.contains(UInt8(ascii: "\\")) else { return String(decoding: slice, as: UTF8.self) }
        var unescaped: [UInt8] = []
        var offset = range.lowerBound
        while offset < range.upperBound {
            if bytes[offset] == UInt8(ascii: "\\"), offset + 1 < range.upperBound {
                offset += 1
                unescaped.append(bytes[offset] == UInt8(ascii: "n") ? UInt8(ascii: "\n") : bytes[offset])
            } else {
                unescaped.append(bytes[offset])
            }
            offset += 1
        }
        return String(decoding: unescaped, as: UTF8.self)
    }

    /// All labels of a sample as text, for tests and tools; readers of many series use `forEachLabel`.
    public static func labels(of sample: ExpositionSample, in bytes: [UInt8]) -> [String: String] {
        var labels: [String: String] = [:]
        forEachLabel(in: bytes, of: sample) { labels[text(of: $0, in: bytes)] = text(of: $1, in: bytes) }
        return labels
    }

    /// Parses one line in full; `nil` when it is no sample.
    ///
    /// - Parameter range: The line, without its end.
    public static func strict(_ range: Range<Int>, in bytes: [UInt8]) -> ExpositionSample? {
        guard range.lowerBound >= 0, range.upperBound <= bytes.count else { return nil }
        return sample(bytes, range.lowerBound, range.upperBound)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private static func sample(_ bytes: [UInt8], _ start: Int, _ end: Int) -> ExpositionSample? {
        var offset = start
        while offset < end, isNameByte(bytes[offset]) { offset += 1 }
        let name = start..<offset
        guard !name.isEmpty else { return nil }
        while offset < end, isSpace(bytes[offset]) { offset += 1 }
        var labels = offset..<offset
        var seriesEnd = name.upperBound
        if offset < end, bytes[offset] == UInt8(ascii: "{") {
            guard let close = closingBrace(bytes, offset + 1, end) else { return nil }
            labels = offset + 1..<close
            offset = close + 1
            seriesEnd = offset
        } else if offset == name.upperBound {
            return nil  // Nothing separates the name from what should be a value.
        }
        guard let value = value(bytes, offset, end) else { return nil }
        return ExpositionSample(series: start..<seriesEnd, name: name, labels: labels, value: value)
    }

    /// Whether a metric's name may have this byte.
    static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: ":"):
            true
        default: false
        }
    }

    /// The brace that ends the label set: one inside quotes does not.
    private static func closingBrace(_ bytes: [UInt8], _ start: Int, _ end: Int) -> Int? {
        var offset = start
        var isQuoted = false
        while offset < end {
            switch bytes[offset] {
            case UInt8(ascii: "\\") where isQuoted: offset += 1
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: "}") where !isQuoted: return offset
            default: break
            }
            offset += 1
        }
        return nil
    }

    private static func value(_ bytes: [UInt8], _ start: Int, _ end: Int) -> Double? {
        var offset = start
        while offset < end, isSpace(bytes[offset]) { offset += 1 }
        let first = offset
        var whole: UInt64 = 0
        while offset < end, bytes[offset] &- UInt8(ascii: "0") < 10, offset - first < 15 {
            whole = whole * 10 + UInt64(bytes[offset] - UInt8(ascii: "0"))
            offset += 1
        }
        // Counters are nearly always whole numbers: no text is made of them.
        if offset > first, offset == end || isSpace(bytes[offset]) { return Double(whole) }
        while offset < end, !isSpace(bytes[offset]) { offset += 1 }
        guard offset > first else { return nil }
        let text = String(decoding: bytes[first..<offset], as: UTF8.self)
        switch text {
        case "+Inf", "Inf": return .infinity
        case "-Inf": return -.infinity
        case "NaN": return .nan
        default: return Double(text)
        }
    }
}
