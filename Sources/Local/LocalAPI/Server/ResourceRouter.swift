import Foundation
import MeshModel
import NIOCore
import NIOHTTP1

/// Answers requests about objects: chooses the operation by method, name and sub-resource.
struct ResourceRouter: Sendable {
    let router: Router

    var operations: ObjectOperations { router.operations }
    var cluster: Cluster { router.cluster }

    func respond(_ request: APIRequest) async throws -> APIResponse {
        let target = try RequestTarget(path: request.path, kinds: cluster.kinds)
        if let subresource = target.subresource {
            guard let known = KindDescription.Subresource(rawValue: subresource),
                target.kind.subresources.contains(known)
            else { throw StatusError.unknownPath }
            return try await SubresourceRouter(resources: self).respond(
                request, target: target, subresource: known)
        }
        if let name = target.name { return try await object(request, target, name) }
        return try await collection(request, target)
    }

    private func object(_ request: APIRequest, _ target: RequestTarget, _ name: String) async throws
        -> APIResponse
    {
        let (kind, namespace) = (target.kind, target.namespace ?? "")
        switch request.method {
        case .GET, .HEAD:
            if target.isWatchPath || request.flag("watch") { return try await watch(request, target) }
            let stored = try await operations.get(kind, namespace, name)
            return try presenter(request, kind).one(stored)
        case .PUT:
            let outcome = try await operations.update(
                request.document(), kind: kind, namespace: namespace, name: name, subresource: nil,
                options: request.writeOptions())
            return try presenter(request, kind).written(outcome)
        case .PATCH where request.isApply:
            let outcome = try await operations.apply(
                request.document(), kind: kind, namespace: namespace, name: name, force: request.flag("force"),
                options: request.writeOptions())
            return try presenter(request, kind).written(outcome)
        case .PATCH:
            let outcome = try await operations.patch(
                request.document(), type: request.patchKind(), kind: kind, namespace: namespace, name: name,
                subresource: nil, options: request.writeOptions())
            return try presenter(request, kind).written(outcome)
        case .DELETE:
            let (object, isGone) = try await operations.delete(
                kind, namespace, name, options: request.deleteOptions())
            return isGone ? .json(Self.deletedStatus(object, kind)) : .json(object)
        default: throw StatusError.methodNotAllowed(request.method.rawValue, kind.qualifiedName)
        }
    }

    private func collection(_ request: APIRequest, _ target: RequestTarget) async throws -> APIResponse {
        let kind = target.kind
        switch request.method {
        case .GET, .HEAD:
            if target.isWatchPath || request.flag("watch") { return try await watch(request, target) }
            let (items, version) = try await operations.list(
                kind, namespace: target.namespace, selector: request.selector(kind))
            return try presenter(request, kind).list(items, resourceVersion: version)
        case .POST:
            if kind.isNamespaced, target.namespace == nil {
                throw StatusError.methodNotAllowed("POST", "\(kind.qualifiedName) without a namespace")
            }
            let outcome = try await operations.create(
                request.document(), kind: kind, namespace: target.namespace ?? "",
                options: request.writeOptions())
            return try presenter(request, kind).written(outcome)
        case .DELETE:
            let deleted = try await operations.deleteCollection(
                kind, namespace: target.namespace, selector: request.selector(kind),
                options: request.deleteOptions())
            return .json([
                "kind": .string(kind.listKind), "apiVersion": .string(kind.apiVersion), "metadata": [:],
                "items": .array(deleted),
            ])
        default: throw StatusError.methodNotAllowed(request.method.rawValue, kind.qualifiedName)
        }
    }

    private func watch(_ request: APIRequest, _ target: RequestTarget) async throws -> APIResponse {
        var selector = try request.selector(target.kind)
        if let name = target.name {
            selector.fields = FieldSelector(
                requirements: selector.fields.requirements + [
                    .init(path: ["metadata", "name"], value: name, isEqual: true)
                ])
        }
        let watch = try WatchRequest(
            request, kind: target.kind, namespace: target.namespace, selector: selector)
        return try await Watcher(cluster: cluster, watch: watch).respond()
    }

    func presenter(_ request: APIRequest, _ kind: KindDescription) -> Presenter {
        Presenter(request: request, kind: kind, now: cluster.now())
    }

    /// What a deletion answers once nothing is left of the object.
    static func deletedStatus(_ object: JSONValue, _ kind: KindDescription) -> JSONValue {
        var details: JSONValue = [
            "name": .string(object.name), "kind": .string(kind.plural), "uid": .string(object.uid),
        ]
        if !kind.group.isEmpty { details["group"] = .string(kind.group) }
        return [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "details": details,
        ]
    }
}

extension APIRequest {
    /// - Throws: `StatusError` 400 when a selector is malformed.
    func selector(_ kind: KindDescription) throws(StatusError) -> ObjectSelector {
        ObjectSelector(
            labels: try LabelSelector(parsing: parameter("labelSelector") ?? ""),
            fields: try FieldSelector(parsing: parameter("fieldSelector") ?? "", kind: kind))
    }

    func writeOptions() throws(StatusError) -> WriteOptions {
        var options = WriteOptions()
        options.user = user
        options.manager = manager
        if let text = parameter("fieldValidation"), !text.isEmpty {
            guard let validation = FieldValidation(rawValue: text) else {
                throw .badRequest("fieldValidation must be Ignore, Warn or Strict")
            }
            options.validation = validation
        }
        options.isDryRun = try isDryRun(parameter("dryRun"))
        return options
    }

    /// Whether this is a server-side apply.
    var isApply: Bool { contentType == "application/apply-patch+yaml" }

    /// Who changes fields: as named, else the program's name as it introduces itself. Empty for an apply without one.
    private var manager: String {
        if let name = parameter("fieldManager"), !name.isEmpty { return name }
        if isApply { return "" }
        return String((headers.first(name: "User-Agent") ?? "unknown").prefix { $0 != "/" && $0 != " " })
    }

    private func isDryRun(_ text: String?) throws(StatusError) -> Bool {
        guard let text, !text.isEmpty else { return false }
        guard text == "All" else { throw .badRequest("dryRun must be All") }
        return true
    }

    func patchKind() throws(StatusError) -> PatchKind {
        switch contentType {
        case "application/merge-patch+json": return .merge
        case "application/json-patch+json": return .json
        case "application/strategic-merge-patch+json": return .strategic
        case "application/apply-patch+yaml", "application/apply-patch+cbor":
            throw .unsupportedMediaType("server-side apply is supported on objects, not on their sub-resources")
        default:
            throw .unsupportedMediaType(
                "the body of the request was in an unknown format - accepted media types include: "
                    + "application/json-patch+json, application/merge-patch+json, "
                    + "application/strategic-merge-patch+json")
        }
    }

    /// Options from the body and, where the body is silent, from the query.
    func deleteOptions() throws(StatusError) -> DeleteOptions {
        let document = body.readableBytes > 0 ? try document() : [:]
        var options = DeleteOptions()
        options.user = user
        options.gracePeriodSeconds =
            document["gracePeriodSeconds"]?.intValue ?? parameter("gracePeriodSeconds").flatMap { Int($0) }
        let policy = document["propagationPolicy"]?.stringValue ?? parameter("propagationPolicy") ?? ""
        if !policy.isEmpty {
            guard let propagation = DeleteOptions.Propagation(rawValue: policy) else {
                throw .badRequest("propagationPolicy must be Background, Foreground or Orphan")
            }
            options.propagation = propagation
        } else if document["orphanDependents"] == true || parameter("orphanDependents") == "true" {
            options.propagation = .orphan
        }
        options.uid = document.value(at: ["preconditions", "uid"])?.stringValue
        options.resourceVersion = document.value(at: ["preconditions", "resourceVersion"])?.stringValue
        let isDry = document["dryRun"]?.arrayValue?.contains("All") ?? false
        let asksDry = try isDryRun(parameter("dryRun"))
        options.isDryRun = isDry || asksDry
        return options
    }
}
