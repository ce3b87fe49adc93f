// Which requests belong to a route. Source: `spec/proxy.md` 3.3, appendix A (RequestMatch).

/// A condition on a request, as discovery sends it.
package indirect enum RequestCondition: Sendable, Equatable {
    /// Every one holds; true for none.
    case all([RequestCondition])
    /// One holds; false for none.
    case any([RequestCondition])
    case not(RequestCondition)
    /// A pattern that the path without its query must match.
    case path(String)
    /// Exactly this method.
    case method(String)
}

/// A condition made ready for many requests. Loop-bound.
package struct CompiledCondition {
    private indirect enum Node {
        case all([Node])
        case any([Node])
        case not(Node)
        case path(PathPattern)
        case method([UInt8])
    }

    private let node: Node

    /// - Throws: when one of its patterns cannot be used.
    package init(_ condition: RequestCondition) throws(PatternMistake) {
        node = try Self.compile(condition)
    }

    private static func compile(_ condition: RequestCondition) throws(PatternMistake) -> Node {
        func each(_ conditions: [RequestCondition]) throws(PatternMistake) -> [Node] {
            var nodes: [Node] = []
            for condition in conditions { nodes.append(try compile(condition)) }
            return nodes
        }
        switch condition {
        case .all(let conditions): return .all(try each(conditions))
        case .any(let conditions): return .any(try each(conditions))
        case .not(let condition): return .not(try compile(condition))
        case .path(let pattern): return .path(try PathPattern(pattern))
        case .method(let name): return .method(Array(name.utf8))
        }
    }

    /// Whether a request belongs here; `path` without query.
    package func matches(method: Span<UInt8>, path: Span<UInt8>) -> Bool {
        Self.matches(node, method, path)
    }

    private static func matches(_ node: Node, _ method: Span<UInt8>, _ path: Span<UInt8>) -> Bool {
        switch node {
        case .all(let nodes):
            for node in nodes where !matches(node, method, path) { return false }
            return true
        case .any(let nodes):
            for node in nodes where matches(node, method, path) { return true }
            return false
        case .not(let node): return !matches(node, method, path)
        case .path(let pattern): return pattern.matches(path)
        case .method(let name):
            guard name.count == method.count else { return false }
            for offset in 0..<name.count where name[offset] != method[offset] { return false }
            return true
        }
    }
}

/// Where the path lies in a request's target.
package enum RequestTarget {
    /// The range of the path, without the query: of `/a?b`, of `http://host/a`, or of `*`. An absolute target
    /// without a path has an empty range, which stands for `/`.
    package static func path(of target: Span<UInt8>) -> Range<Int> {
        var start = 0
        if target.count > 0, target[0] != UInt8(ascii: "/"), target[0] != UInt8(ascii: "*") {
            var offset = 0
            while offset + 2 < target.count, target[offset] != UInt8(ascii: ":") { offset += 1 }
            if offset + 2 < target.count, target[offset + 1] == UInt8(ascii: "/"), target[offset + 2] == UInt8(ascii: "/") {
                start = offset + 3
                while start < target.count, target[start] != UInt8(ascii: "/"), target[start] != UInt8(ascii: "?") {
                    start += 1
                }
            }
        }
        var end = start
        while end < target.count, target[end] != UInt8(ascii: "?") { end += 1 }
        return start..<end
    }
}
