import Foundation
import MeshModel
import Testing

/// Server-side apply: fields that are merged, owned, given up and fought over.
@Suite("Server-side apply", .timeLimit(.minutes(3))) struct ServerSideApplyTests {
    private static let deployments = "/apis/apps/v1/namespaces/default/deployments"
    private static let maps = "/api/v1/namespaces/default/configmaps"

    private static func apply(
        _ cluster: TestCluster, _ path: String, _ object: JSONValue, by manager: String = "a", force: Bool = false
    ) async throws -> TestCluster.Answer {
        try await cluster.call(
            .PATCH, "\(path)?fieldManager=\(manager)\(force ? "&force=true" : "")", object,
            type: "application/apply-patch+yaml")
    }

    private static func map(_ data: JSONValue) -> JSONValue {
        ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "m"], "data": data]
    }

    private static func owners(_ object: JSONValue) -> [String: JSONValue] {
        let entries = object.value(at: ["metadata", "managedFields"])?.arrayValue ?? []
        return Dictionary(
            entries.map { ("\($0["manager"]?.stringValue ?? "") \($0["operation"]?.stringValue ?? "")", $0["fieldsV1"] ?? .null) },
            uniquingKeysWith: { first, _ in first })
    }

    @Test("An apply creates, changes, and takes away what its manager no longer states, but nobody else's")
    func lifecycle() async throws {
        try await TestCluster.run { cluster in
            let path = Self.maps + "/m"
            let made = try await Self.apply(cluster, path, Self.map(["x": "1", "y": "1"]))
            #expect(made.status == 201)
            #expect(Self.owners(made.json) == ["a Apply": ["f:data": ["f:x": [:], "f:y": [:]]]])
            let other = try await Self.apply(cluster, path, Self.map(["z": "1", "y": "1"]), by: "b")
            #expect(other.status == 200)
            #expect(other.json["data"] == ["x": "1", "y": "1", "z": "1"])
            // y is b's too and stays; x was a's alone and goes.
            let less = try await Self.apply(cluster, path, Self.map(["w": "2"]))
            #expect(less.json["data"] == ["w": "2", "y": "1", "z": "1"])
            let again = try await Self.apply(cluster, path, Self.map(["w": "2"]))
            #expect(again.json.value(at: ["metadata", "resourceVersion"]) == less.json.value(at: ["metadata", "resourceVersion"]))
            // Plain objects carry no record at all.
            let plain = try await cluster.call(.POST, Self.maps, ["metadata": ["name": "plain"], "data": ["a": "b"]])
            #expect(plain.json.value(at: ["metadata", "managedFields"]) == nil)
        }
    }

    @Test("A field of another's is not overwritten unless forced, and then changes hands")
    func conflicts() async throws {
        try await TestCluster.run { cluster in
            let path = Self.maps + "/m"
            _ = try await Self.apply(cluster, path, Self.map(["x": "1"]))
            let refused = try await Self.apply(cluster, path, Self.map(["x": "2"]), by: "b")
            #expect(refused.status == 409)
            #expect(refused.json["message"] == "Apply failed with 1 conflict: conflict with \"a\": .data.x")
            let cause = refused.json.value(at: ["details", "causes"])?[0]
            #expect(cause?["reason"] == "FieldManagerConflict" && cause?["field"] == ".data.x")
            let forced = try await Self.apply(cluster, path, Self.map(["x": "2"]), by: "b", force: true)
            #expect(forced.json["data"] == ["x": "2"])
            #expect(Self.owners(forced.json) == ["b Apply": ["f:data": ["f:x": [:]]]])
            // Whoever changes it by other means owns it then.
            let merge = "application/merge-patch+json"
            _ = try await cluster.call(.PATCH, path + "?fieldManager=editor", ["data": ["x": "3"]], type: merge)
            let late = try await Self.apply(cluster, path, Self.map(["x": "4"]), by: "b")
            #expect(late.json["message"] == "Apply failed with 1 conflict: conflict with \"editor\" using v1: .data.x")
            // To state what is there already is no conflict.
            let same = try await Self.apply(cluster, path, Self.map(["x": "3"]), by: "b")
            #expect(same.status == 200)
            #expect(Set(Self.owners(same.json).keys) == ["b Apply", "editor Update"])
        }
    }

    @Test("Lists with keys merge by element, others as a whole")
    func lists() async throws {
        try await TestCluster.run { cluster in
            func workload(_ containers: JSONValue, replicas: JSONValue? = nil) -> JSONValue {
                var spec: JSONValue = [
                    "selector": ["matchLabels": ["app": "web"]],
                    "template": ["metadata": ["labels": ["app": "web"]], "spec": ["containers": containers]],
                ]
                if let replicas { spec["replicas"] = replicas }
                return ["apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web"], "spec": spec]
            }
            let path = Self.deployments + "/web"
            let app: JSONValue = ["name": "app", "image": "app:1", "command": ["a", "b"], "env": [["name": "A", "value": "1"]]]
            let made = try await Self.apply(cluster, path, workload([app], replicas: 2))
            #expect(made.status == 201)
            let sidecar: JSONValue = ["apiVersion": "apps/v1", "kind": "Deployment", "spec": ["template": ["spec": ["containers": [["name": "side", "image": "side:1"]]]]]]
            let both = try await Self.apply(cluster, path, sidecar, by: "mesh")
            func names(_ object: JSONValue) -> [JSONValue?] {
                (object.value(at: ["spec", "template", "spec", "containers"])?.arrayValue ?? []).map { $0["name"] }
            }
            #expect(names(both.json) == ["app", "side"])
            let element = Self.owners(both.json)["mesh Apply"]?.value(at: ["f:spec", "f:template", "f:spec", "f:containers"])
            #expect(element == ["k:{\"name\":\"side\"}": [".": [:], "f:image": [:], "f:name": [:]]])
            var changed = app
            changed["command"] = ["c"]
            changed["env"] = [["name": "B", "value": "2"]]
            let updated = try await Self.apply(cluster, path, workload([changed]))
            let container = updated.json.value(at: ["spec", "template", "spec", "containers"])?[0]
            #expect(container?["command"] == ["c"])
            #expect(container?["env"] == [["name": "B", "value": "2"]])
            // No longer stated by anyone, the number of replicas is the default's again.
            #expect(updated.json.value(at: ["spec", "replicas"]) == 1)
            let scaled = try await cluster.call(.PATCH, path + "?fieldManager=scaler", ["spec": ["replicas": 5]], type: "application/merge-patch+json")
            #expect(scaled.json.value(at: ["spec", "replicas"]) == 5)
            let fought = try await Self.apply(cluster, path, workload([changed], replicas: 3))
            #expect(fought.json["message"] == "Apply failed with 1 conflict: conflict with \"scaler\" using apps/v1: .spec.replicas")
            let gone = try await Self.apply(cluster, path, ["apiVersion": "apps/v1", "kind": "Deployment"], by: "mesh")
            #expect(names(gone.json) == ["app"])
        }
    }

    @Test("What is no configuration is refused, a dry run keeps nothing, and custom resources are applied too")
    func edges() async throws {
        try await TestCluster.run { cluster in
            let path = Self.maps + "/m"
            let nobody = try await cluster.call(.PATCH, path, Self.map([:]), type: "application/apply-patch+yaml")
            #expect(nobody.status == 422)
            var owned = Self.map([:])
            owned.set([["manager": "x"]], at: ["metadata", "managedFields"])
            #expect(try await Self.apply(cluster, path, owned).status == 400)
            #expect(try await Self.apply(cluster, Self.maps + "/n", Self.map([:])).status == 400)
            let dry = try await cluster.call(.PATCH, path + "?fieldManager=a&dryRun=All", Self.map(["x": "1"]), type: "application/apply-patch+yaml")
            #expect(dry.status == 201)
            #expect(try await cluster.call(.GET, path).status == 404)
            let status = try await cluster.call(.PATCH, Self.deployments + "/web/status?fieldManager=a", [:], type: "application/apply-patch+yaml")
            #expect(status.status == 415)
            _ = try await cluster.call(
                .POST, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                [
                    "metadata": ["name": "profiles.example.com"],
                    "spec": [
                        "group": "example.com", "scope": "Namespaced", "names": ["plural": "profiles", "kind": "Profile"],
                        "versions": [["name": "v1", "served": true, "storage": true]],
                    ],
                ])
            let profile = "/apis/example.com/v1/namespaces/default/profiles/p"
            func custom(_ spec: JSONValue) -> JSONValue {
                ["apiVersion": "example.com/v1", "kind": "Profile", "metadata": ["name": "p"], "spec": spec]
            }
            #expect(try await Self.apply(cluster, profile, custom(["a": 1, "list": [1, 2]])).status == 201)
            let merged = try await Self.apply(cluster, profile, custom(["b": ["c": 2]]), by: "b")
            #expect(merged.json["spec"] == ["a": 1, "list": [1, 2], "b": ["c": 2]])
            let less = try await Self.apply(cluster, profile, custom(["a": 1]))
            #expect(less.json["spec"] == ["a": 1, "b": ["c": 2]])
        }
    }

    @Test("kubectl applies on the server", arguments: KubectlContractTests.binaries)
    func kubectl(binary: String) async throws {
        try await TestCluster.run { cluster in
            try await cluster.makeNamespace("shop")
            let kubectl = try Kubectl(binary: binary, cluster: cluster)
            let apply = ["apply", "--server-side", "-f", "-"]
            #expect(try await kubectl(apply, input: KubectlContractTests.manifest).contains("deployment.apps/web serverside-applied"))
            #expect(try await kubectl(apply, input: KubectlContractTests.manifest).contains("service/web serverside-applied"))
            _ = try await kubectl(["scale", "deployment/web", "--replicas=3"])
            let refused = try await kubectl.fails(apply, input: KubectlContractTests.manifest)
            #expect(refused.contains("conflict"))
            _ = try await kubectl(apply + ["--force-conflicts"], input: KubectlContractTests.manifest)
            #expect(try await kubectl(["get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"]) == "1")
        }
    }
}
