// How the environment spells values: stricter than Go, because a proxy that guesses is worse than one that
// refuses to start. Source: `spec/proxy.md` 2.1.

package import NIOCore

/// Reads values as the proxy's variables spell them; `nil` when the text is something else.
package enum ConfigGrammar {
    /// Digits and one of `ms s m h d`, blanks around them allowed; only 0 needs no unit. No sign, no fraction.
    package static func duration(_ text: String) -> TimeAmount? {
        let trimmed = trim(text)
        let digits = trimmed.prefix { $0.isASCII && $0.isNumber }
        guard !digits.isEmpty, let number = Int64(digits) else { return nil }
        let milliseconds: Int64
        switch trimmed.dropFirst(digits.count) {
        case "ms": milliseconds = 1
        case "s": milliseconds = 1_000
        case "m": milliseconds = 60_000
        case "h": milliseconds = 3_600_000
        case "d": milliseconds = 86_400_000
        case "" where number == 0: milliseconds = 1
        default: return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: milliseconds * 1_000_000)
        // Longer than a clock can count is for ever, as `365000d` means it.
        return overflow ? .nanoseconds(.max) : .nanoseconds(product)
    }

    package static func flag(_ text: String) -> Bool? {
        switch text {
        case "true": true
        case "false": false
        default: nil
        }
    }

    /// A decimal number without a sign.
    package static func integer(_ text: String, in range: ClosedRange<Int>) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = Int(text) else { return nil }
        return range.contains(number) ? number : nil
    }

    /// A finite number that is not negative.
    package static func ratio(_ text: String) -> Double? {
        guard let number = Double(text), number.isFinite, number >= 0 else { return nil }
        return number
    }

    /// Items between commas, blanks around them dropped, empty ones left out; `nil` when one cannot be read.
    package static func list<Element>(_ text: String, _ parse: (String) -> Element?) -> [Element]? {
        let items = text.split(separator: ",").map(trim).filter { !$0.isEmpty }
        let parsed = items.compactMap(parse)
        return parsed.count == items.count ? parsed : nil
    }

    /// A DNS suffix in lower case; `.` is every name.
    package static func suffix(_ text: String) -> String? {
        let lowered = text.lowercased()
        if lowered == "." { return lowered }
        let labels = (lowered.hasSuffix(".") ? lowered.dropLast() : lowered[...]).split(
            separator: ".", omittingEmptySubsequences: false)
        let isName = labels.allSatisfy { label in
            !label.isEmpty && label.utf8.count <= 63
                && label.utf8.allSatisfy { byte in
                    byte == 0x2D || byte == 0x5F || (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte)
                }
        }
        return isName ? lowered : nil
    }

    static func trim(_ text: some StringProtocol) -> String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\n" || $0 == "\r" }
        let head = text.drop(while: isBlank)
        var end = head.endIndex
        while end > head.startIndex, isBlank(head[head.index(before: end)]) { end = head.index(before: end) }
        return String(head[..<end])
    }
}
