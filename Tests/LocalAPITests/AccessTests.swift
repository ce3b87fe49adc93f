import AsyncHTTPClient
import Foundation
import LocalAPI
import MeshModel
import Testing

/// Who may do what: RBAC, its reviews, acting as others, and what nobody may give away.
@Suite("Access", .timeLimit(.minutes(3))) struct AccessTests {
    private static let rbac = "/apis/rbac.authorization.k8s.io/v1"
    private static let reviews = "/apis/authorization.k8s.io/v1"

    private static func role(_ name: String, _ rules: JSONValue, labels: JSONValue = [:]) -> JSONValue {
        ["metadata": ["name": .string(name), "labels": labels], "rules": rules]
    }

    private static func binding(_ name: String, role: String, kind: String = "Role", _ subject: JSONValue) -> JSONValue {
        [
            "metadata": ["name": .string(name)],
            "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": .string(kind), "name": .string(role)],
            "subjects": [subject],
        ]
    }

    private static func account(_ name: String, _ namespace: String = "default") -> JSONValue {
        ["kind": "ServiceAccount", "name": .string(name), "namespace": .string(namespace)]
    }

    @Test("An account without a binding is refused in Kubernetes' words; with one it may do just that")
    func accounts() async throws {
        try await TestCluster.run { cluster in
            let bearer = try await cluster.bearer("reader")
            let pods = "/api/v1/namespaces/default/pods"
            let refused = try await cluster.call(.GET, pods, headers: bearer, isAnonymous: true)
            #expect(refused.status == 403)
            #expect(refused.json["reason"] == "Forbidden")
            #expect(
                refused.json["message"]
                    == "pods is forbidden: User \"system:serviceaccount:default:reader\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
            )
            let everywhere = try await cluster.call(
                .GET, "/apis/apps/v1/deployments/", headers: bearer, isAnonymous: true)
            #expect(
                everywhere.json["message"]
                    == "deployments.apps is forbidden: User \"system:serviceaccount:default:reader\" cannot list resource \"deployments\" in API group \"apps\" at the cluster scope"
            )
            let rules: JSONValue = [
                ["apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]],
                [
                    "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"],
                    "verbs": ["get", "update", "list"],
                ],
            ]
            let namespaced = Self.rbac + "/namespaces/default"
            _ = try await cluster.call(.POST, namespaced + "/roles", Self.role("reads", rules))
            _ = try await cluster.call(
                .POST, namespaced + "/rolebindings", Self.binding("reads", role: "reads", Self.account("reader")))
            func status(_ verb: Verb, _ path: String, _ body: JSONValue? = nil) async throws -> Int {
                try await cluster.call(verb, path, body, headers: bearer, isAnonymous: true).status
            }
            #expect(try await status(.GET, pods) == 200)
            #expect(try await status(.GET, pods + "/none") == 404)
            #expect(try await status(.GET, pods + "?watch=true&timeoutSeconds=1") == 403)
            #expect(try await status(.POST, pods, TestCluster.pod("a")) == 403)
            #expect(try await status(.GET, "/api/v1/pods") == 403)
            #expect(try await status(.GET, "/api/v1/namespaces/kube-system/pods") == 403)
            #expect(try await status(.GET, pods + "/none/log") == 404)
            #expect(try await status(.GET, pods + "/none/status") == 403)
            let maps = "/api/v1/namespaces/default/configmaps"
            #expect(try await status(.GET, maps + "/mine") == 404)
            #expect(try await status(.GET, maps + "/other") == 403)
            #expect(try await status(.GET, maps) == 403)
            #expect(try await status(.GET, maps + "?fieldSelector=metadata.name%3Dmine") == 200)
            #expect(try await status(.GET, "/apis") == 200)
            #expect(try await status(.GET, "/api/v1") == 200)
            let path = try await cluster.call(.GET, "/metrics", headers: bearer, isAnonymous: true)
            #expect(
                path.json["message"]
                    == "forbidden: User \"system:serviceaccount:default:reader\" cannot get path \"/metrics\"")
        }
    }

    @Test("A client certificate's common name is the user and its organizations are the groups")
    func certificates() async throws {
        try await TestCluster.run { cluster in
            let pair = try cluster.pki.ensureClient(
                file: "jane", name: "jane", organizations: ["devs", "testers"], now: Date())
            let jane = try cluster.client(as: pair)
            defer { jane.shutdown { _ in } }
            let namespaced = Self.rbac + "/namespaces/default"
            let me = try await cluster.call(
                .POST, "/apis/authentication.k8s.io/v1/selfsubjectreviews", [:], by: jane)
            #expect(me.json.value(at: ["status", "userInfo", "username"]) == "jane")
            #expect(
                me.json.value(at: ["status", "userInfo", "groups"]) == ["system:authenticated", "devs", "testers"])
            let secrets = "/api/v1/namespaces/default/secrets"
            #expect(try await cluster.call(.GET, secrets, by: jane).status == 403)
            let group: JSONValue = ["kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "testers"]
            _ = try await cluster.call(
                .POST, namespaced + "/rolebindings", Self.binding("t", role: "edit", kind: "ClusterRole", group))
            #expect(try await cluster.call(.GET, secrets, by: jane).status == 200)
            #expect(try await cluster.call(.GET, "/api/v1/namespaces/kube-system/secrets", by: jane).status == 403)
            #expect(try await cluster.call(.DELETE, namespaced + "/rolebindings/t").status == 200)
            #expect(try await cluster.call(.GET, secrets, by: jane).status == 403)
        }
    }

    private struct Question: Sendable {
        let user: String
        var groups: [String] = []
        let verb: String
        let resource: String
        var subresource = ""
        var group = ""
        var namespace = ""
        var name = ""
        let isAllowed: Bool

        var review: JSONValue {
            [
                "spec": [
                    "user": .string(user), "groups": .array(groups.map { .string($0) }),
                    "resourceAttributes": [
                        "verb": .string(verb), "resource": .string(resource), "subresource": .string(subresource),
                        "group": .string(group), "namespace": .string(namespace), "name": .string(name),
                    ],
                ]
            ]
        }
    }

    @Test("Reviews weigh wildcards, sub-resources, names, groups and namespaces")
    func reviewsOfAccess() async throws {
        try await TestCluster.run { cluster in
            let rules: JSONValue = [
                ["apiGroups": ["tap.linkerd.io"], "resources": ["*"], "verbs": ["watch"]],
                ["apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["update"]],
                ["apiGroups": ["*"], "resources": ["nodes"], "verbs": ["*"]],
                ["nonResourceURLs": ["/stats/*"], "verbs": ["get"]],
            ]
            _ = try await cluster.call(.POST, Self.rbac + "/clusterroles", Self.role("tap-admin", rules))
            let user: JSONValue = ["kind": "User", "name": "tina"]
            _ = try await cluster.call(
                .POST, Self.rbac + "/clusterrolebindings",
                Self.binding("tina", role: "tap-admin", kind: "ClusterRole", user))
            let tap = "tap.linkerd.io"
            let questions = [
                Question(
                    user: "tina", verb: "watch", resource: "deployments", subresource: "tap", group: tap,
                    namespace: "shop", name: "web", isAllowed: true),
                Question(user: "tina", verb: "get", resource: "deployments", group: tap, isAllowed: false),
                Question(user: "tina", verb: "watch", resource: "deployments", group: "apps", isAllowed: false),
                Question(
                    user: "tina", verb: "update", resource: "deployments", subresource: "scale", group: "apps",
                    isAllowed: true),
                Question(
                    user: "tina", verb: "update", resource: "deployments", subresource: "status", group: "apps",
                    isAllowed: false),
                Question(user: "tina", verb: "update", resource: "deployments", group: "apps", isAllowed: false),
                Question(user: "tina", verb: "delete", resource: "nodes", isAllowed: true),
                Question(user: "tim", verb: "delete", resource: "nodes", isAllowed: false),
                Question(user: "", groups: ["system:masters"], verb: "delete", resource: "nodes", isAllowed: true),
            ]
            for question in questions {
                let answer = try await cluster.call(.POST, Self.reviews + "/subjectaccessreviews", question.review)
                #expect(answer.status == 201)
                let allowed = answer.json.value(at: ["status", "allowed"])
                #expect(allowed == .bool(question.isAllowed), "\(question)")
            }
            let reason = try await cluster.call(.POST, Self.reviews + "/subjectaccessreviews", questions[0].review)
            #expect(
                reason.json.value(at: ["status", "reason"])
                    == "RBAC: allowed by ClusterRoleBinding \"tina\" of ClusterRole \"tap-admin\" to User \"tina\"")
            for (path, isAllowed) in [("/stats/summary", true), ("/stats", false), ("/metrics", false)] {
                let review: JSONValue = [
                    "spec": ["user": "tina", "nonResourceAttributes": ["verb": "get", "path": .string(path)]]
                ]
                let answer = try await cluster.call(.POST, Self.reviews + "/subjectaccessreviews", review)
                #expect(answer.json.value(at: ["status", "allowed"]) == .bool(isAllowed), "\(path)")
            }
            let local = Self.reviews + "/namespaces/shop/localsubjectaccessreviews"
            #expect(try await cluster.call(.POST, local, questions[0].review).json.value(at: ["status", "allowed"]) == true)
            #expect(try await cluster.call(.POST, local, questions[6].review).status == 400)
            #expect(try await cluster.call(.POST, Self.reviews + "/subjectaccessreviews", ["spec": [:]]).status == 422)
        }
    }

    @Test("ClusterRoles that aggregate hold the rules of those they select, as these come, change and go")
    func aggregation() async throws {
        try await TestCluster.run { cluster in
            let roles = Self.rbac + "/clusterroles"
            let label: JSONValue = ["rbac.authorization.k8s.io/aggregate-to-view": "true"]
            let rule: JSONValue = ["apiGroups": ["linkerd.io"], "resources": ["serviceprofiles"], "verbs": ["get"]]
            let bearer = try await cluster.bearer("viewer")
            try await cluster.bind("edit", to: "viewer")
            let path = "/apis/linkerd.io/v1alpha2/namespaces/default/serviceprofiles/x"
            func status() async throws -> Int {
                try await cluster.call(.GET, path, headers: bearer, isAnonymous: true).status
            }
            #expect(try await status() == 403)
            _ = try await cluster.call(.POST, roles, Self.role("view-profiles", [rule], labels: label))
            #expect(try await status() == 404)
            for name in ["view", "edit", "admin"] {
                let rules = try await cluster.call(.GET, "\(roles)/\(name)").json["rules"]?.arrayValue ?? []
                #expect(rules.contains(rule), "\(name)")
            }
            #expect(try await cluster.call(.DELETE, roles + "/view-profiles").status == 200)
            #expect(try await status() == 403)
        }
    }

    @Test("Rights are not given away by those who lack them, and not taken by acting as somebody else")
    func escalation() async throws {
        try await TestCluster.run { cluster in
            let bearer = try await cluster.bearer("owner")
            try await cluster.bind("admin", to: "owner")
            let namespaced = Self.rbac + "/namespaces/default"
            func post(_ path: String, _ body: JSONValue) async throws -> TestCluster.Answer {
                try await cluster.call(.POST, path, body, headers: bearer, isAnonymous: true)
            }
            let fine: JSONValue = [["apiGroups": [""], "resources": ["pods"], "verbs": ["get"]]]
            #expect(try await post(namespaced + "/roles", Self.role("fine", fine)).status == 201)
            let greedy: JSONValue = [["apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]]]
            let refused = try await post(namespaced + "/roles", Self.role("greedy", greedy))
            #expect(refused.status == 403)
            #expect(refused.json["message"]?.stringValue?.contains("not currently held") == true)
            let all = Self.binding("all", role: "cluster-admin", kind: "ClusterRole", Self.account("owner"))
            #expect(try await post(namespaced + "/rolebindings", all).status == 403)
            let patch: JSONValue = ["rules": greedy]
            let patched = try await cluster.call(
                .PATCH, namespaced + "/roles/fine", patch, type: "application/merge-patch+json", headers: bearer,
                isAnonymous: true)
            #expect(patched.status == 403)
            let asAdmin = bearer + [("Impersonate-User", "kubernetes-admin"), ("Impersonate-Group", "system:masters")]
            let nodes = try await cluster.call(.GET, "/api/v1/nodes", headers: asAdmin, isAnonymous: true)
            #expect(nodes.status == 403)
            #expect(nodes.json["message"]?.stringValue?.contains("cannot impersonate resource \"users\"") == true)
            // The administrator may, and then has that user's rights only.
            let asOwner = [("Impersonate-User", "system:serviceaccount:default:owner")]
            #expect(try await cluster.call(.GET, "/api/v1/nodes", headers: asOwner).status == 403)
            #expect(try await cluster.call(.GET, "/api/v1/namespaces/default/pods", headers: asOwner).status == 200)
            let forged = bearer + [("X-Remote-User", "kubernetes-admin"), ("X-Remote-Group", "system:masters")]
            #expect(try await cluster.call(.GET, "/api/v1/nodes", headers: forged, isAnonymous: true).status == 403)
        }
    }

    @Test("Built-in roles are there and what they are meant for works", arguments: KubectlContractTests.binaries)
    func kubectl(binary: String) async throws {
        try await TestCluster.run { cluster in
            try await cluster.makeNamespace("shop")
            let kubectl = try Kubectl(binary: binary, cluster: cluster)
            let roles = try await kubectl(["get", "clusterroles", "-o", "name"])
            for name in ["cluster-admin", "admin", "edit", "view", "system:auth-delegator", "system:discovery"] {
                #expect(roles.contains("clusterrole.rbac.authorization.k8s.io/\(name)\n"), "\(name)")
            }
            let reader = try await kubectl([
                "get", "role", "-n", "kube-system", "extension-apiserver-authentication-reader", "-o",
                "jsonpath={.rules[0].resourceNames[0]}",
            ])
            #expect(reader == "extension-apiserver-authentication")
            #expect(try await kubectl(["auth", "can-i", "delete", "nodes"]).hasPrefix("yes"))
            _ = try await kubectl(["create", "serviceaccount", "sam"])
            let sam = ["--as=system:serviceaccount:shop:sam"]
            #expect(try await kubectl.fails(["auth", "can-i", "list", "pods"] + sam).hasPrefix("no"))
            _ = try await kubectl(["create", "role", "r", "--verb=list,get", "--resource=pods,pods/log"])
            _ = try await kubectl(["create", "rolebinding", "r", "--role=r", "--serviceaccount=shop:sam"])
            #expect(try await kubectl(["auth", "can-i", "list", "pods"] + sam).hasPrefix("yes"))
            #expect(try await kubectl(["auth", "can-i", "get", "pods", "--subresource=log"] + sam).hasPrefix("yes"))
            #expect(try await kubectl.fails(["auth", "can-i", "list", "pods", "-n", "default"] + sam).hasPrefix("no"))
            let list = try await kubectl(["auth", "can-i", "--list"] + sam)
            #expect(list.contains("pods/log"))
            #expect(try await kubectl(["get", "pods", "-o", "name"] + sam).isEmpty)
            let refused = try await kubectl.fails(["get", "secrets"] + sam)
            #expect(
                refused.contains(
                    "Error from server (Forbidden): secrets is forbidden: User \"system:serviceaccount:shop:sam\" cannot list resource \"secrets\" in API group \"\" in the namespace \"shop\""
                ))
            #expect(try await kubectl(["describe", "clusterrole", "view"]).contains("pods/log"))
        }
    }
}
