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
            throw ArgumentMistake("cannot find Kubernetes canonical name from friendly name [\(alias)]")
        }
        return ResourceArgument(kind: kind, name: parts.count == 2 ? String(parts[1]) : "")
    }
}
