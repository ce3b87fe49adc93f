import Foundation
import MeshModel
import Testing

extension ClusterSuites {
    @Suite("F. Between meshed pods everything is encrypted", .serialized) struct F_Encryption {
        let cluster = Cluster.shared
        private static let suffix = "serviceaccount.identity.linkerd.cluster.local"

        @Test("Every edge of the demo is secured, and both ends are named")
        func edgesAreSecured() async throws {
            try await eventually(within: 60, "three secured edges") {
                let result = try await cluster.linkerd("viz", "edges", "deploy", "-n", "emojivoto", "-o", "json")
                let edges = try JSONValue(parsing: result.output).arrayValue ?? []
                // The tap service samples all four.
                let ofDemo = edges.filter { $0["src_namespace"]?.stringValue == "emojivoto" }
                return ofDemo.count == 3
                    && edges.allSatisfy { edge in
                        edge["client_id"]?.stringValue?.isEmpty == false
                            && edge["server_id"]?.stringValue?.isEmpty == false
                            && (edge["no_tls_reason"]?.stringValue ?? "").isEmpty
                    }
            }
        }

        @Test("On the wire between pods there is TLS, and nothing of what they say")
        func wireIsEncrypted() async throws {
            let node = try #require(cluster.processes(matching: ["local-run node "]).first)
            let script = Cluster.root.appending(path: "Tests/IntegrationTests/Manifests/sniff.py").path
            let result = try await Shell.check(
                ["nsenter", "-t", "\(node)", "-n", "python3", script, "10", "8080,8801", "emojivoto.v1.", "/api/vote", "/api/list"],
                seconds: 30)
            let counts = try JSONValue(parsing: result)
            #expect((counts["tls"]?.intValue ?? 0) > 10, "the demo asks about once a second")
            #expect(counts["shown"]?.objectValue?.values.allSatisfy { $0.intValue == 0 } == true, "\(result)")
        }

        @Test("A client without a proxy is served in plaintext, and counted as such")
        func unmeshedClient() async throws {
            let web = try await cluster.kubectl(["get", "pods", "-n", "emojivoto", "-l", "app=web-svc", "-o", "json"])
            let pod = try #require(try JSONValue(parsing: web)["items"]?.arrayValue?.first)
            let name = try #require(pod.value(at: ["metadata", "name"])?.stringValue)
            let node = try #require(cluster.processes(matching: ["local-run node "]).first)
            let ip = try #require(pod.value(at: ["status", "podIP"])?.stringValue)
            let answer = try await Shell.check(
                ["nsenter", "-t", "\(node)", "-n", "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://\(ip):8080/"],
                seconds: 20)
            #expect(answer == "200")
            let metrics = try await cluster.kubectl(["get", "--raw", "/api/v1/namespaces/emojivoto/pods/\(name):4191/proxy/metrics"])
            let line = metrics.split(separator: "\n").first {
                $0.hasPrefix("request_total{direction=\"inbound\"") && $0.contains("target_port=\"8080\"")
                    && $0.contains("no_tls_reason=\"no_tls_from_remote\"")
            }
            #expect(line != nil)
            let meshed = metrics.split(separator: "\n").first {
                $0.hasPrefix("request_total{direction=\"inbound\"")
                    && $0.contains("client_id=\"default.emojivoto.\(Self.suffix)\"")
            }
            #expect(meshed != nil)
        }

        @Test("Without the identity controller traffic goes on; new pods wait for it, and then serve")
        func identityOutage() async throws {
            try await cluster.kubectl(["scale", "deploy/linkerd-identity", "-n", "linkerd", "--replicas=0"])
            try await eventually(within: 30, "the identity controller is gone") {
                cluster.processes(matching: ["linkerd-controller identity"]).isEmpty
            }
            let before = try await requestsSeen()
            try await eventually(within: 40, "requests go on without it") { try await requestsSeen() > before }
            try await cluster.kubectl(["rollout", "restart", "deploy/emoji", "-n", "emojivoto"])
            try await eventually(within: 30, "the new pod's proxy waits for a certificate") {
                try await cluster.kubectl(["get", "pods", "-n", "emojivoto"]).contains("1/2")
            }
            try await cluster.kubectl(["scale", "deploy/linkerd-identity", "-n", "linkerd", "--replicas=1"])
            try await cluster.kubectl(["rollout", "status", "deploy/emoji", "-n", "emojivoto", "--timeout=60s"], seconds: 70)
            try await eventually(within: 30, "everything is ready") { try await cluster.isHealthy() }
        }

        private func requestsSeen() async throws -> Double {
            let rows = try await cluster.stat("deploy/web", "-n", "emojivoto", "-t", "30m")
            return (rows["web"]?["rps"]?.doubleValue ?? 0) * 1_800
        }
    }
}

extension ClusterSuites {
    @Suite("G. Grafana's dashboards have data", .serialized) struct G_Dashboards {
        let cluster = Cluster.shared

        @Test("Every expression of every dashboard gives data on a real Prometheus, or is empty for a named reason")
        func dashboards() async throws {
            let check = Cluster.root.appending(path: "Tests/Dashboards/check").path
            let said = try await Shell.check([check, "--kubeconfig", cluster.kubeconfig], seconds: 240)
            #expect(said.contains("deployment: "))
        }
    }
}
