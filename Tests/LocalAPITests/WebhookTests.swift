import Foundation
import MeshModel
import NIOHTTP1
import Testing

/// Admission webhooks over TLS.
@Suite("Admission webhooks", .timeLimit(.minutes(3))) struct WebhookTests {
    private static let configurations = "/apis/admissionregistration.k8s.io/v1"
    private static let pods = "/api/v1/namespaces/shop/pods"
    private static let maps = "/api/v1/namespaces/shop/configmaps"

    /// A webhook of a configuration; `changes` override its fields.
    private static func hook(
        _ name: String, _ bundle: String, path: String = "/", resources: JSONValue = ["pods"],
        operations: JSONValue = ["CREATE"], _ changes: JSONValue = [:]
    ) -> JSONValue {
        let base: JSONValue = [
            "name": .string(name), "sideEffects": "None", "admissionReviewVersions": ["v1", "v1beta1"],
            "clientConfig": [
                "caBundle": .string(bundle), "service": ["name": "hook", "namespace": "hooks", "path": .string(path)],
            ],
            "rules": [["operations": operations, "apiGroups": [""], "apiVersions": ["v1"], "resources": resources]],
        ]
        return .object((base.objectValue ?? [:]).merging(changes.objectValue ?? [:]) { _, new in new })
    }

    private static func configure(
        _ cluster: TestCluster, mutating: Bool = true, name: String = "hooks", _ hooks: [JSONValue]
    ) async throws {
        let resource = mutating ? "mutatingwebhookconfigurations" : "validatingwebhookconfigurations"
        let answer = try await cluster.call(
            .POST, "\(configurations)/\(resource)", ["metadata": ["name": .string(name)], "webhooks": .array(hooks)])
        guard answer.status == 201 else { throw TimedOut(what: answer.text) }
    }

    private static func run(
        answering handler: @escaping FakeBackend.Handler,
        _ body: @escaping @Sendable (TestCluster, FakeBackend, String) async throws -> Void
    ) async throws {
        try await TestCluster.run { cluster in
            let authority = try TestAuthority()
            let configuration = try authority.serverConfiguration(name: "hook.hooks.svc")
            try await FakeBackend.run(configuration, answering: handler) { backend, port in
                try await cluster.makeService("hook", namespace: "hooks", port: port)
                try await cluster.makeNamespace("shop")
                try await body(cluster, backend, authority.bundle)
            }
        }
    }

    private static func allow(_ request: FakeBackend.Request, _ patch: JSONValue? = nil, _ more: JSONValue = [:]) -> FakeBackend.Reply {
        var response: JSONValue = ["uid": request.json.value(at: ["request", "uid"]) ?? "", "allowed": true]
        if let patch {
            response["patchType"] = "JSONPatch"
            response["patch"] = .string(Data(patch.serialized()).base64EncodedString())
        }
        for (key, value) in more.objectValue ?? [:] { response[key] = value }
        return .json(["kind": "AdmissionReview", "apiVersion": request.json["apiVersion"] ?? "", "response": response])
    }

    private static func label(_ name: String, _ value: String) -> JSONValue {
        ["op": "add", "path": .string("/metadata/labels/\(name)"), "value": .string(value)]
    }

    @Test("A mutating webhook is asked with who, what and where, and its patch and warnings take effect")
    func mutates() async throws {
        let sidecar: JSONValue = [
            "op": "add", "path": "/spec/containers/-", "value": ["name": "sidecar", "image": "example/sidecar:1"],
        ]
        let handler: FakeBackend.Handler = { Self.allow($0, [sidecar, Self.label("seen", "yes")], ["warnings": ["mind\r\nthe gap"]]) }
        try await Self.run(answering: handler) { cluster, backend, bundle in
            try await Self.configure(cluster, [Self.hook("a.example.com", bundle, path: "/mutate")])
            let created = try await cluster.call(.POST, Self.pods, TestCluster.pod("web"))
            #expect(created.status == 201)
            #expect(created.warnings == ["299 - \"mind the gap\""])
            let containers = created.json.value(at: ["spec", "containers"])?.arrayValue ?? []
            #expect(containers.map { $0["name"] } == ["app", "sidecar"])
            // Defaults and the account's token reach what the webhook added.
            #expect(containers[1]["terminationMessagePath"] == "/dev/termination-log")
            let mounts = containers.map { $0["volumeMounts"]?[0]?["name"] }
            #expect(mounts[0] != nil && mounts[0] == mounts[1])
            #expect(created.json.value(at: ["spec", "volumes"])?.arrayValue?.count == 1)
            #expect(created.json.value(at: ["metadata", "labels", "seen"]) == "yes")
            let review = backend.requests[0].json
            #expect(review["kind"] == "AdmissionReview" && review["apiVersion"] == "admission.k8s.io/v1")
            let request = review["request"] ?? .null
            #expect(request["operation"] == "CREATE" && request["namespace"] == "shop" && request["name"] == "web")
            #expect(request["kind"] == ["group": "", "version": "v1", "kind": "Pod"])
            #expect(request["resource"] == ["group": "", "version": "v1", "resource": "pods"])
            #expect(request.value(at: ["userInfo", "username"]) == "kubernetes-admin")
            #expect(request["oldObject"] == .null && request["dryRun"] == false)
            #expect(request.value(at: ["object", "spec", "serviceAccountName"]) == "default")
            #expect(request.value(at: ["object", "spec", "restartPolicy"]) == "Always")
            #expect(backend.requests[0].head.uri == "/mutate?timeout=10s")
            #expect(!backend.requests[0].hasCertificate)
        }
    }

    @Test("Rules, namespaces and labels choose what a webhook is asked about")
    func selects() async throws {
        try await Self.run(answering: { Self.allow($0, [Self.label("seen", "yes")]) }) { cluster, backend, bundle in
            let off: JSONValue = [
                "namespaceSelector": [
                    "matchExpressions": [["key": "hooks", "operator": "NotIn", "values": ["disabled"]]]
                ],
                "objectSelector": ["matchLabels": ["app": "web"]],
            ]
            try await Self.configure(cluster, [Self.hook("a.example.com", bundle, off)])
            func seen(_ pod: JSONValue, in namespace: String = "shop") async throws -> JSONValue? {
                let answer = try await cluster.call(.POST, "/api/v1/namespaces/\(namespace)/pods", pod)
                #expect(answer.status == 201)
                return answer.json.value(at: ["metadata", "labels", "seen"])
            }
            #expect(try await seen(TestCluster.pod("a", labels: ["app": "web"])) == "yes")
            #expect(try await seen(TestCluster.pod("b", labels: ["app": "other"])) == nil)
            _ = try await cluster.call(
                .POST, "/api/v1/namespaces", ["metadata": ["name": "quiet", "labels": ["hooks": "disabled"]]])
            #expect(try await seen(TestCluster.pod("c", labels: ["app": "web"]), in: "quiet") == nil)
            let labels: JSONValue = ["name": "m", "labels": ["app": "web"]]
            _ = try await cluster.call(.POST, Self.maps, ["metadata": labels])
            _ = try await cluster.call(
                .PATCH, Self.pods + "/a", ["metadata": ["labels": ["x": "y"]]], type: "application/merge-patch+json")
            _ = try await cluster.call(.DELETE, Self.pods + "/a")
            #expect(backend.requests.count == 1)
            // A configuration is no subject of a webhook for everything.
            let all: JSONValue = [
                "rules": [["operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]]]
            ]
            try await Self.configure(cluster, name: "more", [Self.hook("b.example.com", bundle, all)])
            let path = Self.configurations + "/mutatingwebhookconfigurations/more"
            #expect(try await cluster.call(.DELETE, path).status == 200)
            #expect(backend.requests.count == 1)
        }
    }

    @Test("A validating webhook sees what came out, refuses in its words, and guards updates and deletions")
    func validates() async throws {
        let handler: FakeBackend.Handler = { request in
            let object = request.json.value(at: ["request", "object"]) ?? .null
            if request.head.uri.hasPrefix("/mutate") { return Self.allow(request, [["op": "add", "path": "/data/m", "value": "1"]]) }
            if object.value(at: ["data", "bad"]) != nil {
                return Self.allow(request, nil, ["allowed": false, "status": ["message": "no bad data", "code": 422, "reason": "Invalid"]])
            }
            if object == .null, request.json.value(at: ["request", "oldObject", "data", "keep"]) != nil {
                return Self.allow(request, nil, ["allowed": false])
            }
            return Self.allow(request)
        }
        try await Self.run(answering: handler) { cluster, backend, bundle in
            let every: JSONValue = ["CREATE", "UPDATE", "DELETE"]
            try await Self.configure(
                cluster, [Self.hook("m.example.com", bundle, path: "/mutate", resources: ["configmaps"], operations: every)])
            try await Self.configure(
                cluster, mutating: false, [Self.hook("v.example.com", bundle, path: "/validate", resources: ["configmaps"], operations: every)])
            let map: JSONValue = ["metadata": ["name": "a"], "data": ["keep": "1"]]
            let created = try await cluster.call(.POST, Self.maps, map)
            #expect(created.json["data"] == ["keep": "1", "m": "1"])
            let judged = backend.requests.last { $0.head.uri.hasPrefix("/validate") }
            #expect(judged?.json.value(at: ["request", "object", "data", "m"]) == "1")
            let bad = try await cluster.call(.POST, Self.maps, ["metadata": ["name": "b"], "data": ["bad": "1"]])
            #expect(bad.status == 422)
            #expect(bad.json["message"] == "admission webhook \"v.example.com\" denied the request: no bad data")
            #expect(try await cluster.call(.GET, Self.maps + "/b").status == 404)
            let merge = "application/merge-patch+json"
            let patched = try await cluster.call(.PATCH, Self.maps + "/a", ["data": ["x": "2"]], type: merge)
            #expect(patched.json["data"] == ["keep": "1", "m": "1", "x": "2"])
            let update = backend.requests.last { $0.head.uri.hasPrefix("/validate") }?.json["request"]
            #expect(update?["operation"] == "UPDATE")
            #expect(update?.value(at: ["oldObject", "data"]) == ["keep": "1", "m": "1"])
            #expect(try await cluster.call(.PATCH, Self.maps + "/a", ["data": ["bad": "2"]], type: merge).status == 422)
            let kept = try await cluster.call(.DELETE, Self.maps + "/a")
            #expect(kept.status == 400)
            #expect(kept.json["message"] == "admission webhook \"v.example.com\" denied the request without explanation")
            #expect(try await cluster.call(.PATCH, Self.maps + "/a", ["data": ["keep": .null]], type: merge).status == 200)
            #expect(try await cluster.call(.DELETE, Self.maps + "/a").status == 200)
        }
    }

    @Test("A webhook that cannot be asked stops the request or is passed over, as its policy says")
    func failurePolicies() async throws {
        let handler: FakeBackend.Handler = { request in
            switch request.head.uri.prefix(while: { $0 != "?" }) {
            case "/hangup": .hangUp
            case "/silent": .silence
            case "/wrong": .json(["kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": ["uid": "other", "allowed": true]])
            case "/500": .json([:], status: 500)
            default: Self.allow(request, [["op": "remove", "path": "/none"]])
            }
        }
        try await Self.run(answering: handler) { cluster, _, bundle in
            let stranger = try TestAuthority().bundle
            let cases: [(path: String, bundle: String, words: String)] = [
                ("/hangup", bundle, "failed to call webhook: Post \"https://hook.hooks.svc:443/hangup?timeout=1s\""),
                ("/silent", bundle, "deadline exceeded"), ("/wrong", bundle, "expected response.uid="),
                ("/500", bundle, "answered 500"), ("/", bundle, "patch does not apply"), ("/x", stranger, "tls"),
            ]
            let path = Self.configurations + "/mutatingwebhookconfigurations/hooks"
            for (index, test) in cases.enumerated() {
                let short: JSONValue = ["timeoutSeconds": 1]
                try await Self.configure(cluster, [Self.hook("a.example.com", test.bundle, path: test.path, short)])
                let failed = try await cluster.call(.POST, Self.pods, TestCluster.pod("p\(index)"))
                #expect(failed.status == 500, "\(test.path)")
                let message = failed.json["message"]?.stringValue ?? ""
                #expect(message.hasPrefix("Internal error occurred: failed calling webhook \"a.example.com\": "), "\(message)")
                #expect(message.contains(test.words), "\(test.path): \(message)")
                _ = try await cluster.call(.DELETE, path)
                let forgiving: JSONValue = ["timeoutSeconds": 1, "failurePolicy": "Ignore"]
                try await Self.configure(cluster, [Self.hook("a.example.com", test.bundle, path: test.path, forgiving)])
                #expect(try await cluster.call(.POST, Self.pods, TestCluster.pod("p\(index)")).status == 201)
                _ = try await cluster.call(.DELETE, path)
            }
            try await Self.configure(cluster, [Self.hook("a.example.com", bundle)])
            _ = try await cluster.call(.DELETE, "/api/v1/namespaces/hooks/services/hook")
            let gone = try await cluster.call(.POST, Self.pods, TestCluster.pod("last"))
            #expect(gone.json["message"]?.stringValue?.contains("service \"hook\" not found") == true)
        }
    }

    @Test("Webhooks run in order, see one another's work, and are asked again when they want")
    func reinvokes() async throws {
        let handler: FakeBackend.Handler = { request in
            let labels = request.json.value(at: ["request", "object", "metadata", "labels"])?.objectValue ?? [:]
            let path = request.head.uri.prefix { $0 != "?" }
            let name = String(path.dropFirst())
            let count = "\((labels[name]?.stringValue.flatMap { Int($0) } ?? 0) + 1)"
            return Self.allow(request, [Self.label(name, count), Self.label("last", name)])
        }
        try await Self.run(answering: handler) { cluster, _, bundle in
            try await Self.configure(
                cluster, name: "1",
                [
                    Self.hook("a.example.com", bundle, path: "/a", ["reinvocationPolicy": "IfNeeded"]),
                    Self.hook("b.example.com", bundle, path: "/b"),
                ])
            try await Self.configure(cluster, name: "2", [Self.hook("c.example.com", bundle, path: "/c", ["reinvocationPolicy": "IfNeeded"])])
            let pod = try await cluster.call(.POST, Self.pods, TestCluster.pod("web")).json
            // c was last to change the object in the first round, and a after it in the second.
            #expect(pod.value(at: ["metadata", "labels"]) == ["a": "2", "b": "1", "c": "2", "last": "c"])
        }
    }

    @Test("A dry run is said to be one, a webhook by address is asked there, and mistakes are refused by field")
    func dryRunAndAddress() async throws {
        try await TestCluster.run { cluster in
            let authority = try TestAuthority()
            let configuration = try authority.serverConfiguration(name: "localhost")
            try await FakeBackend.run(configuration, answering: { Self.allow($0, [Self.label("seen", "yes")]) }) { backend, port in
                try await cluster.makeNamespace("shop")
                let address: JSONValue = [
                    "clientConfig": ["url": .string("https://localhost:\(port)/hook"), "caBundle": .string(authority.bundle)]
                ]
                try await Self.configure(cluster, [Self.hook("a.example.com", "", address)])
                let dry = try await cluster.call(.POST, Self.pods + "?dryRun=All", TestCluster.pod("web"))
                #expect(dry.json.value(at: ["metadata", "labels", "seen"]) == "yes")
                #expect(backend.requests.last?.json.value(at: ["request", "dryRun"]) == true)
                #expect(try await cluster.call(.GET, Self.pods + "/web").status == 404)
                #expect(try await cluster.call(.POST, Self.pods, TestCluster.pod("web")).status == 201)
                let mistakes: [(change: JSONValue, field: String)] = [
                    (["matchConditions": [["name": "x", "expression": "true"]]], "webhooks[0].matchConditions"),
                    (["sideEffects": "Some"], "webhooks[0].sideEffects"), (["timeoutSeconds": 31], "webhooks[0].timeoutSeconds"),
                    (["clientConfig": ["url": "http://a/"]], "webhooks[0].clientConfig.url"),
                    (["clientConfig": [:]], "webhooks[0].clientConfig"), (["failurePolicy": "Maybe"], "webhooks[0].failurePolicy"),
                    (["admissionReviewVersions": ["v2"]], "webhooks[0].admissionReviewVersions"),
                ]
                for mistake in mistakes {
                    let answer = try await cluster.call(
                        .POST, Self.configurations + "/mutatingwebhookconfigurations",
                        ["metadata": ["name": "bad"], "webhooks": [Self.hook("c.example.com", "", mistake.change)]])
                    #expect(answer.status == 422, "\(mistake.field)")
                    let cause = answer.json.value(at: ["details", "causes"])?[0]?["field"]?.stringValue
                    #expect(cause == mistake.field)
                }
            }
        }
    }

    @Test("kubectl shows refusals and warnings", arguments: KubectlContractTests.binaries)
    func kubectl(binary: String) async throws {
        let handler: FakeBackend.Handler = { request in
            let isBad = request.json.value(at: ["request", "name"]) == "bad"
            return isBad
                ? Self.allow(request, nil, ["allowed": false, "status": ["message": "bad name"]])
                : Self.allow(request, nil, ["warnings": ["look out"]])
        }
        try await Self.run(answering: handler) { cluster, _, bundle in
            try await Self.configure(
                cluster, mutating: false, [Self.hook("v.example.com", bundle, resources: ["configmaps"])])
            let kubectl = try Kubectl(binary: binary, cluster: cluster)
            let refused = try await kubectl.fails(["create", "configmap", "bad"])
            #expect(refused.contains("admission webhook \"v.example.com\" denied the request: bad name"))
            #expect(try await kubectl(["create", "configmap", "good"]).contains("configmap/good created"))
            #expect(try await kubectl(["get", "validatingwebhookconfigurations"]).contains("hooks"))
        }
    }
}
