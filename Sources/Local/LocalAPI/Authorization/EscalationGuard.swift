// Nobody may give rights away that they do not hold: not by writing a role, not by binding one. The verbs
// `escalate` and `bind` lift this, as in Kubernetes.

import MeshModel

/// Checks what a new or changed role or binding would grant.
struct EscalationGuard {
    private static let group = "rbac.authorization.k8s.io"

    let policy: AccessPolicy
    let user: UserIdentity

    /// - Throws: `StatusError` 403 that names the rules which the user lacks.
    func check(_ object: JSONValue, kind: KindDescription, namespace: String) throws(StatusError) {
        guard kind.group == Self.group, !user.groups.contains(AccessPolicy.masters) else { return }
        let place = kind.isNamespaced ? namespace : ""
        let granted: [AccessRule]
        let exception: AccessQuestion
        if kind.plural.hasSuffix("bindings") {
            let reference = object["roleRef"] ?? [:]
            let roleKind = reference["kind"]?.stringValue ?? ""
            let name = reference["name"]?.stringValue ?? ""
            granted = policy.rules(ofRole: roleKind, namespace: place, name: name)
            exception = question("bind", roleKind == "Role" ? "roles" : "clusterroles", place, name)
        } else {
            granted = (object["rules"]?.arrayValue ?? []).map(AccessRule.init)
            exception = question("escalate", kind.plural, place, object.name)
        }
        let missing = policy.missing(granted, for: user, namespace: place)
        guard !missing.isEmpty, !policy.decide(exception).isAllowed else { return }
        let groups = user.groups.map { "\"\($0)\"" }.joined(separator: " ")
        throw .forbidden(
            kind, object.name,
            "user \"\(user.name)\" (groups=[\(groups)]) is attempting to grant RBAC permissions not currently held:\n"
                + missing.map(\.text).joined(separator: "\n"))
    }

    private func question(_ verb: String, _ resource: String, _ namespace: String, _ name: String) -> AccessQuestion {
        AccessQuestion(
            user: user, verb: verb,
            target: .resource(.init(group: Self.group, resource: resource, namespace: namespace, name: name)))
    }
}
