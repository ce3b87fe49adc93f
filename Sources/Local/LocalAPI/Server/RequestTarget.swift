/// What the path of a resource request names.
struct RequestTarget: Sendable, Equatable {
    let kind: KindDescription
    /// `nil` means all namespaces, or a kind without any.
    let namespace: String?
    let name: String?
    let subresource: String?
    /// What follows the sub-resource: the path of a proxied request.
    let rest: [String]
    /// The old form of watching, `/api/v1/watch/…`.
    let isWatchPath: Bool

    /// Reads `/api/v1/…` and `/apis/<group>/<version>/…`.
    ///
    /// - Throws: `StatusError` 404 when the path names no resource that is served.
    init(path: [String], kinds: KindCatalogue) throws(StatusError) {
        let isCore = path.first == "api"
        let prefix = isCore ? 2 : 3
        guard path.count > prefix else { throw .unknownPath }
        let apiVersion = isCore ? path[1] : "\(path[1])/\(path[2])"
        var rest = path[prefix...]
        isWatchPath = rest.first == "watch"
        if isWatchPath { rest = rest.dropFirst() }
        var namespace: String?
        if rest.first == "namespaces", rest.count >= 3, !Self.isNamespaceSubresource(rest, isCore: isCore) {
            namespace = rest[rest.startIndex + 1]
            rest = rest.dropFirst(2)
        }
        guard let plural = rest.popFirst(), let kind = kinds.kind(apiVersion: apiVersion, plural: plural)
        else {
            throw .unknownPath
        }
        if !kind.isNamespaced, namespace != nil { throw .unknownPath }
        self.kind = kind
        self.namespace = namespace
        name = rest.popFirst()
        subresource = rest.popFirst()
        self.rest = Array(rest)
        if kind.isNamespaced, namespace == nil, name != nil { throw .unknownPath }
    }

    private static func isNamespaceSubresource(_ rest: ArraySlice<String>, isCore: Bool) -> Bool {
        isCore && rest.count == 3 && ["status", "finalize"].contains(rest[rest.startIndex + 2])
    }
}
