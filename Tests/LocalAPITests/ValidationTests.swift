import MeshModel
import Testing

/// What is refused, and with which words.
@Suite("Validation", .timeLimit(.minutes(2))) struct ValidationTests {
    private static let path = "/apis/apps/v1/namespaces/default/deployments"

    private static func deployment(_ change: (inout JSONValue) -> Void) -> JSONValue {
        var object = TestCluster.deployment("web")
        change(&object)
        return object
    }

    @Test("An unknown field is an error when strict, a warning when asked to warn, and dropped")
    func unknownFields() async throws {
        let object = Self.deployment { $0.set(7, at: ["spec", "replica"]) }
        try await TestCluster.run { cluster in
            let strict = try await cluster.call(.POST, Self.path + "?fieldValidation=Strict", object)
            #expect(strict.status == 400)
            #expect(
                strict.json["message"]?.stringValue?.contains(
                    "strict decoding error: unknown field \"spec.replica\"") == true)
            let quiet = try await cluster.call(
                .POST, Self.path + "?fieldValidation=Ignore&dryRun=All", object)
            #expect(quiet.status == 201)
            #expect(quiet.warnings.isEmpty)
            let warned = try await cluster.call(.POST, Self.path, object)
            #expect(warned.status == 201)
            #expect(warned.warnings == ["299 - \"unknown field \\\"spec.replica\\\"\""])
            #expect(warned.json.value(at: ["spec", "replica"]) == nil)
            #expect(try await cluster.call(.POST, Self.path + "?fieldValidation=Maybe", object).status == 400)
        }
    }

    static let typeCases: [(path: [String], value: JSONValue, message: String)] = [
        (["spec", "replicas"], "3", "spec.replicas: expected integer, got string"),
        (["spec", "template"], [1], "spec.template: expected PodTemplateSpec, got array"),
        (["metadata", "labels"], ["a": 1], "metadata.labels.a: expected string, got number"),
    ]

    @Test("A field of the wrong type is named with its path", arguments: typeCases)
    func wrongTypes(path: [String], value: JSONValue, message: String) async throws {
        try await TestCluster.run { cluster in
            let answer = try await cluster.call(.POST, Self.path, Self.deployment { $0.set(value, at: path) })
            #expect(answer.status == 400)
            #expect(answer.json["message"]?.stringValue?.contains(message) == true)
        }
    }

    private static let containers = ["spec", "template", "spec", "containers"]

    static let ruleCases: [(path: [String], value: JSONValue, field: String, reason: String)] = [
        (containers, [], "spec.template.spec.containers", "FieldValueRequired"),
        (containers, [["name": "a"]], "spec.template.spec.containers[0].image", "FieldValueRequired"),
        (
            containers, [["name": "a", "image": "x"], ["name": "a", "image": "x"]],
            "spec.template.spec.containers[1].name", "FieldValueDuplicate"
        ),
        (
            ["spec", "selector"], ["matchLabels": ["a": "b"]], "spec.template.metadata.labels",
            "FieldValueInvalid"
        ),
        (
            ["spec", "template", "spec", "restartPolicy"], "Never", "spec.template.spec.restartPolicy",
            "FieldValueNotSupported"
        ),
        (["metadata", "name"], "Not_A_Name", "metadata.name", "FieldValueInvalid"),
    ]

    @Test("A broken rule is 422 with a cause for its field", arguments: ruleCases)
    func brokenRules(path: [String], value: JSONValue, field: String, reason: String) async throws {
        try await TestCluster.run { cluster in
            let answer = try await cluster.call(.POST, Self.path, Self.deployment { $0.set(value, at: path) })
            #expect(answer.status == 422)
            let causes = answer.json.value(at: ["details", "causes"])?.arrayValue ?? []
            #expect(
                causes.contains { $0["field"] == .string(field) && $0["reason"] == .string(reason) },
                "\(answer.text)")
        }
    }

    @Test("A running pod's spec is fixed, but for its images")
    func podUpdates() async throws {
        try await TestCluster.run { cluster in
            let path = "/api/v1/namespaces/default/pods"
            _ = try await cluster.call(.POST, path, TestCluster.pod("web"))
            let image: JSONValue = ["spec": ["containers": [["name": "app", "image": "example/app:2"]]]]
            #expect(
                try await cluster.call(.PATCH, path + "/web", image, type: PatchTests.strategic).status == 200
            )
            let command: JSONValue = ["spec": ["containers": [["name": "app", "command": ["sh"]]]]]
            #expect(
                try await cluster.call(.PATCH, path + "/web", command, type: PatchTests.strategic).status
                    == 422)
        }
    }

    @Test("A body of another kind or version is refused")
    func wrongKinds() async throws {
        try await TestCluster.run { cluster in
            let pod = try await cluster.call(.POST, Self.path, TestCluster.pod("web"))
            #expect(pod.status == 400)
            let old = Self.deployment { $0["apiVersion"] = "apps/v1beta1" }
            let answer = try await cluster.call(.POST, Self.path, old)
            #expect(answer.status == 400)
        }
    }
}
