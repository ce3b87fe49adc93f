import Foundation
import MeshModel
import NIOHTTP1

/// Questions that are answered and not stored: TokenReview, SubjectAccessReview and their kin.
struct Reviews {
    let router: Router

    /// The answer; `nil` when the path names no review.
    func respond(_ request: APIRequest) async throws -> APIResponse? {
        let path = request.path
        guard path.count >= 4, path[0] == "apis", path[2] == "v1" else { return nil }
        switch (path[1], path.last) {
        case ("authentication.k8s.io", "tokenreviews"):
            return try await answer(request, kind: "TokenReview", tokenReview)
        case ("authentication.k8s.io", "selfsubjectreviews"):
            return try await answer(request, kind: "SelfSubjectReview") { _ in
                ["userInfo": request.user.document]
            }
        case ("authorization.k8s.io", _):
            let reviews = AccessReviews(policy: router.cluster.policy, user: request.user)
            guard let kind = AccessReviews.kinds[path.last ?? ""] else { return nil }
            return try await answer(request, kind: kind) { review in try reviews.status(of: review, path: path) }
        default: return nil
        }
    }

    private func answer(
        _ request: APIRequest, kind: String, _ status: (JSONValue) async throws -> JSONValue
    ) async throws -> APIResponse {
        guard request.method == .POST else {
            throw StatusError.methodNotAllowed(request.method.rawValue, kind.lowercased() + "s")
        }
        var review = try request.document()
        review["kind"] = .string(kind)
        review["apiVersion"] = .string("\(request.path[1])/v1")
        review["status"] = try await status(review)
        if review["metadata"] == nil { review["metadata"] = ["creationTimestamp": .null] }
        return .json(review, status: 201)
    }

    private func tokenReview(_ review: JSONValue) async throws -> JSONValue {
        let token = review.value(at: ["spec", "token"])?.stringValue ?? ""
        let audiences = (review.value(at: ["spec", "audiences"])?.arrayValue ?? []).compactMap(\.stringValue)
        guard let known = await router.authenticator.tokens.authenticate(token, audiences: audiences) else {
            return ["authenticated": false, "user": [:], "error": "invalid bearer token"]
        }
        return [
            "authenticated": true, "user": known.user.document,
            "audiences": .array(known.audiences.map { .string($0) }),
        ]
    }
}
