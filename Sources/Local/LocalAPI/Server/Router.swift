import Logging
import MeshModel
import NIOCore
import NIOHTTP1

/// Turns requests into answers: authentication and authorization, then an aggregated API, discovery,
/// reviews or resources.
struct Router: Sendable {
    let cluster: Cluster
    let authenticator: Authenticator
    let operations: ObjectOperations
    let logger: Logger

    /// Answers any request; never throws, so that a bad one ends only itself.
    func respond(head: HTTPRequestHead, body: ByteBuffer, certificate: ClientCertificate?) async
        -> APIResponse
    {
        do {
            let path = APIRequest.segments(String(head.uri.prefix { $0 != "?" }))
            let question = try await authorize(head, path: path, certificate: certificate)
            return try await dispatch(APIRequest(head: head, body: body, user: question.user), verb: question.verb)
        } catch let error as StatusError {
            return .failure(error)
        } catch {
            logger.error("Request failed", metadata: ["path": "\(head.uri)", "cause": "\(error)"])
            return .failure(.internalError("\(error)"))
        }
    }

    /// Finds out who asks for what, and whether it may.
    ///
    /// - Throws: `StatusError` 401 or 403.
    func authorize(
        _ head: HTTPRequestHead, path: [String], certificate: ClientCertificate?
    ) async throws(StatusError) -> AccessQuestion {
        let real = try await authenticator.identify(headers: head.headers, path: path, certificate: certificate)
        let policy = cluster.policy
        let user = try Impersonation(policy: policy).user(real, headers: head.headers)
        let question = AccessQuestion(user: user, method: head.method, uri: head.uri)
        guard policy.decide(question).isAllowed else { throw .forbidden(question) }
        return question
    }

    private func dispatch(_ request: APIRequest, verb: String) async throws -> APIResponse {
        let path = request.path
        if let api = cluster.apiServices.api(for: path) {
            return try await AggregationProxy(cluster: cluster).respond(request, api: api, verb: verb)
        }
        let discovery = Discovery(kinds: cluster.kinds, aggregated: cluster.apiServices)
        switch path.first {
        case nil: return .json(discovery.rootPaths)
        case "healthz", "livez", "readyz": return .text("ok")
        case "version": return .json(Discovery.version)
        case "openapi": return try OpenAPI(kinds: cluster.kinds).respond(request)
        case "api" where path.count == 1: return .json(discovery.coreVersions)
        case "apis" where path.count == 1: return .json(discovery.groups)
        case "apis" where path.count == 2: return .json(try discovery.group(path[1]))
        case "api" where path.count == 2: return .json(try discovery.resources(apiVersion: path[1]))
        case "apis" where path.count == 3:
            return .json(try discovery.resources(apiVersion: "\(path[1])/\(path[2])"))
        case "api", "apis":
            let reviews = Reviews(router: self)
            if let answer = try await reviews.respond(request) { return answer }
            return try await ResourceRouter(router: self).respond(request)
        default: throw StatusError.unknownPath
        }
    }
}
