/// A label selector in kubectl's notation: `app=web,tier!=db,env in (a,b),zone notin (x),!canary,owner`.
package struct LabelQuery: Sendable, Equatable {
    enum Condition: Sendable, Equatable {
        case equals(String, String)
        case differs(String, String)
        case oneOf(String, Set<String>)
        case noneOf(String, Set<String>)
        case exists(String)
        case isAbsent(String)
    }

    let conditions: [Condition]

    /// Parses a selector; empty text matches everything.
    ///
    /// - Throws: `StatError` of kind `badRequest` that quotes the part it cannot read.
    package init(_ text: String) throws(StatError) {
        var conditions: [Condition] = []
        for part in Self.split(text) {
            guard let condition = Self.condition(part) else {
                throw StatError(.badRequest, "unable to parse requirement: \"\(part)\"")
            }
            conditions.append(condition)
        }
        self.conditions = conditions
    }

    /// Whether everything matches.
    package var isEmpty: Bool { conditions.isEmpty }

    /// Whether all conditions hold for `labels`.
    package func matches(_ labels: [String: String]) -> Bool {
        conditions.allSatisfy { condition in
            switch condition {
            case .equals(let key, let value): labels[key] == value
            case .differs(let key, let value): labels[key] != value
            case .oneOf(let key, let values): labels[key].map(values.contains) ?? false
            case .noneOf(let key, let values): !(labels[key].map(values.contains) ?? false)
            case .exists(let key): labels[key] != nil
            case .isAbsent(let key): labels[key] == nil
            }
        }
    }

    /// Parts between commas that are not inside parentheses.
    private static func split(_ text: String) -> [String] {
        var parts: [String] = []
        var current = ""
        var depth = 0
        for character in text {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == ",", depth == 0 {
                parts.append(current)
                current = ""
            } else {
                current.append(character)
            }
        }
        parts.append(current)
        return parts.map { trim($0[...]) }.filter { !$0.isEmpty }
    }

    private static func condition(_ part: String) -> Condition? {
        if part.hasPrefix("!") {
            let key = trim(part.dropFirst())
            return isName(key) ? .isAbsent(key) : nil
        }
        if let range = part.firstRange(of: "!=") {
            return pair(part[..<range.lowerBound], part[range.upperBound...]).map { .differs($0, $1) }
        }
        if let range = part.firstRange(of: "==") ?? part.firstRange(of: "=") {
            return pair(part[..<range.lowerBound], part[range.upperBound...]).map { .equals($0, $1) }
        }
        let words = part.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard let first = words.first, isName(String(first)) else { return nil }
        guard words.count == 2 else { return .exists(String(first)) }
        return set(String(first), trim(words[1]))
    }

    private static func set(_ key: String, _ rest: String) -> Condition? {
        guard let open = rest.firstIndex(of: "("), rest.last == ")" else { return nil }
        let values = rest[rest.index(after: open)...].dropLast().split(separator: ",").map { trim($0) }
        guard !values.isEmpty, values.allSatisfy(isValue) else { return nil }
        switch trim(rest[..<open]) {
        case "in": return .oneOf(key, Set(values))
        case "notin": return .noneOf(key, Set(values))
        default: return nil
        }
    }

    private static func pair(_ key: Substring, _ value: Substring) -> (String, String)? {
        let (key, value) = (trim(key), trim(value))
        return isName(key) && isValue(value) ? (key, value) : nil
    }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.allSatisfy { isPart($0) || $0 == "/" }
    }

    /// What the value of a label may consist of; it may be empty.
    private static func isValue(_ text: String) -> Bool {
        text.allSatisfy(isPart)
    }

    private static func isPart(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || "-_.".contains(character))
    }

    private static func trim(_ text: Substring) -> String {
        var text = text
        while text.first == " " { text = text.dropFirst() }
        while text.last == " " { text = text.dropLast() }
        return String(text)
    }
}
