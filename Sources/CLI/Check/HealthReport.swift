import MeshModel

/// The verdicts of a run, and how they are shown. Pure.
package struct HealthReport: Sendable {
    /// What came of one check.
    package enum Result: String, Sendable {
        case success, warning, error
    }

    /// How verdicts are written.
    package enum Format: String, Sendable, CaseIterable {
        case table, json, short
        /// The name that Linkerd 2.11 gave to `table`.
        case basic
    }

    /// One verdict.
    package struct Line: Sendable {
        package let description: String
        package let result: Result
        /// `nil` when all is well.
        package let error: String?
        /// Where to read on; `nil` when all is well.
        package let hint: String?

        init(_ check: HealthCheck, _ description: String, problem: String?) {
            self.description = description
            error = problem
            result = problem == nil ? .success : check.severity == .warning ? .warning : .error
            hint = problem == nil ? nil : HealthReport.hints + check.anchor
        }

        /// The verdict as lines of text.
        ///
        /// - Parameter isColored: green, yellow or red marks for a terminal.
        package func text(isColored: Bool) -> String {
            var text = "\(result.mark(isColored: isColored)) \(description)\n"
            if let error {
                text += error.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)\n" }.joined()
            }
            if let hint { text += "    see \(hint) for hints\n" }
            return text
        }

        fileprivate var json: String {
            let members: [(String, String?)] = [
                ("description", description), ("hint", hint), ("error", error), ("result", result.rawValue),
            ]
            let lines = members.compactMap { name, value in
                value.map { "          \"\(name)\": \(JSONValue.string($0).jsonText)" }
            }
            return "        {\n" + lines.joined(separator: ",\n") + "\n        }"
        }
    }

    /// Where Linkerd explains its checks; an anchor follows.
    fileprivate static let hints = "https://linkerd.io/2/checks/#"

    private var categories: [(name: String, lines: [Line])] = []

    package init() {}

    /// Whether nothing but warnings was found.
    package var isSuccess: Bool { categories.allSatisfy { $0.lines.allSatisfy { $0.result != .error } } }

    package mutating func add(_ line: Line, to category: String) {
        if categories.last?.name != category { categories.append((category, [])) }
        categories[categories.count - 1].lines.append(line)
    }

    /// The first lines of a category.
    package static func heading(_ category: String) -> String {
        "\(category)\n\(String(repeating: "-", count: category.count))\n"
    }

    /// The last line of a report for people.
    package func conclusion(isColored: Bool) -> String {
        "Status check results are \((isSuccess ? Result.success : .error).mark(isColored: isColored))\n"
    }

    /// What failed, under its headings, and the conclusion.
    package func short(isColored: Bool) -> String {
        let failed = categories.map { ($0.name, $0.lines.filter { $0.result != .success }) }.filter { !$0.1.isEmpty }
        return failed.map { name, lines in
            Self.heading(name) + lines.map { $0.text(isColored: isColored) }.joined() + "\n"
        }.joined() + conclusion(isColored: isColored)
    }

    /// The whole report for programs.
    package func json() -> String {
        let groups = categories.map { category in
            """
                {
                  "categoryName": \(JSONValue.string(category.name).jsonText),
                  "checks": [
            \(category.lines.map(\.json).joined(separator: ",\n"))
                  ]
                }
            """
        }
        let list = groups.isEmpty ? "[]" : "[\n\(groups.joined(separator: ",\n"))\n  ]"
        return "{\n  \"success\": \(isSuccess),\n  \"categories\": \(list)\n}\n"
    }
}

extension HealthReport.Result {
    /// A tick, a warning or a cross.
    func mark(isColored: Bool) -> String {
        let (mark, color) =
            switch self {
            case .success: ("√", 32)
            case .warning: ("‼", 33)
            case .error: ("×", 31)
            }
        return isColored ? "\u{1B}[\(color)m\(mark)\u{1B}[0m" : mark
    }
}
