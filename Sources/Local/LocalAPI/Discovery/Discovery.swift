import MeshModel

/// The documents by which clients find out what is served.
struct Discovery {
    let kinds: KindCatalogue
    var aggregated = APIServiceTable()

    /// The version of Kubernetes whose behaviour is followed; `+linkerd` says that this is not it.
    static let version: JSONValue = [
        "major": "1", "minor": "32", "gitVersion": "v1.32.0+linkerd", "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "swift", "compiler": "swiftc",
        "platform": "linux/amd64",
    ]

    private static let verbs: JSONValue = [
        "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
    ]

    /// Resources that are asked and answered but never stored.
    private static let reviews: [String: [(plural: String, kind: String, isNamespaced: Bool)]] = [
        "authentication.k8s.io/v1": [
            ("tokenreviews", "TokenReview", false), ("selfsubjectreviews", "SelfSubjectReview", false),
        ],
        "authorization.k8s.io/v1": [
            ("localsubjectaccessreviews", "LocalSubjectAccessReview", true),
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
            ("selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
            ("subjectaccessreviews", "SubjectAccessReview", false),
        ],
    ]

    /// `/api`.
    var coreVersions: JSONValue {
        ["kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []]
    }

    /// `/apis`.
    var groups: JSONValue {
        ["kind": "APIGroupList", "apiVersion": "v1", "groups": .array(groupNames.map(document))]
    }

    /// `/apis/<group>`.
    func group(_ name: String) throws(StatusError) -> JSONValue {
        guard groupNames.contains(name) else { throw .unknownPath }
        var group = document(name)
        group["kind"] = "APIGroup"
        group["apiVersion"] = "v1"
        return group
    }

    /// `/api/v1` and `/apis/<group>/<version>`.
    func resources(apiVersion: String) throws(StatusError) -> JSONValue {
        let known = kinds.kinds.filter { $0.apiVersion == apiVersion }
        let reviews = Self.reviews[apiVersion] ?? []
        guard !known.isEmpty || !reviews.isEmpty else { throw .unknownPath }
        let entries =
            known.flatMap(entries)
            + reviews.map { review in
                [
                    "name": .string(review.plural), "singularName": .string(review.kind.lowercased()),
                    "namespaced": .bool(review.isNamespaced), "kind": .string(review.kind),
                    "verbs": ["create"],
                ]
            }
        return [
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": .string(apiVersion),
            "resources": .array(entries),
        ]
    }

    /// `/`.
    var rootPaths: JSONValue {
        let versions = apiVersions.map { $0.contains("/") ? "/apis/\($0)" : "/api/\($0)" }
        let paths = [
            "/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version",
        ]
        return ["paths": .array((paths + versions).sorted().map { .string($0) })]
    }

    /// Every group and version served, the core one first.
    var apiVersions: [String] {
        var seen: Set<String> = []
        let own = kinds.kinds.map(\.apiVersion) + Self.reviews.keys.sorted()
        return (own + aggregated.apis.map(\.apiVersion)).filter {
            seen.insert($0).inserted
        }
    }

    private var groupNames: [String] {
        var seen: Set<String> = []
        return apiVersions.filter { $0.contains("/") }.map { String($0.prefix { $0 != "/" }) }
            .filter { seen.insert($0).inserted }
    }

    private func document(_ group: String) -> JSONValue {
        let versions = apiVersions.filter { $0.hasPrefix(group + "/") }.map { apiVersion -> JSONValue in
            [
                "groupVersion": .string(apiVersion),
                "version": .string(String(apiVersion.dropFirst(group.count + 1))),
            ]
        }
        return [
            "name": .string(group), "versions": .array(versions), "preferredVersion": versions.first ?? [:],
        ]
    }

    private func entries(_ kind: KindDescription) -> [JSONValue] {
        var main: JSONValue = [
            "name": .string(kind.plural), "singularName": .string(kind.singular),
            "namespaced": .bool(kind.isNamespaced),
            "kind": .string(kind.kind), "verbs": Self.verbs, "storageVersionHash": "",
        ]
        if !kind.shortNames.isEmpty { main["shortNames"] = .array(kind.shortNames.map { .string($0) }) }
        if !kind.categories.isEmpty { main["categories"] = .array(kind.categories.map { .string($0) }) }
        return [main] + kind.subresources.map { subresource(kind, $0) }
    }

    private func subresource(_ kind: KindDescription, _ subresource: KindDescription.Subresource) -> JSONValue
    {
        var entry: JSONValue = [
            "name": .string("\(kind.plural)/\(subresource.rawValue)"), "singularName": "",
            "namespaced": .bool(kind.isNamespaced), "kind": .string(kind.kind),
        ]
        switch subresource {
        case .status: entry["verbs"] = ["get", "patch", "update"]
        case .scale:
            entry["verbs"] = ["get", "patch", "update"]
            entry["group"] = "autoscaling"
            entry["version"] = "v1"
            entry["kind"] = "Scale"
        case .log: entry["verbs"] = ["get"]
        case .portforward, .exec, .attach:
            entry["verbs"] = ["create", "get"]
            entry["kind"] = .string(
                subresource == .exec
                    ? "PodExecOptions" : subresource == .attach ? "PodAttachOptions" : "PodPortForwardOptions"
            )
        case .proxy:
            entry["verbs"] = ["create", "delete", "get", "patch", "update"]
            entry["kind"] = .string("\(kind.kind)ProxyOptions")
        case .eviction:
            entry["verbs"] = ["create"]
            entry["group"] = "policy"
            entry["version"] = "v1"
            entry["kind"] = "Eviction"
        case .binding:
            entry["verbs"] = ["create"]
            entry["kind"] = "Binding"
        case .token:
            entry["verbs"] = ["create"]
            entry["group"] = "authentication.k8s.io"
            entry["version"] = "v1"
            entry["kind"] = "TokenRequest"
        case .finalize: entry["verbs"] = ["update"]
        case .ephemeralcontainers, .approval: entry["verbs"] = ["get", "patch", "update"]
        }
        return entry
    }
}
