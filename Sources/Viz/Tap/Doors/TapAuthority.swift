// Who is asking, and whether they may: both answered by the Kubernetes API (TokenReview, SubjectAccessReview), so
// that tap has no rules of its own. Source: `spec/viz.md` 3.2.

package import MeshKubernetes
import MeshModel

/// A Kubernetes user.
package struct TapUser: Sendable, Equatable {
    package var name: String
    package var uid: String
    package var groups: [String]
    package var extra: [String: [String]]

    package init(name: String, uid: String = "", groups: [String] = [], extra: [String: [String]] = [:]) {
        self.name = name
        self.uid = uid
        self.groups = groups
        self.extra = extra
    }
}

/// What somebody wants to tap, as access rules see it.
package struct TapAccessRequest: Sendable, Equatable {
    /// Plural, such as `deployments`; `namespaces` for a whole namespace.
    package let resource: String
    package let namespace: String
    /// Empty for all of the kind.
    package let name: String

    package init(resource: String, namespace: String, name: String) {
        self.resource = resource
        self.namespace = namespace
        self.name = name
    }

    /// What a question asks for.
    package init(_ question: TapQuestion) {
        resource = question.kind.plural
        namespace = question.namespace
        name = question.name
    }
}

/// Knows users and what they may do.
package protocol TapAuthority: Sendable {
    /// The user of a bearer token.
    /// - Throws: `unauthenticated`, or `unavailable` when nobody can tell.
    func user(bearerToken: String) async throws(TapRefusal) -> TapUser

    /// Returns when the user may tap this.
    /// - Throws: `forbidden` with a reason, or `unavailable` when nobody can tell.
    func authorize(_ user: TapUser, _ request: TapAccessRequest) async throws(TapRefusal)
}

/// Asks the Kubernetes API.
package struct KubernetesAuthority: TapAuthority {
    private let client: KubernetesClient

    package init(client: KubernetesClient) { self.client = client }

    package func user(bearerToken: String) async throws(TapRefusal) -> TapUser {
        let review: JSONValue = [
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": ["token": .string(bearerToken)],
        ]
        let status = try await post("/apis/authentication.k8s.io/v1/tokenreviews", review)["status"] ?? .null
        guard status["authenticated"]?.boolValue == true, let user = status["user"],
            let name = user["username"]?.stringValue, !name.isEmpty
        else { throw TapRefusal(.unauthenticated, "the bearer token is not valid") }
        return TapUser(
            name: name, uid: user["uid"]?.stringValue ?? "", groups: Self.texts(user["groups"]),
            extra: (user["extra"]?.objectValue ?? [:]).reduce(into: [:]) { $0[$1.key] = Self.texts($1.value) })
    }

    package func authorize(_ user: TapUser, _ request: TapAccessRequest) async throws(TapRefusal) {
        var spec: JSONValue = [
            "user": .string(user.name), "groups": .array(user.groups.map(JSONValue.string)),
            "resourceAttributes": [
                "verb": "watch", "group": "tap.linkerd.io", "version": "v1alpha1", "resource": .string(request.resource),
                "subresource": "tap", "namespace": .string(request.namespace), "name": .string(request.name),
            ],
        ]
        if !user.uid.isEmpty { spec["uid"] = .string(user.uid) }
        if !user.extra.isEmpty {
            var extra: JSONValue = [:]
            for (key, values) in user.extra { extra[key] = .array(values.map(JSONValue.string)) }
            spec["extra"] = extra
        }
        let review: JSONValue = [
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec,
        ]
        let status = try await post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"] ?? .null
        guard status["allowed"]?.boolValue == true else {
            let reason = status["reason"]?.stringValue ?? ""
            let why = "not authorized to access \(request.resource).tap.linkerd.io"
            throw TapRefusal(
                .forbidden,
                "tap authorization failed (\(why)\(reason.isEmpty ? "" : ": \(reason)")), visit "
                    + "https://linkerd.io/tap-rbac for more information")
        }
    }

    private func post(_ path: String, _ body: JSONValue) async throws(TapRefusal) -> JSONValue {
        do {
            return try await client.raw("POST", path: path, body: body)
        } catch {
            throw TapRefusal(.unavailable, "the Kubernetes API did not answer an access review: \(error)")
        }
    }

    private static func texts(_ value: JSONValue?) -> [String] {
        (value?.arrayValue ?? []).compactMap(\.stringValue)
    }
}
