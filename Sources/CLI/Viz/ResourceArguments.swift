// The grammar of resource arguments: `TYPE`, `TYPE NAME…`, `TYPE/NAME…`, `TYPE/ TYPE/`, `all`.
// Source: `linkerd viz stat` and the messages it answers.

package import MeshModel

/// A resource named on the command line: a kind, and a name or all of them.
package struct ResourceArgument: Hashable, Sendable {
    package let kind: ResourceKind
    /// Empty for every resource of the kind.
    package let name: String

    package init(kind: ResourceKind, name: String) {
        self.kind = kind
        self.name = name
    }
}

/// A command line that cannot be understood; `message` is for the user.
package struct ArgumentMistake: Error, Equatable, CustomStringConvertible {
    package let message: String
    package var description: String { message }

    package init(_ message: String) { self.message = message }
}

package enum ResourceArguments {
    /// Reads the arguments that name resources.
    ///
    /// - Returns: In the order given; never empty.
    /// - Throws: `ArgumentMistake` with Linkerd's words.
    package static func parse(_ arguments: [String]) throws(ArgumentMistake) -> [ResourceArgument] {
        guard let first = arguments.first else { throw ArgumentMistake("no resource arguments provided") }
        if arguments.count > 1, Set(arguments).count < arguments.count {
            throw ArgumentMistake("cannot supply duplicate resources")
        }
        if arguments.count > 1, let kind = ResourceKind(alias: first), kind != .all {
            return arguments.dropFirst().map { ResourceArgument(kind: kind, name: $0) }
        }
        var resources: [ResourceArgument] = []
        for argument in arguments { resources.append(try parse(argument)) }
        if resources.count > 1, resources.contains(where: { $0.kind == .all }) {
            throw ArgumentMistake("'all' can't be supplied alongside other resources")
        }
        return resources
    }

    /// Reads one `TYPE` or `TYPE/NAME`.
    package static func parse(_ argument: String) throws(ArgumentMistake) -> ResourceArgument {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let alias = parts.first else {
            throw ArgumentMistake("Invalid resource string: \(argument)")
        }
        guard let kind = ResourceKind(alias: String(alias)) else {
            throw ArgumentMistake(
                "cannot find Kubernetes canonical name from friendly name [\(alias)]" + suggestion(String(alias)))
        }
        return ResourceArgument(kind: kind, name: parts.count == 2 ? String(parts[1]) : "")
    }

    /// A hint when a word is one or two letters away from a kind; empty when it is like none.
    private static func suggestion(_ word: String) -> String {
        let word = word.lowercased()
        let names = ResourceKind.allCases.filter { $0 != .serviceprofile }.flatMap { [$0.name, $0.plural] + ["deploy"] }
        let near = names.map { ($0, distance(word, $0)) }.min { ($0.1, $0.0) < ($1.1, $1.0) }
        guard let near, near.1 <= 2, word.count > 3 else { return "" }
        return ": did you mean \"\(near.0)\"?"
    }

    /// Letters to insert, remove or replace to get from one word to the other.
    ///
    /// Source: Levenshtein distance by the two-row method (Wagner and Fischer).
    private static func distance(_ from: String, _ to: String) -> Int {
        let (from, to) = (Array(from), Array(to))
        var previous = Array(0...to.count)
        for (row, letter) in from.enumerated() {
            var current = [row + 1]
            for (column, other) in to.enumerated() {
                let replaced = previous[column] + (letter == other ? 0 : 1)
                current.append(min(replaced, previous[column + 1] + 1, current[column] + 1))
            }
            previous = current
        }
        return previous[to.count]
    }
}
