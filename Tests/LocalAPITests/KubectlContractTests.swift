import Foundation
import MeshModel
import Testing

/// Runs real kubectl binaries against the server, and fails on any request that the server did not
/// understand, unless it is on the written list.
@Suite("kubectl contract", .serialized, .timeLimit(.minutes(5))) struct KubectlContractTests {
    /// The kubectl binaries to hold the contract with: 1.20 and whatever is on the path.
    static let binaries: [String] = {
        let environment = ProcessInfo.processInfo.environment
        let old = environment["MESH_KUBECTL_120"] ?? ".build/peers/kubectl-1.20"
        let path = (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/kubectl" }
        return ([old] + (path.first { FileManager.default.isExecutableFile(atPath: $0) }.map { [$0] } ?? []))
            .filter { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    /// Requests that may be answered 404, 405, 406 or 501, and why.
    static let allowed: [(pattern: String, why: String)] = [
        ("GET 404 /api/v1/namespaces/shop$", "apply asks whether the object exists"),
        (
            "GET 404 /api/v1/namespaces/shop/[a-z]+/[a-z0-9-]+$",
            "apply, create and delete ask whether the object exists"
        ),
        ("GET 404 /apis/apps/v1/namespaces/shop/[a-z]+/[a-z0-9-]+$", "likewise"),
        (
            "(GET|POST) 501 /api/v1/namespaces/shop/pods/web/exec.*",
            "exec is not supported by the local cluster"
        ),
    ]

    static let manifest = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, namespace: shop, labels: {app: web}}
        spec:
          replicas: 1
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              containers:
              - name: web
                image: example/web:v1
                ports: [{name: http, containerPort: 8080}]
                env: [{name: A, value: b}]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: shop}
        spec:
          selector: {app: web}
          ports: [{name: http, port: 80, targetPort: 8080}]
        """

    @Test("kubectl is there to be tested against when this runs unattended")
    func isInstalled() {
        if ProcessInfo.processInfo.environment["CI"] == "true" { #expect(Self.binaries.count == 2) }
    }

    @Test("Apply, change, look, follow, scale, roll, read logs, forward and delete", arguments: binaries)
    func contract(binary: String) async throws {
        try await TestCluster.run { cluster in
            let kubectl = try Kubectl(binary: binary, cluster: cluster)
            try await Self.applies(kubectl)
            try await Self.looks(kubectl, cluster)
            try await Self.rolls(kubectl, cluster)
            try await Self.readsLogs(kubectl, cluster)
            try await Self.forwards(kubectl, cluster)
            try await Self.deletes(kubectl, cluster)
            let refused = cluster.requests.entries.filter { [404, 405, 406, 501].contains($0.status) }
            for entry in Set(refused) where !Self.isAllowed(entry) {
                Issue.record("not on the list: \(entry.method) \(entry.status) \(entry.path)")
            }
        }
    }

    private static func isAllowed(_ entry: RequestRecorder.Entry) -> Bool {
        let path = entry.path.prefix { $0 != "?" }
        let line = "\(entry.method) \(entry.status) \(path)"
        return allowed.contains { pattern, _ in
            line.range(of: "^" + pattern, options: .regularExpression) != nil
        }
    }

    private static func applies(_ kubectl: Kubectl) async throws {
        let first = try await kubectl(["apply", "-f", "-"], input: manifest)
        #expect(first.contains("deployment.apps/web created"))
        let second = try await kubectl(["apply", "-f", "-"], input: manifest)
        #expect(second.contains("deployment.apps/web unchanged"))
        let changed = manifest.replacing("replicas: 1", with: "replicas: 2").replacing(
            "value: b", with: "value: c")
        #expect(
            try await kubectl(["apply", "-f", "-"], input: changed).contains("deployment.apps/web configured")
        )
        let path = "{.spec.replicas}{.spec.template.spec.containers[0].env[0].value}"
        #expect(try await kubectl(["get", "deploy", "web", "-o", "jsonpath=\(path)"]) == "2c")
        #expect(
            try await kubectl(["create", "configmap", "settings", "--from-literal=a=b"]).contains("created"))
        #expect(
            try await kubectl(["create", "deployment", "other", "--image=example/other:1"]).contains(
                "created"))
        #expect(try await kubectl(["create", "serviceaccount", "robot"]).contains("created"))
        let unknown = manifest.replacing("replicas: 1", with: "replica: 1")
        if !kubectl.isOld {
            #expect(
                try await kubectl.fails(["apply", "-f", "-"], input: unknown).contains(
                    "unknown field \"spec.replica\""))
        }
    }

    private static func looks(_ kubectl: Kubectl, _ cluster: TestCluster) async throws {
        let pod = TestCluster.pod("web", labels: ["app": "web"])
        #expect(try await cluster.call(.POST, "/api/v1/namespaces/shop/pods", pod).status == 201)
        try await setStatus(cluster, ["phase": "Running", "podIP": "10.244.0.7"])
        let wide = try await kubectl(["get", "deploy,pods,svc", "-o", "wide"])
        #expect(wide.contains("CONTAINERS") && wide.contains("10.244.0.7") && wide.contains("linkerd-local"))
        #expect(try await kubectl(["get", "pods", "-A"]).contains("shop"))
        #expect(
            try await kubectl(["get", "deploy", "web", "-o", "yaml"]).contains("progressDeadlineSeconds: 600")
        )
        #expect(try await kubectl(["get", "all"]).contains("service/web"))
        #expect(try await kubectl(["describe", "pod", "web"]).contains("Service Account") || kubectl.isOld)
        #expect(try await kubectl(["describe", "deploy", "web"]).contains("25% max unavailable"))
        #expect(try await kubectl(["describe", "ns", "shop"]).contains("Active"))
        #expect(try await kubectl(["get", "events"]) == "")
        let watched = try await kubectl.whileRunning(["get", "pods", "-w"]) { output in
            try await eventually("the first row") { output().contains("Running") }
            try await setStatus(cluster, ["phase": "Failed", "reason": "Evicted"])
            try await eventually("the changed row") { output().contains("Evicted") }
        }
        #expect(watched.contains("NAME"))
        try await setStatus(cluster, ["phase": "Running", "reason": .null])
        #expect(try await kubectl(["api-resources"]).contains("deployments"))
        #expect(try await kubectl(["version"]).contains("linkerd"))
        #expect(try await kubectl(["auth", "can-i", "get", "pods"]).contains("yes"))
        #expect(
            try await kubectl.fails(["exec", "web", "--", "ls"]).contains(
                "not supported by the local cluster"))
    }

    private static func rolls(_ kubectl: Kubectl, _ cluster: TestCluster) async throws {
        #expect(try await kubectl(["scale", "deploy/web", "--replicas=3"]).contains("scaled"))
        #expect(try await kubectl(["set", "image", "deploy/web", "web=example/web:v2"]).contains("updated"))
        #expect(try await kubectl(["label", "pod", "web", "tier=front"]).contains("labeled"))
        let rolled = try await kubectl.whileRunning(["rollout", "status", "deploy/web", "--timeout=20s"]) {
            output in
            try await eventually("waiting") { output().contains("Waiting") }
            let path = "/apis/apps/v1/namespaces/shop/deployments/web"
            let generation =
                try await cluster.call(.GET, path).json.value(at: ["metadata", "generation"]) ?? 0
            let status: JSONValue = [
                "observedGeneration": generation, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3,
                "availableReplicas": 3,
            ]
            _ = try await cluster.call(.PATCH, path + "/status", ["status": status], type: PatchTests.merge)
            try await eventually("success") { output().contains("successfully rolled out") }
        }
        #expect(rolled.contains("successfully rolled out"))
    }

    private static func readsLogs(_ kubectl: Kubectl, _ cluster: TestCluster) async throws {
        let pod = try await cluster.call(.GET, "/api/v1/namespaces/shop/pods/web").json
        let uid = pod.value(at: ["metadata", "uid"])?.stringValue ?? ""
        let directory = "\(cluster.directory)/logs/shop_web_\(uid)/app"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try "2026-01-01T00:00:00Z one\n2026-01-01T00:00:01Z two\n".write(
            toFile: directory + "/0.log", atomically: true, encoding: .utf8)
        #expect(try await kubectl(["logs", "web"]) == "one\ntwo\n")
        #expect(
            try await kubectl(["logs", "web", "--tail=1", "--timestamps"]) == "2026-01-01T00:00:01Z two\n")
    }

    private static func forwards(_ kubectl: Kubectl, _ cluster: TestCluster) async throws {
        let node = try await FakeNode(stateDirectory: cluster.directory, greeting: "hello from the pod\n")
        _ = try await kubectl.whileRunning(["port-forward", "web", ":8080"]) { output in
            try await eventually("listening") { output().contains("Forwarding from 127.0.0.1:") }
            let rest = output().split(separator: "127.0.0.1:").dropFirst().first ?? ""
            let port = Int(rest.prefix { $0.isNumber }) ?? 0
            for _ in 0..<3 {
                #expect(try await Kubectl.readLine(port: port) == "hello from the pod")
            }
        }
        try await node.close()
    }

    private static func deletes(_ kubectl: Kubectl, _ cluster: TestCluster) async throws {
        #expect(
            try await kubectl(["delete", "pod", "web", "--grace-period=0", "--force"]).contains("deleted"))
        #expect(try await kubectl(["delete", "deploy", "web"]).contains("deleted"))
        #expect(try await kubectl(["delete", "svc", "--all"]).contains("deleted"))
        #expect(try await kubectl(["delete", "ns", "shop", "--wait=false"]).contains("deleted"))
    }

    private static func setStatus(_ cluster: TestCluster, _ status: JSONValue) async throws {
        let path = "/api/v1/namespaces/shop/pods/web/status"
        let answer = try await cluster.call(.PATCH, path, ["status": status], type: PatchTests.merge)
        #expect(answer.status == 200)
    }
}
