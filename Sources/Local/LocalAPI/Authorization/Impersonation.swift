// `kubectl --as` and `--as-group`: acting as somebody else, for whoever has the verb `impersonate` on it.
// Source: the Kubernetes documentation on user impersonation.

import Foundation
import NIOHTTP1

/// Who a request acts as.
struct Impersonation {
    private static let extraPrefix = "impersonate-extra-"
    private static let accountPrefix = "system:serviceaccount:"

    let policy: AccessPolicy

    /// The user itself, or whom its request asks to be taken for.
    ///
    /// - Throws: `StatusError` 403 when it may not act as that user, or in one of the groups; 400 when groups are
    ///   given without a user.
    func user(_ real: UserIdentity, headers: HTTPHeaders) throws(StatusError) -> UserIdentity {
        let name = headers.first(name: "Impersonate-User") ?? ""
        let groups = headers["Impersonate-Group"]
        let extra = headers.filter { $0.name.lowercased().hasPrefix(Self.extraPrefix) }
        guard !name.isEmpty else {
            if groups.isEmpty, extra.isEmpty { return real }
            throw .badRequest("requested groups or extra without impersonating a user")
        }
        try require(real, subject(name))
        for group in groups { try require(real, .init(resource: "groups", name: group)) }
        var wanted = UserIdentity(name: name, groups: groups.isEmpty ? Self.defaultGroups(name) : groups)
        for (header, value) in extra {
            let key = String(header.dropFirst(Self.extraPrefix.count)).lowercased()
            let decoded = key.removingPercentEncoding ?? key
            try require(
                real, .init(group: "authentication.k8s.io", resource: "userextras", subresource: decoded, name: value))
            wanted.extra[decoded, default: []].append(value)
        }
        return wanted
    }

    private func subject(_ name: String) -> AccessQuestion.Resource {
        let parts = name.dropFirst(Self.accountPrefix.count).split(separator: ":")
        guard name.hasPrefix(Self.accountPrefix), parts.count == 2 else { return .init(resource: "users", name: name) }
        return .init(resource: "serviceaccounts", namespace: String(parts[0]), name: String(parts[1]))
    }

    private func require(_ real: UserIdentity, _ wanted: AccessQuestion.Resource) throws(StatusError) {
        let question = AccessQuestion(user: real, verb: "impersonate", target: .resource(wanted))
        guard policy.decide(question).isAllowed else { throw .forbidden(question) }
    }

    /// The groups that such a user would have had by logging in.
    private static func defaultGroups(_ name: String) -> [String] {
        if name == Authenticator.anonymous.name { return Authenticator.anonymous.groups }
        guard name.hasPrefix(accountPrefix) else { return ["system:authenticated"] }
        let namespace = name.dropFirst(accountPrefix.count).prefix { $0 != ":" }
        return ["system:serviceaccounts", "system:serviceaccounts:\(namespace)", "system:authenticated"]
    }
}
