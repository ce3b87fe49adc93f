// The part of regular expressions that selectors of `/federate` use: text, `.`, `.*`, `.+`, escapes, and groups of
// alternatives. Anybody who reaches the port may send one, so matching must take time in proportion to the text; a
// backtracking engine promises no such thing. What is beyond this part is refused by name.

/// A pattern over a whole label value.
struct LabelPattern: Sendable, Equatable {
    private enum Token: Sendable, Equatable {
        case character(Character)
        case any
        /// Any text, also none.
        case run
    }

    /// Alternatives after groups were multiplied out.
    static let alternativesMax = 256

    private let alternatives: [[Token]]

    /// Reads a pattern; `nil` when it uses what is not supported.
    init?(_ text: String) {
        var rest = Substring(text)
        if rest.first == "^" { rest = rest.dropFirst() }
        if rest.last == "$", !rest.hasSuffix("\\$") { rest = rest.dropLast() }
        guard let alternatives = Self.alternatives(&rest, depth: 0), rest.isEmpty else { return nil }
        self.alternatives = alternatives
    }

    /// Whether all of `text` matches.
    func matches(_ text: String) -> Bool {
        let characters = Array(text)
        return alternatives.contains { Self.matches(characters, $0) }
    }

    /// Alternatives up to the end or a closing parenthesis.
    private static func alternatives(_ rest: inout Substring, depth: Int) -> [[Token]]? {
        guard depth < 8 else { return nil }
        var done: [[Token]] = []
        var current: [[Token]] = [[]]
        while let character = rest.first, character != ")" {
            rest = rest.dropFirst()
            var next: [[Token]]
            switch character {
            case "|":
                done += current
                current = [[]]
                continue
            case "(":
                if rest.hasPrefix("?:") { rest = rest.dropFirst(2) }
                guard let inner = alternatives(&rest, depth: depth + 1), rest.first == ")" else { return nil }
                rest = rest.dropFirst()
                next = inner
            case ".":
                next = [[.any]]
                if rest.first == "*" { next = [[.run]] }
                if rest.first == "+" { next = [[.any, .run]] }
                if rest.first == "*" || rest.first == "+" { rest = rest.dropFirst() }
            case "\\":
                guard let escaped = rest.first, !escaped.isLetter, !escaped.isNumber else { return nil }
                rest = rest.dropFirst()
                next = [[.character(escaped)]]
            case "[", "]", "{", "}", "*", "+", "?", "^", "$": return nil
            default: next = [[.character(character)]]
            }
            // A quantifier after anything but a dot is beyond what is supported.
            if let quantifier = rest.first, "*+?{".contains(quantifier) { return nil }
            guard current.count * next.count + done.count <= alternativesMax else { return nil }
            if next.count == 1 {
                // In place: to copy every alternative for each character takes seconds where there are many.
                for index in current.indices { current[index] += next[0] }
            } else {
                current = current.flatMap { head in next.map { head + $0 } }
            }
        }
        return done + current
    }

    /// Source: the usual two-pointer matching of wildcards, which remembers the last run only: O(text × pattern).
    private static func matches(_ text: [Character], _ tokens: [Token]) -> Bool {
        var (position, token) = (0, 0)
        var lastRun: (token: Int, position: Int)?
        while position < text.count {
            if token < tokens.count, tokens[token] == .run {
                lastRun = (token, position)
                token += 1
            } else if token < tokens.count, tokens[token] == .any || tokens[token] == .character(text[position]) {
                token += 1
                position += 1
            } else if let run = lastRun {
                lastRun = (run.token, run.position + 1)
                (token, position) = (run.token + 1, run.position + 1)
            } else {
                return false
            }
        }
        return tokens[token...].allSatisfy { $0 == .run }
    }
}
