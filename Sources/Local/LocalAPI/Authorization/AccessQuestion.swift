// What a request wants to do, in the words that rules are written in: a verb and a resource, or a verb and a
// path. Read from the method and the raw path, because an aggregated API may be asked by paths with empty
// segments, which would shift the names behind them.
//
// Source: how Kubernetes' API server reads its own paths (verbs, the `watch` prefix, sub-resources).

import Foundation
import MeshModel
import NIOHTTP1

/// A user, and what it wants to do.
struct AccessQuestion: Sendable, Hashable {
    /// What rules about objects speak of.
    struct Resource: Sendable, Hashable {
        var group = ""
        var version = ""
        var resource: String
        var subresource = ""
        /// Empty for the whole cluster.
        var namespace = ""
        /// Empty for any.
        var name = ""

        /// `pods` or `pods/log`, as rules name it.
        var combined: String { subresource.isEmpty ? resource : "\(resource)/\(subresource)" }
    }

    enum Target: Sendable, Hashable {
        case resource(Resource)
        case path(String)
    }

    var user: UserIdentity
    var verb: String
    var target: Target
}

extension AccessQuestion {
    /// Sub-resources of a namespace, which its name is not followed by a resource for.
    private static let namespaceSubresources: Set<String> = ["status", "finalize"]

    /// What a request asks for.
    ///
    /// - Parameter uri: Path and query as they came.
    init(user: UserIdentity, method: HTTPMethod, uri: String) {
        self.user = user
        let halves = uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = String(halves.first ?? "/")
        let query = halves.count > 1 ? APIRequest.parameters(halves[1]) : []
        var parts = Self.parts(path)[...]
        let isCore = parts.first == "api"
        guard parts.count >= (isCore ? 3 : 4), isCore || parts.first == "apis" else {
            verb = method.rawValue.lowercased()
            target = .path(path.removingPercentEncoding ?? path)
            return
        }
        parts.removeFirst()
        var wanted = Resource(resource: "")
        if !isCore { wanted.group = parts.removeFirst() }
        wanted.version = parts.removeFirst()
        var verb = Self.verb(method)
        if parts.count > 1, parts.first == "watch" {
            verb = "watch"
            parts.removeFirst()
        }
        if parts.first == "namespaces", parts.count > 1 {
            wanted.namespace = parts[parts.startIndex + 1]
            let isOfNamespace = parts.count > 2 && Self.namespaceSubresources.contains(parts[parts.startIndex + 2])
            if parts.count > 2, !isOfNamespace { parts.removeFirst(2) }
        }
        wanted.resource = parts.popFirst() ?? ""
        wanted.name = parts.popFirst() ?? ""
        wanted.subresource = parts.popFirst() ?? ""
        if wanted.name.isEmpty, verb == "get" {
            verb = Self.wantsWatch(query) ? "watch" : "list"
        }
        if wanted.name.isEmpty, verb == "list" || verb == "watch" { wanted.name = Self.selectedName(query) }
        if wanted.name.isEmpty, verb == "delete" { verb = "deletecollection" }
        self.verb = verb
        target = .resource(wanted)
    }

    /// The segments of a path, empty ones inside kept.
    private static func parts(_ path: String) -> [String] {
        var trimmed = path[...]
        while trimmed.first == "/" { trimmed.removeFirst() }
        while trimmed.last == "/" { trimmed.removeLast() }
        if trimmed.isEmpty { return [] }
        return trimmed.split(separator: "/", omittingEmptySubsequences: false).map {
            $0.removingPercentEncoding ?? String($0)
        }
    }

    private static func verb(_ method: HTTPMethod) -> String {
        switch method {
        case .POST: "create"
        case .GET, .HEAD: "get"
        case .PUT: "update"
        case .PATCH: "patch"
        case .DELETE: "delete"
        default: method.rawValue.lowercased()
        }
    }

    private static func wantsWatch(_ query: [(name: String, value: String)]) -> Bool {
        query.first { $0.name == "watch" }.map { ["", "true", "1"].contains($0.value) } ?? false
    }

    /// A list of one object by its name is a question about that object.
    private static func selectedName(_ query: [(name: String, value: String)]) -> String {
        let selector = query.first { $0.name == "fieldSelector" }?.value ?? ""
        for part in selector.split(separator: ",") {
            for prefix in ["metadata.name==", "metadata.name="] where part.hasPrefix(prefix) {
                return String(part.dropFirst(prefix.count))
            }
        }
        return ""
    }
}

extension StatusError {
    /// That a user may not do what it asked for, in Kubernetes' words.
    static func forbidden(_ question: AccessQuestion, reason: String = "") -> StatusError {
        let user = question.user.name
        let suffix = reason.isEmpty ? "" : ": \(reason)"
        switch question.target {
        case .path(let path):
            return StatusError(
                code: 403, reason: "Forbidden",
                message: "forbidden: User \"\(user)\" cannot \(question.verb) path \"\(path)\"\(suffix)",
                details: [:])
        case .resource(let wanted):
            let qualified = wanted.group.isEmpty ? wanted.resource : "\(wanted.resource).\(wanted.group)"
            let subject = wanted.name.isEmpty ? qualified : "\(qualified) \"\(wanted.name)\""
            let place =
                wanted.namespace.isEmpty ? "at the cluster scope" : "in the namespace \"\(wanted.namespace)\""
            var details: [String: String] = ["kind": wanted.resource]
            if !wanted.name.isEmpty { details["name"] = wanted.name }
            if !wanted.group.isEmpty { details["group"] = wanted.group }
            return StatusError(
                code: 403, reason: "Forbidden",
                message: "\(subject) is forbidden: User \"\(user)\" cannot \(question.verb) resource "
                    + "\"\(wanted.combined)\" in API group \"\(wanted.group)\" \(place)\(suffix)",
                details: .object(details.mapValues { .string($0) }))
        }
    }
}
