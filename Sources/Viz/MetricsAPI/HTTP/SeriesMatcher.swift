// A Prometheus series selector, as `match[]` carries it: a metric name, matchers in braces, or both.

/// Why a selector cannot be read.
struct MatcherError: Error, Equatable, CustomStringConvertible {
    let description: String
}

/// Chooses series by name and labels.
struct SeriesMatcher: Sendable {
    private struct Condition: Sendable {
        enum Test: Sendable { case equal, differs, matches, matchesNot }
        let label: String
        let test: Test
        let value: String
        /// What `value` means as a pattern; only for tests that match.
        var pattern: LabelPattern?
    }

    private let conditions: [Condition]
    /// Longest selector that is read.
    static let lengthMax = 4_096

    /// Parses `name{label="value", other=~"pattern"}`.
    ///
    /// - Throws: `MatcherError` that quotes the selector.
    init(_ text: String) throws(MatcherError) {
        func bad(_ why: String) -> MatcherError {
            MatcherError(description: "match[] \"\(text.prefix(200))\" cannot be read: \(why)")
        }
        guard text.utf8.count <= Self.lengthMax else { throw bad("it is too long") }
        var rest = text[...].drop { $0 == " " }
        var conditions: [Condition] = []
        let name = rest.prefix { Self.isNamePart($0) || $0 == ":" }
        if !name.isEmpty { conditions.append(Condition(label: "__name__", test: .equal, value: String(name))) }
        rest = rest.dropFirst(name.count).drop { $0 == " " }
        if rest.first == "{" {
            rest = rest.dropFirst()
            while true {
                rest = rest.drop { $0 == " " || $0 == "," }
                if rest.first == "}" { break }
                guard var condition = Self.condition(&rest) else { throw bad("expected label=\"value\"") }
                if condition.test == .matches || condition.test == .matchesNot {
                    guard let pattern = LabelPattern(condition.value) else {
                        throw bad("\"\(condition.value)\" is no pattern of text, . and .* with alternatives in groups")
                    }
                    condition.pattern = pattern
                }
                conditions.append(condition)
            }
            rest = rest.dropFirst().drop { $0 == " " }
        }
        guard rest.isEmpty, !conditions.isEmpty else {
            throw bad(conditions.isEmpty ? "it selects nothing" : "something follows it")
        }
        self.conditions = conditions
    }

    /// Whether a series is chosen; a missing label reads as empty.
    func matches(name: String, _ labels: [(String, String)]) -> Bool {
        conditions.allSatisfy { condition in
            let value =
                condition.label == "__name__" ? name : labels.first { $0.0 == condition.label }?.1 ?? ""
            switch condition.test {
            case .equal: return value == condition.value
            case .differs: return value != condition.value
            case .matches: return condition.pattern?.matches(value) ?? false
            case .matchesNot: return !(condition.pattern?.matches(value) ?? false)
            }
        }
    }

    private static func isNamePart(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || character == "_")
    }

    private static func condition(_ rest: inout Substring) -> Condition? {
        let label = rest.prefix(while: isNamePart)
        guard !label.isEmpty else { return nil }
        rest = rest.dropFirst(label.count).drop { $0 == " " }
        let test: Condition.Test
        if rest.hasPrefix("=~") {
            test = .matches
        } else if rest.hasPrefix("!~") {
            test = .matchesNot
        } else if rest.hasPrefix("!=") {
            test = .differs
        } else if rest.hasPrefix("=") {
            test = .equal
        } else {
            return nil
        }
        rest = rest.dropFirst(test == .equal ? 1 : 2).drop { $0 == " " }
        guard let quote = rest.first, quote == "\"" || quote == "'" else { return nil }
        rest = rest.dropFirst()
        var value = ""
        while let character = rest.first {
            rest = rest.dropFirst()
            if character == quote { return Condition(label: String(label), test: test, value: value) }
            guard character == "\\", let escaped = rest.first else {
                value.append(character)
                continue
            }
            rest = rest.dropFirst()
            value.append(escaped == "n" ? "\n" : escaped)
        }
        return nil
    }
}
