import MeshModel
import NIOHTTP1

/// `scale`: the replicas of a workload as an `autoscaling/v1` object.
struct ScaleSubresource {
    let resources: ResourceRouter

    func respond(_ call: SubresourceCall) async throws -> APIResponse {
        let kind = call.target.kind
        let operations = resources.operations
        switch call.request.method {
        case .GET:
            let object = try await operations.get(kind, call.namespace, call.name).object()
            return .json(Self.scale(object))
        case .PUT:
            let wanted = try call.request.document()
            let outcome = try await operations.change(
                kind, call.namespace, call.name, nil, call.request.writeOptions(), warnings: []
            ) { current in (try Self.scaled(current, to: wanted, kind: kind), []) }
            return .json(Self.scale(outcome.object))
        case .PATCH:
            let patch = try call.request.document()
            let type = try call.request.patchKind()
            let outcome = try await operations.change(
                kind, call.namespace, call.name, nil, call.request.writeOptions(), warnings: []
            ) { current in
                let present = Self.scale(current)
                let wanted =
                    type == .json ? try present.applyingJSONPatch(patch) : present.applyingMergePatch(patch)
                return (try Self.scaled(current, to: wanted, kind: kind), [])
            }
            return .json(Self.scale(outcome.object))
        default:
            throw StatusError.methodNotAllowed(call.request.method.rawValue, "\(kind.qualifiedName)/scale")
        }
    }

    private static func scaled(
        _ object: JSONValue, to scale: JSONValue, kind: KindDescription
    ) throws(StatusError) -> JSONValue {
        let version = scale.resourceVersion
        if !version.isEmpty, version != object.resourceVersion { throw .conflict(kind, object.name) }
        let replicas = scale.value(at: ["spec", "replicas"])?.intValue ?? 0
        guard replicas >= 0 else {
            throw .invalid(
                kind, object.name,
                [.invalid("spec.replicas", "\(replicas)", "must be greater than or equal to 0")])
        }
        var object = object
        object.set(.int(Int64(replicas)), at: ["spec", "replicas"])
        return object
    }

    private static func scale(_ object: JSONValue) -> JSONValue {
        var metadata: JSONValue = [:]
        for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            metadata[field] = object.value(at: ["metadata", field])
        }
        return [
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
            "spec": ["replicas": object.value(at: ["spec", "replicas"]) ?? 0],
            "status": [
                "replicas": object.value(at: ["status", "replicas"]) ?? 0,
                "selector": .string(LabelSelector(object.value(at: ["spec", "selector"])).text),
            ],
        ]
    }
}
