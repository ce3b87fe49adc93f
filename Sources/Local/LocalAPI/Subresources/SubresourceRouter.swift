import Foundation
import MeshModel
import NIOCore
import NIOHTTP1

/// Answers requests about sub-resources.
struct SubresourceRouter {
    let resources: ResourceRouter

    var operations: ObjectOperations { resources.operations }
    var cluster: Cluster { resources.cluster }

    func respond(
        _ request: APIRequest, target: RequestTarget, subresource: KindDescription.Subresource
    ) async throws -> APIResponse {
        guard let name = target.name else { throw StatusError.unknownPath }
        let call = SubresourceCall(
            request: request, target: target, namespace: target.namespace ?? "", name: name)
        switch subresource {
        case .status: return try await change(call, .status)
        case .finalize: return try await change(call, .finalize)
        case .scale: return try await ScaleSubresource(resources: resources).respond(call)
        case .token: return try await token(call)
        case .eviction: return try await evict(call)
        case .binding: return try await bind(call)
        case .log: return try await PodLogs(cluster: cluster, operations: operations).respond(call)
        case .proxy: return try await HTTPProxying(cluster: cluster, operations: operations).respond(call)
        case .portforward: return try await refusePortForward(call)
        case .exec, .attach, .ephemeralcontainers, .approval:
            _ = try await operations.get(target.kind, call.namespace, name)
            throw StatusError.notImplemented("\(target.kind.plural)/\(subresource.rawValue)")
        }
    }

    /// Reads, replaces or patches an object through one of its sub-resources.
    private func change(
        _ call: SubresourceCall, _ subresource: KindDescription.Subresource
    ) async throws -> APIResponse {
        let (request, kind) = (call.request, call.target.kind)
        switch request.method {
        case .GET:
            let stored = try await operations.get(kind, call.namespace, call.name)
            return try resources.presenter(request, kind).one(stored)
        case .PUT:
            let outcome = try await operations.update(
                request.document(), kind: kind, namespace: call.namespace, name: call.name,
                subresource: subresource,
                options: request.writeOptions())
            return try resources.presenter(request, kind).written(outcome)
        case .PATCH:
            let outcome = try await operations.patch(
                request.document(), type: request.patchKind(), kind: kind, namespace: call.namespace,
                name: call.name,
                subresource: subresource, options: request.writeOptions())
            return try resources.presenter(request, kind).written(outcome)
        default:
            throw StatusError.methodNotAllowed(
                request.method.rawValue, "\(kind.qualifiedName)/\(subresource.rawValue)")
        }
    }

    /// TokenRequest.
    private func token(_ call: SubresourceCall) async throws -> APIResponse {
        guard call.request.method == .POST else {
            throw StatusError.methodNotAllowed(call.request.method.rawValue, "serviceaccounts/token")
        }
        let kind = call.target.kind
        let account = try await operations.get(kind, call.namespace, call.name).object()
        var review = try call.request.document()
        let audiences = (review.value(at: ["spec", "audiences"])?.arrayValue ?? []).compactMap(\.stringValue)
        let seconds = review.value(at: ["spec", "expirationSeconds"])?.intValue ?? 3_600
        guard seconds >= TokenLimits.secondsMin, seconds <= TokenLimits.secondsMax else {
            let why =
                "may not specify a duration outside of \(TokenLimits.secondsMin)...\(TokenLimits.secondsMax) seconds"
            throw StatusError.invalid(
                kind, call.name, [.invalid("spec.expirationSeconds", "\(seconds)", why)])
        }
        let pod = try await boundPod(review, call)
        let issuer = resources.router.authenticator.tokens
        let (token, expires) = try await issuer.sign(
            namespace: call.namespace, account: .init(name: call.name, uid: account.uid), pod: pod,
            audiences: audiences, seconds: seconds)
        review["kind"] = "TokenRequest"
        review["apiVersion"] = "authentication.k8s.io/v1"
        review.set(.int(Int64(seconds)), at: ["spec", "expirationSeconds"])
        if audiences.isEmpty { review.set([.string(issuer.issuer)], at: ["spec", "audiences"]) }
        review["metadata"] = [
            "name": .string(call.name), "namespace": .string(call.namespace),
            "creationTimestamp": .string(Timestamp.text(cluster.now())),
        ]
        review["status"] = ["token": .string(token), "expirationTimestamp": .string(Timestamp.text(expires))]
        return .json(review, status: 201)
    }

    private func boundPod(
        _ review: JSONValue, _ call: SubresourceCall
    ) async throws -> ServiceAccountClaims.Reference? {
        guard let reference = review.value(at: ["spec", "boundObjectRef"]), reference["kind"] == "Pod",
            let name = reference["name"]?.stringValue,
            let pods = cluster.kinds.kind(qualifiedName: Resource.pods)
        else { return nil }
        let pod = try await operations.get(pods, call.namespace, name).object()
        if let uid = reference["uid"]?.stringValue, !uid.isEmpty, uid != pod.uid {
            throw StatusError.conflict(pods, name, "the UID in the bound object reference does not match")
        }
        return .init(name: name, uid: pod.uid)
    }

    private func evict(_ call: SubresourceCall) async throws -> APIResponse {
        guard call.request.method == .POST else {
            throw StatusError.methodNotAllowed(call.request.method.rawValue, "pods/eviction")
        }
        let document = try call.request.document()
        var options = DeleteOptions()
        options.user = call.request.user
        options.gracePeriodSeconds = document.value(at: ["deleteOptions", "gracePeriodSeconds"])?.intValue
        options.isDryRun = try call.request.writeOptions().isDryRun
        _ = try await operations.delete(call.target.kind, call.namespace, call.name, options: options)
        return .json(
            ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "code": 201],
            status: 201)
    }

    /// Pods are bound when they are created; binding again to the same node is fine, to another is not.
    private func bind(_ call: SubresourceCall) async throws -> APIResponse {
        guard call.request.method == .POST else {
            throw StatusError.methodNotAllowed(call.request.method.rawValue, "pods/binding")
        }
        let wanted = try call.request.document().value(at: ["target", "name"])?.stringValue ?? ""
        let pod = try await operations.get(call.target.kind, call.namespace, call.name).object()
        let node = pod.value(at: ["spec", "nodeName"])?.stringValue ?? ""
        guard node == wanted else {
            throw StatusError.conflict(
                call.target.kind, call.name, "pod \(call.name) is already assigned to node \"\(node)\"")
        }
        return .json(
            ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "code": 201],
            status: 201)
    }

    /// A port-forward that reaches this point has not asked for an upgrade that is known.
    private func refusePortForward(_ call: SubresourceCall) async throws -> APIResponse {
        _ = try await operations.get(call.target.kind, call.namespace, call.name)
        throw StatusError.badRequest("Upgrade request required")
    }
}

/// One request to a sub-resource.
struct SubresourceCall: Sendable {
    let request: APIRequest
    let target: RequestTarget
    let namespace: String
    let name: String
}

/// Life of tokens that may be asked for, in seconds.
enum TokenLimits {
    static let secondsMin = 600
    static let secondsMax = 1 << 32
}
