// Role-based access control over the stored Roles, ClusterRoles and their bindings. Rules only ever allow;
// what no rule allows is refused. Members of `system:masters` pass everything, as in Kubernetes, so that a
// mistake in the bindings never locks out the administrator.
//
// Source: the Kubernetes documentation on RBAC: wildcards, `*/scale`, resourceNames, prefixes of paths.

import MeshModel

/// One rule of a role.
struct AccessRule: Sendable, Hashable {
    let verbs: [String]
    let groups: [String]
    let resources: [String]
    let names: [String]
    let paths: [String]

    init(_ document: JSONValue) {
        func texts(_ field: String) -> [String] {
            (document[field]?.arrayValue ?? []).compactMap(\.stringValue)
        }
        verbs = texts("verbs")
        groups = texts("apiGroups")
        resources = texts("resources")
        names = texts("resourceNames")
        paths = texts("nonResourceURLs")
    }

    /// Whether this rule allows a verb on a resource.
    func allows(_ verb: String, _ wanted: AccessQuestion.Resource) -> Bool {
        Self.has(verbs, verb) && Self.has(groups, wanted.group) && covers(wanted)
            && (names.isEmpty || names.contains(wanted.name))
    }

    /// Whether this rule allows a verb on a path.
    func allows(_ verb: String, path: String) -> Bool {
        Self.has(verbs, verb)
            && paths.contains { pattern in
                pattern == "*" || pattern == path
                    || (pattern.hasSuffix("*") && path.hasPrefix(pattern.dropLast()))
            }
    }

    private func covers(_ wanted: AccessQuestion.Resource) -> Bool {
        resources.contains { resource in
            resource == "*" || resource == wanted.combined
                || (!wanted.subresource.isEmpty && resource == "*/\(wanted.subresource)")
        }
    }

    private static func has(_ values: [String], _ value: String) -> Bool {
        values.contains("*") || values.contains(value)
    }

    /// The rule as reviews list it.
    var document: JSONValue {
        func list(_ values: [String]) -> JSONValue { .array(values.map { .string($0) }) }
        var document: JSONValue = ["verbs": list(verbs)]
        if !paths.isEmpty { document["nonResourceURLs"] = list(paths) }
        if !resources.isEmpty {
            document["apiGroups"] = list(groups)
            document["resources"] = list(resources)
        }
        if !names.isEmpty { document["resourceNames"] = list(names) }
        return document
    }
}

/// Who a binding speaks of.
enum AccessSubject: Hashable, Sendable {
    case user(String)
    case group(String)
    case account(namespace: String, name: String)

    private static let accountPrefix = "system:serviceaccount:"

    init?(_ document: JSONValue) {
        let name = document["name"]?.stringValue ?? ""
        switch document["kind"]?.stringValue {
        case "User": self = .user(name)
        case "Group": self = .group(name)
        case "ServiceAccount":
            self = .account(namespace: document["namespace"]?.stringValue ?? "", name: name)
        default: return nil
        }
    }

    /// Everything that a binding may call a user.
    static func all(of user: UserIdentity) -> [AccessSubject] {
        var subjects: [AccessSubject] = [.user(user.name)] + user.groups.map { .group($0) }
        if user.name.hasPrefix(accountPrefix) {
            let parts = user.name.dropFirst(accountPrefix.count).split(separator: ":")
            if parts.count == 2 { subjects.append(.account(namespace: String(parts[0]), name: String(parts[1]))) }
        }
        return subjects
    }

    var text: String {
        switch self {
        case .user(let name): "User \"\(name)\""
        case .group(let name): "Group \"\(name)\""
        case .account(let namespace, let name): "ServiceAccount \"\(name)/\(namespace)\""
        }
    }
}

/// All roles and bindings, ready to be asked.
struct AccessPolicy: Sendable {
    /// The group whose members may do everything.
    static let masters = "system:masters"

    /// Kinds of objects that it is made of, by qualified name, in the order `init` takes them.
    static let resources = ["roles", "clusterroles", "rolebindings", "clusterrolebindings"].map {
        "\($0).rbac.authorization.k8s.io"
    }

    private struct RoleKey: Hashable {
        let kind: String
        let namespace: String
        let name: String
    }

    private struct Binding {
        let kind: String
        let namespace: String
        let name: String
        let role: RoleKey
    }

    /// An answer and, when allowed, what allows it.
    struct Verdict: Sendable, Equatable {
        let isAllowed: Bool
        let reason: String
    }

    private var roles: [RoleKey: [AccessRule]] = [:]
    /// Bindings by namespace, the empty one for those of the cluster, and by subject.
    private var bindings: [String: [AccessSubject: [Binding]]] = [:]

    init() {}

    /// - Parameter objects: Every stored role and binding of all four kinds.
    init(objects: [JSONValue]) {
        for object in objects {
            let kind = object["kind"]?.stringValue ?? ""
            if kind.hasSuffix("Binding") {
                bind(object, kind: kind)
            } else {
                let key = RoleKey(kind: kind, namespace: object.namespace, name: object.name)
                roles[key] = (object["rules"]?.arrayValue ?? []).map(AccessRule.init)
            }
        }
    }

    private mutating func bind(_ object: JSONValue, kind: String) {
        let roleKind = object.value(at: ["roleRef", "kind"])?.stringValue ?? ""
        let role = RoleKey(
            kind: roleKind, namespace: roleKind == "Role" ? object.namespace : "",
            name: object.value(at: ["roleRef", "name"])?.stringValue ?? "")
        let binding = Binding(kind: kind, namespace: object.namespace, name: object.name, role: role)
        for subject in (object["subjects"]?.arrayValue ?? []).compactMap(AccessSubject.init) {
            bindings[object.namespace, default: [:]][subject, default: []].append(binding)
        }
    }

    /// Whether a user may do what it asks for.
    func decide(_ question: AccessQuestion) -> Verdict {
        if question.user.groups.contains(Self.masters) { return Verdict(isAllowed: true, reason: "") }
        let subjects = AccessSubject.all(of: question.user)
        switch question.target {
        case .path(let path):
            return verdict(subjects, places: [""]) { $0.allows(question.verb, path: path) }
        case .resource(let wanted):
            let places = wanted.namespace.isEmpty ? [""] : ["", wanted.namespace]
            return verdict(subjects, places: places) { $0.allows(question.verb, wanted) }
        }
    }

    private func verdict(
        _ subjects: [AccessSubject], places: [String], _ allows: (AccessRule) -> Bool
    ) -> Verdict {
        for place in places {
            guard let here = bindings[place] else { continue }
            for subject in subjects {
                for binding in here[subject] ?? [] where (roles[binding.role] ?? []).contains(where: allows) {
                    let name = place.isEmpty ? binding.name : "\(binding.name)/\(place)"
                    return Verdict(
                        isAllowed: true,
                        reason: "RBAC: allowed by \(binding.kind) \"\(name)\" of \(binding.role.kind) "
                            + "\"\(binding.role.name)\" to \(subject.text)")
                }
            }
        }
        return Verdict(isAllowed: false, reason: "")
    }

    /// Every rule that speaks of a user, in the cluster and in one namespace.
    func rules(for user: UserIdentity, namespace: String) -> [AccessRule] {
        if user.groups.contains(Self.masters) {
            return [
                AccessRule(["verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]]),
                AccessRule(["verbs": ["*"], "nonResourceURLs": ["*"]]),
            ]
        }
        let places = namespace.isEmpty ? [""] : ["", namespace]
        var seen: Set<AccessRule> = []
        return places.flatMap { place in
            AccessSubject.all(of: user).flatMap { bindings[place]?[$0] ?? [] }.flatMap { roles[$0.role] ?? [] }
        }.filter { seen.insert($0).inserted }
    }

    /// The rules that a binding's role grants.
    func rules(ofRole kind: String, namespace: String, name: String) -> [AccessRule] {
        roles[RoleKey(kind: kind, namespace: kind == "Role" ? namespace : "", name: name)] ?? []
    }

    /// What of `wanted` a user does not hold itself; empty when it may pass all of it on.
    func missing(_ wanted: [AccessRule], for user: UserIdentity, namespace: String) -> [AccessRule] {
        if user.groups.contains(Self.masters) { return [] }
        let held = rules(for: user, namespace: namespace)
        return wanted.filter { rule in !rule.pieces.allSatisfy { piece in held.contains { $0.grants(piece) } } }
    }
}

extension AccessRule {
    /// A rule taken apart: one verb on one resource of one group, with at most one name, or on one path.
    enum Piece {
        case resource(verb: String, AccessQuestion.Resource)
        case path(verb: String, String)
    }

    var pieces: [Piece] {
        var pieces: [Piece] = verbs.flatMap { verb in paths.map { Piece.path(verb: verb, $0) } }
        for verb in verbs {
            for group in groups {
                for text in resources {
                    let parts = text.split(separator: "/", maxSplits: 1).map(String.init)
                    var wanted = AccessQuestion.Resource(group: group, resource: parts.first ?? "")
                    wanted.subresource = parts.count > 1 ? parts[1] : ""
                    for name in names.isEmpty ? [""] : names {
                        wanted.name = name
                        pieces.append(.resource(verb: verb, wanted))
                    }
                }
            }
        }
        return pieces
    }

    /// Whether whoever holds this rule holds a piece; a wildcard is held by the same wildcard only.
    func grants(_ piece: Piece) -> Bool {
        switch piece {
        case .resource(let verb, let wanted): allows(verb, wanted)
        case .path(let verb, let path): allows(verb, path: path)
        }
    }

    /// The rule as messages name it.
    var text: String {
        func list(_ values: [String]) -> String { "[" + values.map { "\"\($0)\"" }.joined(separator: " ") + "]" }
        let parts = [
            groups.isEmpty ? "" : "APIGroups:\(list(groups))", resources.isEmpty ? "" : "Resources:\(list(resources))",
            names.isEmpty ? "" : "ResourceNames:\(list(names))", paths.isEmpty ? "" : "NonResourceURLs:\(list(paths))",
            "Verbs:\(list(verbs))",
        ]
        return "{" + parts.filter { !$0.isEmpty }.joined(separator: ", ") + "}"
    }
}
