import MeshModel
import Testing

/// Every kind of patch, through the server: what is sent, and what is stored after it.
@Suite("Patches", .timeLimit(.minutes(2))) struct PatchTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let type: String
        let patch: JSONValue
        /// Dotted path, indices in brackets left out: the value compared is under `path`.
        let path: [String]
        let expected: JSONValue?
        var testDescription: String { name }
    }

    static let strategic = "application/strategic-merge-patch+json"
    static let merge = "application/merge-patch+json"
    static let json = "application/json-patch+json"
    static let containers = ["spec", "template", "spec", "containers"]
    static let pod = ["spec", "template", "spec"]

    private static func inPod(_ patch: JSONValue) -> JSONValue { ["spec": ["template": ["spec": patch]]] }

    static let cases: [Case] = [
        Case(
            name: "A container is found by its name and keeps the rest of itself", type: strategic,
            patch: inPod(["containers": [["name": "b", "image": "example/b:2"]]]),
            path: ["summary"], expected: ["a=example/a:1[A=1,B=2]", "b=example/b:2[]"]),
        Case(
            name: "A new container is added", type: strategic,
            patch: inPod(["containers": [["name": "c", "image": "example/c:1"]]]),
            path: ["summary"], expected: ["a=example/a:1[A=1,B=2]", "b=example/b:1[]", "c=example/c:1[]"]),
        Case(
            name: "$patch: delete removes one element", type: strategic,
            patch: inPod(["containers": [["name": "a", "$patch": "delete"]]]),
            path: ["summary"], expected: ["b=example/b:1[]"]),
        Case(
            name: "$patch: replace in a list replaces all of it", type: strategic,
            patch: inPod(["containers": [["$patch": "replace"], ["name": "z", "image": "example/z:1"]]]),
            path: ["summary"], expected: ["z=example/z:1[]"]),
        Case(
            name: "$setElementOrder orders elements", type: strategic,
            patch: inPod([
                "$setElementOrder/containers": [["name": "b"], ["name": "a"]],
                "containers": [["name": "b", "image": "example/b:3"]],
            ]),
            path: ["summary"], expected: ["b=example/b:3[]", "a=example/a:1[A=1,B=2]"]),
        Case(
            name: "Environment variables merge by name", type: strategic,
            patch: inPod([
                "containers": [
                    ["name": "a", "env": [["name": "B", "value": "9"], ["name": "C", "value": "3"]]]
                ]
            ]),
            path: ["summary"], expected: ["a=example/a:1[A=1,B=9,C=3]", "b=example/b:1[]"]),
        Case(
            name: "null removes a field", type: strategic, patch: ["spec": ["minReadySeconds": .null]],
            path: ["spec", "minReadySeconds"], expected: nil),
        Case(
            name: "$patch: replace replaces an object", type: strategic,
            patch: ["metadata": ["labels": ["x": "y", "$patch": "replace"]]],
            path: ["metadata", "labels"], expected: ["x": "y"]),
        Case(
            name: "$retainKeys drops what it does not name", type: strategic,
            patch: ["spec": ["strategy": ["$retainKeys": ["type"], "type": "Recreate"]]],
            path: ["spec", "strategy"], expected: ["type": "Recreate"]),
        Case(
            name: "$deleteFromPrimitiveList takes from a set", type: strategic,
            patch: ["metadata": ["$deleteFromPrimitiveList/finalizers": ["example.com/one"]]],
            path: ["metadata", "finalizers"], expected: ["example.com/two"]),
        Case(
            name: "A set takes what it lacks", type: strategic,
            patch: ["metadata": ["finalizers": ["example.com/two", "example.com/three"]]],
            path: ["metadata", "finalizers"],
            expected: ["example.com/one", "example.com/two", "example.com/three"]),
        Case(
            name: "Merge patch replaces lists whole", type: merge,
            patch: inPod(["containers": [["name": "z", "image": "example/z:1"]]]),
            path: ["summary"], expected: ["z=example/z:1[]"]),
        Case(
            name: "Merge patch removes by null", type: merge,
            patch: ["metadata": ["labels": ["tier": .null, "new": "1"]]],
            path: ["metadata", "labels"], expected: ["app": "web", "new": "1"]),
        Case(
            name: "JSON patch adds, replaces and removes in order", type: json,
            patch: [
                ["op": "test", "path": "/spec/replicas", "value": 2],
                ["op": "replace", "path": "/spec/replicas", "value": 5],
                ["op": "add", "path": "/metadata/labels/a~1b", "value": "c"],
                ["op": "remove", "path": "/metadata/labels/tier"],
            ],
            path: ["metadata", "labels"], expected: ["app": "web", "a/b": "c"]),
        Case(
            name: "JSON patch appends and moves in arrays", type: json,
            patch: [
                [
                    "op": "add", "path": "/spec/template/spec/containers/-",
                    "value": ["name": "c", "image": "example/c:1"],
                ],
                [
                    "op": "move", "from": "/spec/template/spec/containers/0",
                    "path": "/spec/template/spec/containers/1",
                ],
            ],
            path: ["summary"], expected: ["b=example/b:1[]", "a=example/a:1[A=1,B=2]", "c=example/c:1[]"]),
    ]

    static let original: JSONValue = [
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": [
            "name": "web", "labels": ["app": "web", "tier": "front"],
            "finalizers": ["example.com/one", "example.com/two"],
        ],
        "spec": [
            "replicas": 2, "minReadySeconds": 3, "selector": ["matchLabels": ["app": "web"]],
            "template": [
                "metadata": ["labels": ["app": "web"]],
                "spec": [
                    "containers": [
                        [
                            "name": "a", "image": "example/a:1",
                            "env": [["name": "A", "value": "1"], ["name": "B", "value": "2"]],
                        ],
                        ["name": "b", "image": "example/b:1"],
                    ]
                ],
            ],
        ],
    ]

    @Test("Patches give what Kubernetes gives", arguments: cases)
    func patches(test: Case) async throws {
        try await TestCluster.run { cluster in
            let path = "/apis/apps/v1/namespaces/default/deployments"
            #expect(try await cluster.call(.POST, path, Self.original).status == 201)
            let answer = try await cluster.call(.PATCH, path + "/web", test.patch, type: test.type)
            #expect(answer.status == 200, "\(answer.text)")
            let value =
                test.path == ["summary"] ? Self.summary(answer.json) : answer.json.value(at: test.path)
            #expect(value == test.expected)
        }
    }

    /// `name=image[env]` of each container.
    private static func summary(_ object: JSONValue) -> JSONValue {
        .array(
            (object.value(at: containers)?.arrayValue ?? []).map { container in
                let env = (container["env"]?.arrayValue ?? []).map {
                    "\($0["name"]?.stringValue ?? "")=\($0["value"]?.stringValue ?? "")"
                }
                let name = container["name"]?.stringValue ?? ""
                return .string(
                    "\(name)=\(container["image"]?.stringValue ?? "")[\(env.joined(separator: ","))]")
            })
    }

    static let refusals: [(type: String, patch: JSONValue, status: Int)] = [
        (json, [["op": "test", "path": "/spec/replicas", "value": 9]], 422),
        (json, [["op": "remove", "path": "/spec/nothing"]], 422),
        (json, ["op": "add"], 400),
        (strategic, inPod(["containers": [["image": "no name"]]]), 400),
        (strategic, ["metadata": ["$patch": "dance"]], 400),
        ("application/apply-patch+yaml", ["spec": ["replicas": 3]], 422),
        ("text/csv", ["spec": ["replicas": 3]], 415),
        (merge, ["metadata": ["resourceVersion": "1"]], 409),
        (merge, ["spec": ["selector": ["matchLabels": ["a": "b"]]]], 422),
    ]

    @Test("Patches that cannot apply are refused and change nothing", arguments: refusals)
    func refuses(type: String, patch: JSONValue, status: Int) async throws {
        try await TestCluster.run { cluster in
            let path = "/apis/apps/v1/namespaces/default/deployments"
            let created = try await cluster.call(.POST, path, Self.original).json
            #expect(try await cluster.call(.PATCH, path + "/web", patch, type: type).status == status)
            #expect(try await cluster.call(.GET, path + "/web").json == created)
        }
    }
}
