import Foundation
import LocalAPI
import LocalControllers
import Logging
import MeshKubernetes
import MeshModel
import Testing

/// The controllers' loop against the real API server, with a stand-in for the node.
@Suite("Controllers against the API server", .timeLimit(.minutes(2))) struct LiveTests {
    @Test("An applied deployment becomes ready pods behind endpoints, rolls, and goes")
    func lifeCycle() async throws {
        try await Self.withCluster { client in
            try await Self.applyShop(client)
            _ = try await Self.eventually("three ready endpoints") {
                let slices = try await client.list(EndpointSlice.self, namespace: "shop").items
                return slices.flatMap { $0.endpoints ?? [] }.count { $0.conditions?.ready == true } == 3
            }
            let first = try await client.list(ReplicaSet.self, namespace: "shop").items
            #expect(first.count == 1)
            _ = try await client.patch(
                Deployment.self, namespace: "shop", name: "web",
                body: ["spec": ["template": ["spec": ["containers": [["name": "app", "image": "b"]]]]]],
                type: .strategicMerge)
            _ = try await Self.eventually("a complete rollout") {
                let status = try await client.get(Deployment.self, namespace: "shop", name: "web").status
                let pods = try await client.list(Pod.self, namespace: "shop").items
                return status?.observedGeneration == 2 && status?.updatedReplicas == 3
                    && status?.availableReplicas == 3
                    && pods.count == 3 && pods.allSatisfy { $0.spec?.containers.first?.image == "b" }
            }
            try await client.delete(Deployment.self, namespace: "shop", name: "web")
            _ = try await Self.eventually("everything owned is gone") {
                let sets = try await client.list(ReplicaSet.self, namespace: "shop").items
                let pods = try await client.list(Pod.self, namespace: "shop").items
                return sets.isEmpty && pods.isEmpty
            }
            try await client.delete(Namespace.self, name: "shop")
            _ = try await Self.eventually("the namespace is gone") {
                try await client.list(Namespace.self).items.allSatisfy { $0.metadata.name != "shop" }
            }
        }
    }

    @Test("A fresh loop takes over where a killed one stopped, without a pod too many")
    func takesOver() async throws {
        try await Self.withCluster(isControlled: false) { client in
            try await Self.applyShop(client)
            for _ in 0..<3 {
                let lifetime = Task { await Controllers(client: client, logger: Self.logger).run() }
                try await Task.sleep(for: .milliseconds(Int.random(in: 50...400)))
                lifetime.cancel()
                await lifetime.value
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await Controllers(client: client, logger: Self.logger).run() }
                _ = try await Self.eventually("three available") {
                    try await client.get(Deployment.self, namespace: "shop", name: "web").status?
                        .availableReplicas == 3
                }
                #expect(try await client.list(ReplicaSet.self, namespace: "shop").items.count == 1)
                #expect(try await client.list(Pod.self, namespace: "shop").items.count == 3)
                group.cancelAll()
            }
        }
    }

    @Test("A namespace goes away although an aggregated API does not answer")
    func unavailableAPI() async throws {
        try await Self.withCluster { client in
            let spec: JSONValue = [
                "group": "tap.linkerd.io", "version": "v1alpha1", "groupPriorityMinimum": 1000, "versionPriority": 100,
                "insecureSkipTLSVerify": true, "service": ["name": "tap", "namespace": "viz"],
            ]
            _ = try await client.raw(
                "POST", path: "/apis/apiregistration.k8s.io/v1/apiservices",
                body: ["metadata": ["name": "v1alpha1.tap.linkerd.io"], "spec": spec])
            await #expect(throws: KubernetesError.self) {
                try await client.raw("GET", path: "/apis/tap.linkerd.io/v1alpha1")
            }
            _ = try await client.raw("POST", path: "/api/v1/namespaces", body: ["metadata": ["name": "gone"]])
            try await client.delete(Namespace.self, name: "gone")
            _ = try await Self.eventually("the namespace is gone") {
                try await client.list(Namespace.self).items.allSatisfy { $0.metadata.name != "gone" }
            }
        }
    }

    // MARK: Cluster

    static var logger: Logger {
        var logger = Logger(label: "controllers-tests")
        logger.logLevel = .warning
        return logger
    }

    static func withCluster(
        isControlled: Bool = true, _ body: @escaping @Sendable (KubernetesClient) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "controllers-\(UUID().uuidString)"
        ).path()
        defer { try? FileManager.default.removeItem(atPath: directory) }  // A leftover in /tmp harms nobody.
        let pki = try LocalPKI.ensure(stateDirectory: directory, now: Date.now)
        let server = try APIServer(
            config: APIServerConfig(
                stateDirectory: directory, listenAddresses: [.init(host: "127.0.0.1", port: 0)]),
            logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            let port = await server.listeningPorts()[0]
            let text = try pki.kubeconfig(server: "https://127.0.0.1:\(port)", client: pki.admin)
            try text.write(toFile: directory + "/kubeconfig", atomically: true, encoding: .utf8)
            let client = try KubernetesClient(
                config: .load(kubeconfig: directory + "/kubeconfig", context: nil), logger: logger)
            group.addTask { await StandInNode(client: client).run() }
            if isControlled { group.addTask { await Controllers(client: client, logger: logger).run() } }
            do { try await body(client) } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
            while (try? await group.next()) != nil {}  // The server ends with the error of its cancellation.
            await client.shutdown()
        }
    }

    static func applyShop(_ client: KubernetesClient) async throws {
        let namespace: JSONValue = ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "shop"]]
        for (path, object) in [
            ("/api/v1/namespaces", namespace),
            ("/api/v1/namespaces/shop/services", Sample.service()),
            ("/apis/apps/v1/namespaces/shop/deployments", Sample.deployment()),
        ] {
            var object = object
            object.set(nil, at: ["spec", "template", "spec", "containers", "unknownField"])
            _ = try await client.raw("POST", path: path, body: object)
        }
    }

    static func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(40)
        while ContinuousClock.now < deadline {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("never saw \(what)")
        throw CancellationError()
    }
}

/// Does to pods what the node agent does: runs the new ones, lets the terminating ones go.
struct StandInNode: Sendable {
    let client: KubernetesClient

    func run() async {
        let cache = ObjectCache<Pod>(client: client, logger: LiveTests.logger)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await cache.run() }
            var address = 2
            for await _ in cache.changes() {
                for (key, pod) in cache.snapshot().sorted(by: { $0.key < $1.key }) {
                    await serve(key, pod, address: &address)
                }
            }
            group.cancelAll()
        }
    }

    private func serve(_ key: ObjectKey, _ pod: Pod, address: inout Int) async {
        do {
            if pod.metadata.deletionTimestamp != nil {
                try await client.delete(
                    Pod.self, namespace: key.namespace, name: key.name, gracePeriodSeconds: 0)
            } else if pod.status?.podIP == nil {
                address += 1
                let status = FakeCluster.running(address: "10.244.0.\(address % 250)", at: 1)
                _ = try await client.patch(
                    Pod.self, namespace: key.namespace, name: key.name, subresource: "status",
                    body: ["status": status])
            }
        } catch {
            return  // Gone meanwhile: the next change tells.
        }
    }
}
