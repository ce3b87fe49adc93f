// Requests on typed objects, and the untyped door for everything else.

internal import Logging
public import MeshModel
internal import NIOCore

extension KubernetesClient {
    /// One object.
    public func get<T: KubernetesObject>(_ type: T.Type, namespace: String? = nil, name: String) async throws
        -> T
    {
        try Self.object(
            type,
            try await send("GET", path: T.resource.path(namespace: scope(T.self, namespace), name: name)))
    }

    /// All objects of a kind, in a namespace or (`nil`) in all, a page at a time underneath.
    public func list<T: KubernetesObject>(
        _ type: T.Type, namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil
    ) async throws -> ObjectList<T> {
        do {
            return try await list(
                type, namespace: namespace, labelSelector: labelSelector, fieldSelector: fieldSelector,
                limit: Self.listPageObjectsMax)
        } catch let error as KubernetesError where error.isGone {
            // The snapshot behind the pages expired half-way: take everything in one answer.
            return try await list(
                type, namespace: namespace, labelSelector: labelSelector, fieldSelector: fieldSelector,
                limit: nil)
        }
    }

    private func list<T: KubernetesObject>(
        _ type: T.Type, namespace: String?, labelSelector: String?, fieldSelector: String?, limit: Int?
    ) async throws -> ObjectList<T> {
        var result = ObjectList<T>(items: [], resourceVersion: "")
        var continueToken: String?
        repeat {
            var query: [(String, String)] = []
            if let labelSelector { query.append(("labelSelector", labelSelector)) }
            if let fieldSelector { query.append(("fieldSelector", fieldSelector)) }
            if let limit { query.append(("limit", String(limit))) }
            if let continueToken { query.append(("continue", continueToken)) }
            let path = T.resource.path(namespace: namespace) + URLText.query(query)
            let body = try await send("GET", path: path)
            let page = try ObjectCoding.decode(ListPage<T>.self, from: body.readableBytesView)
            result.items += page.items
            result.skippedCount += page.skippedCount
            result.resourceVersion = page.resourceVersion
            continueToken = page.continueToken
        } while continueToken != nil
        if result.skippedCount > 0 {
            logger.warning(
                "Objects of unexpected shape left out",
                metadata: ["kind": "\(T.resource.kind)", "count": "\(result.skippedCount)"])
        }
        return result
    }

    /// Creates an object in the namespace of its metadata (the configured one when unset).
    public func create<T: KubernetesObject>(_ object: T) async throws -> T {
        let path = T.resource.path(namespace: scope(T.self, object.metadata.namespace))
        return try Self.object(T.self, try await send("POST", path: path, body: ObjectCoding.encode(object)))
    }

    /// Replaces an object; `Conflict` when its `resourceVersion` is no longer the newest.
    public func replace<T: KubernetesObject>(_ object: T) async throws -> T {
        let path = T.resource.path(
            namespace: scope(T.self, object.metadata.namespace), name: object.metadata.name ?? "")
        return try Self.object(T.self, try await send("PUT", path: path, body: ObjectCoding.encode(object)))
    }

    /// Changes part of an object, or of a sub-resource such as `status` or `scale`.
    public func patch<T: KubernetesObject>(
        _ type: T.Type, namespace: String? = nil, name: String, subresource: String? = nil, body: JSONValue,
        type patchType: PatchType = .merge
    ) async throws -> T {
        let path = T.resource.path(namespace: scope(T.self, namespace), name: name, subresource: subresource)
        let answer = try await send(
            "PATCH", path: path, body: body.serialized(), contentType: patchType.rawValue)
        return try Self.object(type, answer)
    }

    /// Deletes an object.
    ///
    /// - Parameters:
    ///   - gracePeriodSeconds: `nil` leaves it to the object, 0 deletes at once.
    ///   - propagationPolicy: `Background`, `Foreground` or `Orphan`.
    public func delete<T: KubernetesObject>(
        _ type: T.Type, namespace: String? = nil, name: String, gracePeriodSeconds: Int? = nil,
        propagationPolicy: String? = nil
    ) async throws {
        var options: JSONValue = ["apiVersion": "v1", "kind": "DeleteOptions"]
        if let gracePeriodSeconds { options["gracePeriodSeconds"] = .int(Int64(gracePeriodSeconds)) }
        if let propagationPolicy { options["propagationPolicy"] = .string(propagationPolicy) }
        let path = T.resource.path(namespace: scope(T.self, namespace), name: name)
        _ = try await send("DELETE", path: path, body: options.serialized())
    }

    /// Any request, without types.
    ///
    /// - Parameter path: Path and query, already encoded.
    /// - Returns: The answer as a tree; `.null` when empty, `.string` when it is not JSON (logs, `/version`
    ///   of proxies).
    public func raw(
        _ method: String, path: String, body: JSONValue? = nil, contentType: String = "application/json"
    ) async throws -> JSONValue {
        let answer = try await send(method, path: path, body: body?.serialized(), contentType: contentType)
        guard answer.readableBytes > 0 else { return .null }
        do { return try JSONValue(parsing: answer.readableBytesView) } catch {
            return .string(String(buffer: answer))
        }
    }

    /// Objects of a namespaced kind live in some namespace: the configured one when none is named.
    private func scope<T: KubernetesObject>(_: T.Type, _ namespace: String?) -> String? {
        guard T.resource.isNamespaced else { return nil }
        return namespace.flatMap { $0.isEmpty ? nil : $0 } ?? config.namespace
    }

    private static func object<T: KubernetesObject>(_ type: T.Type, _ body: ByteBuffer) throws -> T {
        try ObjectCoding.decode(type, from: body.readableBytesView)
    }
}
