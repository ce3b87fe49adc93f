import Foundation
import LocalAPI
import MeshModel
import NIOHTTP1
import NIOSSL
import Testing

/// APIs that a Service inside the cluster answers for.
@Suite("Aggregated APIs", .timeLimit(.minutes(3))) struct AggregationTests {
    private static let base = "/apis/tap.linkerd.io/v1alpha1"
    private static let registrations = "/apis/apiregistration.k8s.io/v1/apiservices"

    private static let resources: JSONValue = [
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "tap.linkerd.io/v1alpha1",
        "resources": [
            ["name": "pods", "singularName": "", "namespaced": true, "kind": "Tap", "verbs": ["watch", "get"]],
            ["name": "pods/tap", "singularName": "", "namespaced": true, "kind": "Tap", "verbs": ["watch"]],
        ],
    ]

    private static func registration(bundle: String?, port: Int64 = 443) -> JSONValue {
        var spec: JSONValue = [
            "group": "tap.linkerd.io", "version": "v1alpha1", "groupPriorityMinimum": 1000, "versionPriority": 100,
            "service": ["name": "tap", "namespace": "viz", "port": .int(port)],
        ]
        if let bundle { spec["caBundle"] = .string(bundle) } else { spec["insecureSkipTLSVerify"] = true }
        return ["metadata": ["name": "v1alpha1.tap.linkerd.io"], "spec": spec]
    }

    /// Runs a cluster with a registered backend that believes the front proxy alone.
    private static func run(
        name: String = "tap.viz.svc", answering handler: @escaping FakeBackend.Handler,
        _ body: @escaping @Sendable (TestCluster, FakeBackend, TestAuthority) async throws -> Void
    ) async throws {
        try await TestCluster.run { cluster in
            let authority = try TestAuthority()
            var configuration = try authority.serverConfiguration(name: name)
            configuration.trustRoots = .certificates(
                try NIOSSLCertificate.fromPEMFile(cluster.pki.frontProxyAuthority.certificatePath))
            configuration.certificateVerification = .noHostnameVerification
            try await FakeBackend.run(configuration, answering: handler) { backend, port in
                try await cluster.makeService("tap", namespace: "viz", port: port)
                try await body(cluster, backend, authority)
            }
        }
    }

    private static func available(_ cluster: TestCluster) async throws -> JSONValue {
        let object = try await cluster.call(.GET, registrations + "/v1alpha1.tap.linkerd.io").json
        return object.value(at: ["status", "conditions"])?.arrayValue?.first { $0["type"] == "Available" } ?? .null
    }

    @Test("Requests reach the Service over TLS with who asks in headers, and what a client forges does not")
    func identity() async throws {
        try await Self.run(answering: { _ in .json(Self.resources) }) { cluster, backend, authority in
            let created = try await cluster.call(.POST, Self.registrations, Self.registration(bundle: authority.bundle))
            #expect(created.status == 201)
            let bearer = try await cluster.bearer("tapper", namespace: "viz")
            let rules: JSONValue = [["apiGroups": ["tap.linkerd.io"], "resources": ["*"], "verbs": ["watch"]]]
            let roles = "/apis/rbac.authorization.k8s.io/v1"
            _ = try await cluster.call(
                .POST, roles + "/clusterroles", ["metadata": ["name": "tap-admin"], "rules": rules])
            let path = Self.base + "/watch/namespaces/shop/pods//tap?x=a%2Fb&y"
            let forged = bearer + [
                ("X-Remote-User", "admin"), ("x-remote-group", "system:masters"), ("X-Remote-Extra-Scopes", "all"),
                ("X-Remote-Uid", "1"), ("X-Kept", "yes"),
            ]
            let body: JSONValue = ["a": 1]
            let refused = try await cluster.call(.POST, path, body, headers: forged, isAnonymous: true)
            #expect(refused.status == 403)
            #expect(
                refused.json["message"]
                    == "pods.tap.linkerd.io is forbidden: User \"system:serviceaccount:viz:tapper\" cannot watch resource \"pods/tap\" in API group \"tap.linkerd.io\" in the namespace \"shop\""
            )
            _ = try await cluster.call(
                .POST, roles + "/clusterrolebindings",
                [
                    "metadata": ["name": "tapper"],
                    "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "tap-admin"],
                    "subjects": [["kind": "ServiceAccount", "namespace": "viz", "name": "tapper"]],
                ])
            let answer = try await cluster.call(.POST, path, body, headers: forged, isAnonymous: true)
            #expect(answer.status == 200)
            #expect(answer.headers["X-Backend"] == ["yes"])
            let seen = try #require(backend.requests.last { $0.head.method == .POST })
            #expect(seen.head.uri == path)
            #expect(seen.json == body)
            #expect(seen.hasCertificate)
            #expect(seen.head.headers["X-Remote-User"] == ["system:serviceaccount:viz:tapper"])
            #expect(
                seen.head.headers["X-Remote-Group"]
                    == ["system:serviceaccounts", "system:serviceaccounts:viz", "system:authenticated"])
            #expect(seen.head.headers["X-Remote-Extra-Scopes"] == [])
            #expect(
                seen.head.headers["X-Remote-Extra-authentication.kubernetes.io%2Fcredential-id"].first?.hasPrefix("JTI=")
                    == true)
            #expect(seen.head.headers["Authorization"] == [])
            #expect(seen.head.headers["X-Kept"] == ["yes"])
            #expect(seen.head.headers["X-Remote-Uid"].count == 1 && seen.head.headers["X-Remote-Uid"] != ["1"])
        }
    }

    @Test("The group is discovered and its condition follows the Service")
    func discovery() async throws {
        try await Self.run(answering: { _ in .json(Self.resources) }) { cluster, _, authority in
            _ = try await cluster.call(.POST, Self.registrations, Self.registration(bundle: authority.bundle))
            try await eventually("available") { try await Self.available(cluster)["status"] == "True" }
            #expect(try await Self.available(cluster)["reason"] == "Passed")
            let groups = try await cluster.call(.GET, "/apis").json["groups"]?.arrayValue ?? []
            #expect(groups.contains { $0["name"] == "tap.linkerd.io" })
            let group = try await cluster.call(.GET, "/apis/tap.linkerd.io").json
            #expect(group.value(at: ["preferredVersion", "version"]) == "v1alpha1")
            #expect(try await cluster.call(.GET, Self.base).json == Self.resources)
            let endpoints = "/api/v1/namespaces/viz/endpoints/tap"
            _ = try await cluster.call(.PATCH, endpoints, ["subsets": []], type: "application/merge-patch+json")
            try await eventually("unavailable") { try await Self.available(cluster)["status"] == "False" }
            #expect(try await Self.available(cluster)["reason"] == "MissingEndpoints")
            let down = try await cluster.call(.GET, Self.base)
            #expect(down.status == 503)
            #expect(down.json["reason"] == "ServiceUnavailable")
            #expect(
                down.json["message"]?.stringValue?.contains(
                    "endpoints for service/tap in \"viz\" have no addresses for port 443") == true)
            _ = try await cluster.call(.DELETE, "/api/v1/namespaces/viz/services/tap")
            try await eventually("no service") { try await Self.available(cluster)["reason"] == "ServiceNotFound" }
            _ = try await cluster.call(.DELETE, Self.registrations + "/v1alpha1.tap.linkerd.io")
            #expect(try await cluster.call(.GET, Self.base).status == 404)
        }
    }

    @Test("A certificate for another name, or of another authority, is refused; skipping the check is obeyed")
    func verification() async throws {
        try await Self.run(name: "other.viz.svc", answering: { _ in .json(Self.resources) }) { cluster, backend, authority in
            let object = Self.registrations + "/v1alpha1.tap.linkerd.io"
            _ = try await cluster.call(.POST, Self.registrations, Self.registration(bundle: authority.bundle))
            let wrongName = try await cluster.call(.GET, Self.base)
            #expect(wrongName.status == 503)
            let told = wrongName.json["message"]?.stringValue ?? ""
            #expect(told.contains("error trying to reach service: tls"), "\(told)")
            #expect(backend.requests.isEmpty)
            let stranger = try TestAuthority().bundle
            _ = try await cluster.call(.DELETE, object)
            _ = try await cluster.call(.POST, Self.registrations, Self.registration(bundle: stranger))
            #expect(try await cluster.call(.GET, Self.base).status == 503)
            _ = try await cluster.call(.DELETE, object)
            _ = try await cluster.call(.POST, Self.registrations, Self.registration(bundle: nil))
            #expect(try await cluster.call(.GET, Self.base).json == Self.resources)
            try await eventually("available") { try await Self.available(cluster)["status"] == "True" }
        }
    }

    @Test("An endless answer is streamed as it comes, and ends at the Service when the client leaves")
    func streaming() async throws {
        let (pieces, feed) = AsyncStream.makeStream(of: String.self)
        let handler: FakeBackend.Handler = { $0.head.uri.hasSuffix("/tap") ? .pieces(pieces) : .json(Self.resources) }
        try await Self.run(answering: handler) { cluster, backend, authority in
            _ = try await cluster.call(.POST, Self.registrations, Self.registration(bundle: authority.bundle))
            do {
                let lines = try await cluster.lines(Self.base + "/watch/namespaces/shop/pods/web/tap")
                var iterator = lines.makeAsyncIterator()
                for number in 0..<3 {
                    feed.yield("event \(number)\n")
                    #expect(try await iterator.next() == "event \(number)")
                }
                #expect(backend.hangUpCount == 0)
            }
            try await eventually("the backend's connection ends") { backend.hangUpCount == 1 }
            feed.finish()
        }
    }

    @Test("A Service that hangs up is a 503, an upgrade is refused in words, and errors pass through")
    func failures() async throws {
        let handler: FakeBackend.Handler = { request in
            switch request.head.uri {
            case Self.base + "/broken": .hangUp
            case Self.base + "/denied": .json(["error": "tap authorization failed"], status: 403)
            default: .json(Self.resources)
            }
        }
        try await Self.run(answering: handler) { cluster, _, authority in
            _ = try await cluster.call(.POST, Self.registrations, Self.registration(bundle: authority.bundle))
            let broken = try await cluster.call(.GET, Self.base + "/broken")
            #expect(broken.status == 503)
            #expect(broken.json["message"]?.stringValue?.hasPrefix("error trying to reach service: ") == true)
            let denied = try await cluster.call(.GET, Self.base + "/denied")
            #expect(denied.status == 403 && denied.json["error"] == "tap authorization failed")
            let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")]
            let refused = try await cluster.call(.GET, Self.base + "/pods", headers: upgrade)
            #expect(refused.status == 501)
            #expect(
                refused.json["message"]
                    == "the upgrade of a request to tap.linkerd.io/v1alpha1 to websocket is not supported by the local cluster"
            )
        }
    }

    @Test("Aggregated APIs are told whom to believe, in kube-system")
    func configuration() async throws {
        try await TestCluster.run { cluster in
            let path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
            let data = try await cluster.call(.GET, path).json["data"] ?? .null
            func read(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
            #expect(
                data["requestheader-client-ca-file"]?.stringValue
                    == (try read(cluster.pki.frontProxyAuthority.certificatePath)))
            #expect(data["client-ca-file"]?.stringValue == (try read(cluster.pki.authority.certificatePath)))
            #expect(data["requestheader-allowed-names"] == "[\"front-proxy-client\"]")
            #expect(data["requestheader-username-headers"] == "[\"X-Remote-User\"]")
            #expect(data["requestheader-group-headers"] == "[\"X-Remote-Group\"]")
            #expect(data["requestheader-extra-headers-prefix"] == "[\"X-Remote-Extra-\"]")
        }
    }

    @Test("kubectl finds, lists and waits for an aggregated API", arguments: KubectlContractTests.binaries)
    func kubectl(binary: String) async throws {
        try await Self.run(answering: { _ in .json(Self.resources) }) { cluster, _, authority in
            let kubectl = try Kubectl(binary: binary, cluster: cluster)
            let manifest = String(decoding: Self.registration(bundle: authority.bundle).serialized(), as: UTF8.self)
                .replacing("{\"metadata\"", with: "{\"apiVersion\":\"apiregistration.k8s.io/v1\",\"kind\":\"APIService\",\"metadata\"")
            _ = try await kubectl(["apply", "-f", "-"], input: manifest)
            _ = try await kubectl(["wait", "apiservice/v1alpha1.tap.linkerd.io", "--for=condition=Available", "--timeout=30s"])
            let listed = try await kubectl(["get", "apiservices"])
            #expect(listed.contains("viz/tap") && listed.contains("True"))
            #expect(try await kubectl(["api-resources", "--api-group=tap.linkerd.io"]).contains("Tap"))
            #expect(try await kubectl(["api-versions"]).contains("tap.linkerd.io/v1alpha1"))
            _ = try await kubectl(["delete", "apiservice", "v1alpha1.tap.linkerd.io"])
        }
    }
}
