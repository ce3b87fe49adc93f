import Foundation
import MeshMetrics
import Testing

extension ClusterSuites {
    /// A client pod and a server pod, both meshed: every request crosses two proxies.
    @Suite("D. A million requests, none lost", .serialized) struct D_Million {
        let cluster = Cluster.shared
        /// `MESH_REQUESTS` shortens the run while working on it; the default is what the issue asks for.
        static let requestCount = ProcessInfo.processInfo.environment["MESH_REQUESTS"].flatMap(Int.init) ?? 1_000_000

        private func apply(_ manifest: String) async throws {
            let injected = try await Shell.check([Cluster.program("linkerd"), "inject", "--manual", "-"], environment: ["KUBECONFIG": cluster.kubeconfig],
                input: manifest)
            try await cluster.kubectl(["apply", "-f", "-"], input: injected)
        }

        private func startServer() async throws {
            let file = Cluster.root.appending(path: "Tests/IntegrationTests/Manifests/load.yaml")
            try await apply(String(contentsOf: file, encoding: .utf8))
            for name in ["load-h1", "load-h2"] {
                try await cluster.kubectl(["rollout", "status", "deploy/\(name)", "-n", "load", "--timeout=90s"], seconds: 100)
            }
        }

        /// Starts a meshed pod that runs h2load to its end, and returns what h2load printed.
        private func load(_ name: String, arguments: String) async throws -> String {
            let template = Cluster.root.appending(path: "Tests/IntegrationTests/Manifests/client.yaml")
            let manifest = try String(contentsOf: template, encoding: .utf8)
                .replacingOccurrences(of: "NAME", with: name).replacingOccurrences(of: "ARGUMENTS", with: arguments)
            try await apply(manifest)
            try await eventually(within: 900, every: .seconds(2), "h2load ends") {
                try await cluster.kubectl(["logs", name, "-c", "client", "-n", "load"]).contains("finished-load")
            }
            return try await cluster.kubectl(["logs", name, "-c", "client", "-n", "load"])
        }

        /// Sums a counter over a pod's exposition, fetched through its admin port.
        private func counter(_ metric: String, direction: String, pod: String) async throws -> Int {
            let path = "/api/v1/namespaces/load/pods/\(pod):4191/proxy/metrics"
            let bytes = Array(try await cluster.kubectl(["get", "--raw", path]).utf8)
            var parser = ExpositionParser()
            var sum = 0.0
            parser.forEachSample(in: bytes) { sample in
                guard ExpositionParser.text(of: sample.name, in: bytes) == metric else { return }
                let labels = ExpositionParser.labels(of: sample, in: bytes)
                // Probes and scrapes of the admin port are inbound too.
                if labels["direction"] == direction, labels["target_port"] != "4191" { sum += sample.value }
            }
            return Int(sum)
        }

        private func serverPod(_ name: String) async throws -> String {
            try await cluster.kubectl(["get", "pods", "-n", "load", "-l", "app=\(name)", "-o", "jsonpath={.items[0].metadata.name}"])
        }

        @Test("HTTP/1.1 and HTTP/2: no error, and the counters equal what was sent", arguments: ["h1", "h2"])
        func countsEveryRequest(version: String) async throws {
            try await startServer()
            let flags = version == "h1" ? "--h1 -m 1" : "-m 8"
            let server = try await serverPod("load-\(version)")
            let before = try await counter("response_total", direction: "inbound", pod: server)
            let text = try await load(
                "client-\(version)", arguments: "\(flags) -n \(Self.requestCount) -c 32 http://load-\(version).load:8080/")
            let expected = "requests: \(Self.requestCount) total, \(Self.requestCount) started, \(Self.requestCount) done, "
                + "\(Self.requestCount) succeeded, 0 failed, 0 errored, 0 timeout"
            #expect(text.contains(expected), "\(text.suffix(2000))")
            let sent = try await counter("response_total", direction: "outbound", pod: "client-\(version)")
            #expect(sent == Self.requestCount)
            let received = try await counter("response_total", direction: "inbound", pod: server) - before
            #expect(received == Self.requestCount)
            try await cluster.kubectl(["delete", "pod", "client-\(version)", "-n", "load", "--grace-period=1"])
        }
    }
}
