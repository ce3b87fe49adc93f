// Label selectors in the text form of query parameters: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
// Source: the Kubernetes documentation on labels and selectors.

import MeshModel

/// A parsed label selector: all requirements must hold.
struct LabelSelector: Sendable, Hashable {
    /// One requirement on one key.
    enum Requirement: Sendable, Hashable {
        case isIn(String, Set<String>)
        /// Also holds when the key is absent.
        case notIn(String, Set<String>)
        case exists(String)
        case absent(String)
        case greater(String, Int)
        case less(String, Int)
    }

    let requirements: [Requirement]

    static let everything = LabelSelector(requirements: [])

    /// Parses the text form; an empty text selects everything.
    ///
    /// - Throws: `StatusError` 400 that names the bad requirement.
    init(parsing text: String) throws(StatusError) {
        var requirements: [Requirement] = []
        for part in Self.split(text) {
            let trimmed = Self.trim(part)
            if trimmed.isEmpty { continue }
            guard let requirement = Self.requirement(trimmed) else {
                throw .badRequest("unable to parse requirement: \"\(trimmed)\" is not a valid label selector")
            }
            requirements.append(requirement)
        }
        self.requirements = requirements
    }

    init(requirements: [Requirement]) { self.requirements = requirements }

    /// The selector of an object's `matchLabels` and `matchExpressions`, as workloads hold it.
    init(_ document: JSONValue?) {
        var requirements: [Requirement] = []
        for (key, value) in document?["matchLabels"]?.objectValue ?? [:] {
            requirements.append(.isIn(key, [value.stringValue ?? ""]))
        }
        for expression in document?["matchExpressions"]?.arrayValue ?? [] {
            let key = expression["key"]?.stringValue ?? ""
            let values = Set((expression["values"]?.arrayValue ?? []).compactMap(\.stringValue))
            switch expression["operator"]?.stringValue {
            case "In": requirements.append(.isIn(key, values))
            case "NotIn": requirements.append(.notIn(key, values))
            case "Exists": requirements.append(.exists(key))
            default: requirements.append(.absent(key))
            }
        }
        self.requirements = requirements
    }

    /// Whether labels, an object of strings or nothing, satisfy every requirement.
    func matches(_ labels: JSONValue?) -> Bool {
        requirements.allSatisfy { requirement in
            switch requirement {
            case .isIn(let key, let values): labels?[key]?.stringValue.map(values.contains) ?? false
            case .notIn(let key, let values): !(labels?[key]?.stringValue.map(values.contains) ?? false)
            case .exists(let key): labels?[key] != nil
            case .absent(let key): labels?[key] == nil
            case .greater(let key, let bound):
                (labels?[key]?.stringValue.flatMap { Int($0) }).map { $0 > bound } ?? false
            case .less(let key, let bound):
                (labels?[key]?.stringValue.flatMap { Int($0) }).map { $0 < bound } ?? false
            }
        }
    }

    /// The text form with `=` requirements, as `scale` reports it in `status.selector`.
    var text: String {
        requirements.map { requirement in
            switch requirement {
            case .isIn(let key, let values) where values.count == 1: "\(key)=\(values.first ?? "")"
            case .isIn(let key, let values): "\(key) in (\(values.sorted().joined(separator: ",")))"
            case .notIn(let key, let values): "\(key) notin (\(values.sorted().joined(separator: ",")))"
            case .exists(let key): key
            case .absent(let key): "!\(key)"
            case .greater(let key, let bound): "\(key)>\(bound)"
            case .less(let key, let bound): "\(key)<\(bound)"
            }
        }.sorted().joined(separator: ",")
    }

    /// Splits at commas outside of parentheses.
    private static func split(_ text: String) -> [Substring] {
        var parts: [Substring] = []
        var depth = 0
        var start = text.startIndex
        for index in text.indices {
            switch text[index] {
            case "(": depth += 1
            case ")": depth -= 1
            case "," where depth == 0:
                parts.append(text[start..<index])
                start = text.index(after: index)
            default: break
            }
        }
        parts.append(text[start...])
        return parts
    }

    private static func requirement(_ text: String) -> Requirement? {
        if text.hasPrefix("!") {
            let key = trim(text.dropFirst())
            return isKey(key) ? .absent(key) : nil
        }
        if let open = text.firstIndex(of: "("), text.hasSuffix(")") {
            let words = text[..<open].split(separator: " ")
            guard words.count == 2, isKey(String(words[0])) else { return nil }
            let inner = text[text.index(after: open)...].dropLast()
            let values = Set(inner.split(separator: ",", omittingEmptySubsequences: false).map { trim($0) })
            switch words[1] {
            case "in": return .isIn(String(words[0]), values)
            case "notin": return .notIn(String(words[0]), values)
            default: return nil
            }
        }
        for separator in ["!=", "==", "="] {
            guard let range = text.firstRange(of: separator) else { continue }
            let (key, value) = (trim(text[..<range.lowerBound]), trim(text[range.upperBound...]))
            guard isKey(key), isValue(value) else { return nil }
            return separator == "!=" ? .notIn(key, [value]) : .isIn(key, [value])
        }
        for separator in [">", "<"] {
            guard let range = text.firstRange(of: separator) else { continue }
            let key = trim(text[..<range.lowerBound])
            guard isKey(key), let bound = Int(trim(text[range.upperBound...])) else { return nil }
            return separator == ">" ? .greater(key, bound) : .less(key, bound)
        }
        return isKey(text) ? .exists(text) : nil
    }

    private static func trim(_ text: some StringProtocol) -> String {
        var trimmed = text.drop { $0 == " " }
        while trimmed.last == " " { trimmed = trimmed.dropLast() }
        return String(trimmed)
    }

    private static func isKey(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { isNameByte($0) || $0 == UInt8(ascii: "/") }
    }

    private static func isValue(_ text: String) -> Bool { text.utf8.allSatisfy(isNameByte) }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}
