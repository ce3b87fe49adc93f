import MeshModel
import Testing

/// What `kubectl get` shows of pods in each state.
@Suite("Tables", .timeLimit(.minutes(2))) struct TableTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let status: JSONValue
        let ready: String
        let shown: String
        let restarts: String
        var testDescription: String { name }
    }

    private static func container(_ state: JSONValue, ready: Bool = false, restarts: Int64 = 0) -> JSONValue {
        [
            "name": "app", "image": "x", "imageID": "", "ready": .bool(ready), "restartCount": .int(restarts),
            "state": state,
        ]
    }

    static let cases: [Case] = [
        Case(name: "new", status: ["phase": "Pending"], ready: "0/1", shown: "Pending", restarts: "0"),
        Case(
            name: "running",
            status: [
                "phase": "Running",
                "containerStatuses": [
                    container(["running": ["startedAt": "2026-01-01T00:00:00Z"]], ready: true, restarts: 2)
                ],
            ], ready: "1/1", shown: "Running", restarts: "2"),
        Case(
            name: "crash loop",
            status: [
                "phase": "Running",
                "containerStatuses": [container(["waiting": ["reason": "CrashLoopBackOff"]], restarts: 5)],
            ], ready: "0/1", shown: "CrashLoopBackOff", restarts: "5"),
        Case(
            name: "completed",
            status: [
                "phase": "Succeeded",
                "containerStatuses": [container(["terminated": ["exitCode": 0, "reason": "Completed"]])],
            ], ready: "0/1", shown: "Completed", restarts: "0"),
        Case(
            name: "exit code",
            status: ["phase": "Failed", "containerStatuses": [container(["terminated": ["exitCode": 3]])]],
            ready: "0/1", shown: "ExitCode:3", restarts: "0"),
        Case(
            name: "unknown image",
            status: [
                "phase": "Pending",
                "containerStatuses": [container(["waiting": ["reason": "ImagePullBackOff"]])],
            ], ready: "0/1", shown: "ImagePullBackOff", restarts: "0"),
        Case(
            name: "evicted", status: ["phase": "Failed", "reason": "Evicted"], ready: "0/1", shown: "Evicted",
            restarts: "0"),
    ]

    @Test("Ready, status and restarts of a pod", arguments: cases)
    func pods(test: Case) async throws {
        try await TestCluster.run { cluster in
            let path = "/api/v1/namespaces/default/pods"
            _ = try await cluster.call(.POST, path, TestCluster.pod("web"))
            let patch: JSONValue = ["status": test.status]
            _ = try await cluster.call(.PATCH, path + "/web/status", patch, type: PatchTests.merge)
            let cells = try await row(cluster, path)
            #expect(cells[0] == "web")
            #expect(cells[1] == .string(test.ready))
            #expect(cells[2] == .string(test.shown))
            #expect(cells[3] == .string(test.restarts))
        }
    }

    @Test("A pod with init containers shows how far they are, and Terminating once deleted")
    func initContainers() async throws {
        try await TestCluster.run { cluster in
            let path = "/api/v1/namespaces/default/pods"
            var pod = TestCluster.pod("web")
            pod.set(
                [["name": "one", "image": "x"], ["name": "two", "image": "x"]],
                at: ["spec", "initContainers"])
            _ = try await cluster.call(.POST, path, pod)
            let statuses: JSONValue = [
                ["name": "one", "state": ["terminated": ["exitCode": 0]]],
                ["name": "two", "state": ["running": ["startedAt": "2026-01-01T00:00:00Z"]]],
            ]
            let patch: JSONValue = ["status": ["initContainerStatuses": statuses]]
            _ = try await cluster.call(.PATCH, path + "/web/status", patch, type: PatchTests.merge)
            #expect(try await row(cluster, path)[2] == "Init:1/2")
            _ = try await cluster.call(.DELETE, path + "/web")
            #expect(try await row(cluster, path)[2] == "Terminating")
        }
    }

    @Test("Wide columns are there with priority 1, and rows carry metadata or nothing as asked")
    func columns() async throws {
        try await TestCluster.run { cluster in
            let path = "/api/v1/namespaces/default/services"
            let table = try await get(cluster, path)
            let columns = table["columnDefinitions"]?.arrayValue ?? []
            #expect(
                columns.compactMap { $0["name"]?.stringValue } == [
                    "Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector",
                ])
            #expect(columns.last?["priority"] == 1)
            let cells = table["rows"]?[0]?["cells"]?.arrayValue ?? []
            #expect(Array(cells.prefix(5)) == ["kubernetes", "ClusterIP", "10.96.0.1", "<none>", "443/TCP"])
            #expect(table["rows"]?[0]?.value(at: ["object", "kind"]) == "PartialObjectMetadata")
            #expect(try await get(cluster, path + "?includeObject=None")["rows"]?[0]?["object"] == nil)
            let whole = try await get(cluster, path + "?includeObject=Object")
            #expect(whole["rows"]?[0]?.value(at: ["object", "spec", "clusterIP"]) == "10.96.0.1")
        }
    }

    private func row(_ cluster: TestCluster, _ path: String) async throws -> [JSONValue] {
        try await get(cluster, path)["rows"]?[0]?["cells"]?.arrayValue ?? []
    }

    private func get(_ cluster: TestCluster, _ path: String) async throws -> JSONValue {
        try await cluster.call(
            .GET, path, headers: [("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")]
        ).json
    }
}
