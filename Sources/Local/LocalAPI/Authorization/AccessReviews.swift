import MeshModel

/// The reviews of authorization.k8s.io: may this user do that?
struct AccessReviews {
    /// Kinds by the resource they are posted to.
    static let kinds = [
        "selfsubjectaccessreviews": "SelfSubjectAccessReview", "subjectaccessreviews": "SubjectAccessReview",
        "localsubjectaccessreviews": "LocalSubjectAccessReview", "selfsubjectrulesreviews": "SelfSubjectRulesReview",
    ]

    let policy: AccessPolicy
    /// Who asks.
    let user: UserIdentity

    /// The status of a review.
    ///
    /// - Parameter path: Where it was posted: a local review's namespace stands in it.
    /// - Throws: `StatusError` 422 when it asks for nothing, for two things at once, or for nobody; 400 when a local
    ///   review asks about another namespace.
    func status(of review: JSONValue, path: [String]) throws(StatusError) -> JSONValue {
        let spec = review["spec"] ?? [:]
        switch review["kind"]?.stringValue {
        case "SelfSubjectRulesReview": return rules(spec)
        case "SelfSubjectAccessReview": return try verdict(review, spec, user)
        default:
            if path.contains("localsubjectaccessreviews") { try requireNamespace(spec, path: path) }
            return try verdict(review, spec, subject(review, spec))
        }
    }

    private func rules(_ spec: JSONValue) -> JSONValue {
        let rules = policy.rules(for: user, namespace: spec["namespace"]?.stringValue ?? "")
        return [
            "resourceRules": .array(rules.filter { !$0.resources.isEmpty }.map(\.document)),
            "nonResourceRules": .array(rules.filter { !$0.paths.isEmpty }.map(\.document)), "incomplete": false,
        ]
    }

    private func verdict(_ review: JSONValue, _ spec: JSONValue, _ user: UserIdentity) throws(StatusError) -> JSONValue {
        let resource = spec["resourceAttributes"].flatMap { $0.isNull ? nil : $0 }
        let path = spec["nonResourceAttributes"].flatMap { $0.isNull ? nil : $0 }
        let question: AccessQuestion
        switch (resource, path) {
        case (let wanted?, nil):
            func text(_ field: String) -> String { wanted[field]?.stringValue ?? "" }
            question = AccessQuestion(
                user: user, verb: text("verb"),
                target: .resource(
                    .init(
                        group: text("group"), version: text("version"), resource: text("resource"),
                        subresource: text("subresource"), namespace: text("namespace"), name: text("name"))))
        case (nil, let wanted?):
            question = AccessQuestion(
                user: user, verb: wanted["verb"]?.stringValue ?? "", target: .path(wanted["path"]?.stringValue ?? ""))
        default:
            throw invalid(review, "spec.resourceAttributes", "exactly one of nonResourceAttributes or resourceAttributes must be specified")
        }
        let verdict = policy.decide(question)
        var status: JSONValue = ["allowed": .bool(verdict.isAllowed)]
        if !verdict.reason.isEmpty { status["reason"] = .string(verdict.reason) }
        return status
    }

    private func subject(_ review: JSONValue, _ spec: JSONValue) throws(StatusError) -> UserIdentity {
        let name = spec["user"]?.stringValue ?? ""
        let groups = (spec["groups"]?.arrayValue ?? []).compactMap(\.stringValue)
        guard !name.isEmpty || !groups.isEmpty else {
            throw invalid(review, "spec.user", "at least one of user or group must be specified")
        }
        return UserIdentity(name: name, groups: groups)
    }

    private func requireNamespace(_ spec: JSONValue, path: [String]) throws(StatusError) {
        let asked = spec.value(at: ["resourceAttributes", "namespace"])?.stringValue ?? ""
        guard path.count == 6, path[4] == asked else {
            throw .badRequest("spec.resourceAttributes.namespace must match namespace: \(path.count == 6 ? path[4] : "")")
        }
    }

    private func invalid(_ review: JSONValue, _ field: String, _ why: String) -> StatusError {
        let kind = review["kind"]?.stringValue ?? ""
        return StatusError(
            code: 422, reason: "Invalid",
            message: "\(kind).authorization.k8s.io \"\" is invalid: \(field): Invalid value: \(why)")
    }
}
