import Foundation
import Testing

extension ClusterSuites {
    @Suite("H. Nothing fails that the mesh can save", .serialized) struct H_Churn {
        let cluster = Cluster.shared

        @Test("Restarts, scaling, and outages of discovery and identity under load: not one failed request")
        func nothingFails() async throws {
            let file = Cluster.root.appending(path: "Tests/IntegrationTests/Manifests/churn.yaml")
            try await apply(try String(contentsOf: file, encoding: .utf8))
            try await rollout("churn")
            let template = Cluster.root.appending(path: "Tests/IntegrationTests/Manifests/client.yaml")
            // Eight connections of 25 requests a second each, for 75 seconds.
            let client = try String(contentsOf: template, encoding: .utf8)
                .replacingOccurrences(of: "NAME", with: "client").replacingOccurrences(of: "namespace: load", with: "namespace: churn")
                .replacingOccurrences(
                    of: "ARGUMENTS", with: "--h1 -m 1 -c 8 --rps 25 -D 75 http://churn.churn:8080/")
            try await apply(client)
            try await eventually(within: 30, "the client's proxy is ready") {
                try await cluster.kubectl(["get", "pod", "client", "-n", "churn"]).contains("2/2")
            }
            try await cluster.kubectl(["rollout", "restart", "deploy/churn", "-n", "churn"])
            try await rollout("churn")
            try await outage("linkerd-destination")
            for replicas in [4, 1, 3] {
                try await cluster.kubectl(["scale", "deploy/churn", "-n", "churn", "--replicas=\(replicas)"])
                try await rollout("churn")
            }
            try await outage("linkerd-identity")
            try await cluster.kubectl(["rollout", "restart", "deploy/churn", "-n", "churn"])
            try await rollout("churn")
            try await eventually(within: 120, every: .seconds(1), "h2load ends") { try await said().contains("finished-load") }
            let text = try await said()
            #expect(text.contains(" 0 failed, 0 errored, 0 timeout"), "\(text.suffix(1500))")
            #expect(text.contains("0 3xx, 0 4xx, 0 5xx"), "\(text.suffix(1500))")
            let line = text.split(separator: "\n").first { $0.hasPrefix("requests: ") } ?? ""
            let total = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            #expect(total > 5_000, "\(line)")
            print(line)
            try await cluster.kubectl(["delete", "namespace", "churn", "--wait=false"])
        }

        private func said() async throws -> String {
            try await cluster.kubectl(["logs", "client", "-c", "client", "-n", "churn"])
        }

        private func apply(_ manifest: String) async throws {
            let injected = try await Shell.check(
                [Cluster.program("linkerd"), "inject", "--manual", "-"],
                environment: ["KUBECONFIG": cluster.kubeconfig], input: manifest)
            try await cluster.kubectl(["apply", "-f", "-"], input: injected)
        }

        private func rollout(_ name: String, namespace: String = "churn") async throws {
            try await cluster.kubectl(
                ["rollout", "status", "deploy/\(name)", "-n", namespace, "--timeout=90s"], seconds: 100)
        }

        /// Takes a controller away for as long as it takes to notice, and brings it back.
        private func outage(_ name: String) async throws {
            try await cluster.kubectl(["scale", "deploy/\(name)", "-n", "linkerd", "--replicas=0"])
            let words = ["linkerd-controller \(name.dropFirst("linkerd-".count))"]
            try await eventually(within: 30, "\(name) is gone") { cluster.processes(matching: words).isEmpty }
            try await cluster.kubectl(["scale", "deploy/\(name)", "-n", "linkerd", "--replicas=1"])
            try await rollout(name, namespace: "linkerd")
        }
    }
}
