// Asks the API server whose token a caller holds.

package import MeshKubernetes
internal import MeshModel

/// Reviews service-account tokens.
package struct TokenReviewer: Sendable {
    /// The audience of the token that the injector projects for the proxy.
    static let audience = "identity.l5d.io"
    /// Tokens of Kubernetes have about 1,200 bytes.
    static let tokenBytesMax = 65_536

    private let client: KubernetesClient

    package init(client: KubernetesClient) { self.client = client }

    /// The account that a token speaks for.
    ///
    /// A pod injected by Linkerd 2.11 or before may present the token that Kubernetes itself mounts, which is
    /// meant for the API server: when the review rejects it for its audience, it is asked once more without.
    ///
    /// - Throws: `.reviewFailed` without an answer, `.invalidToken` and `.notAuthenticated` after one.
    package func account(of token: String) async throws(IdentityError) -> ServiceAccountName {
        var status = try await review(token, audiences: [Self.audience])
        if status["error"]?.stringValue?.contains("token audiences") == true {
            status = try await review(token, audiences: [])
        }
        return try Self.account(from: status)
    }

    /// Reads the `status` of a TokenReview.
    static func account(from status: JSONValue) throws(IdentityError) -> ServiceAccountName {
        if let error = status["error"]?.stringValue, !error.isEmpty {
            throw IdentityError(.invalidToken, "the token is not valid: \(error)")
        }
        guard status["authenticated"]?.boolValue == true else {
            throw IdentityError(.notAuthenticated, "the token is not authenticated")
        }
        return try ServiceAccountName(username: status.value(at: ["user", "username"])?.stringValue ?? "")
    }

    private func review(_ token: String, audiences: [String]) async throws(IdentityError) -> JSONValue {
        var spec: JSONValue = ["token": .string(token)]
        if !audiences.isEmpty { spec["audiences"] = .array(audiences.map { .string($0) }) }
        let answer = try await post(
            "/apis/authentication.k8s.io/v1/tokenreviews",
            ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec])
        guard let status = answer["status"] else {
            throw IdentityError(.reviewFailed, "the token review has no status")
        }
        return status
    }

    /// Asks whether this controller may review tokens at all.
    ///
    /// - Throws: `.configuration` when it may not, `.reviewFailed` without an answer.
    package func checkAccess() async throws(IdentityError) {
        let answer = try await post(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            [
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": [
                    "resourceAttributes": [
                        "group": "authentication.k8s.io", "resource": "tokenreviews", "verb": "create",
                    ]
                ],
            ])
        guard answer.value(at: ["status", "allowed"])?.boolValue == true else {
            throw IdentityError(.configuration, "this service account may not create token reviews")
        }
    }

    private func post(_ path: String, _ body: JSONValue) async throws(IdentityError) -> JSONValue {
        do { return try await client.raw("POST", path: path, body: body) } catch {
            // The error holds the server's words or the transport's, never what was sent.
            throw IdentityError(.reviewFailed, "the API server did not answer the review: \(error)")
        }
    }
}
