import Foundation
import MeshModel
import Testing

extension ClusterSuites {
    @Suite("U. The past of live requests", .serialized) struct U_Samples {
        let cluster = Cluster.shared
        private let doughnut = "/emojivoto.v1.VotingService/VoteDoughnut"

        /// Rows of `top -o json` about the last ten minutes, once one is about `path`.
        private func rows(_ resource: String, about path: String) async throws -> [JSONValue] {
            var rows: [JSONValue] = []
            try await eventually(within: 150, "a sample of \(path)") {
                let result = try await cluster.linkerd("viz", "top", resource, "-n", "emojivoto", "--at", "now", "-o", "json")
                guard result.status == 0 else { return false }
                rows = try JSONValue(parsing: result.output)["rows"]?.arrayValue ?? []
                return rows.contains { $0["path"]?.stringValue == path && ($0["success"]?.doubleValue ?? 1) < 1 }
            }
            return rows
        }

        @Test("The failing vote is in the past of top, and its requests are kept")
        func doughnut() async throws {
            let rows = try await rows("deploy/web", about: doughnut)
            let row = try #require(rows.first { $0["path"]?.stringValue == doughnut })
            #expect(row["source"]?.stringValue == "deployment/web" && row["destination"]?.stringValue == "deployment/voting")
            #expect(row["method"]?.stringValue == "POST")
            // Both sides of web are there: who calls it, and whom it calls.
            #expect(rows.contains { $0["destination"]?.stringValue == "deployment/web" && $0["path"]?.stringValue == "/api/vote" })
            let exemplars = try await cluster.linkerd("viz", "exemplars", "deploy/voting", "-n", "emojivoto", "-o", "json")
            let failed = try JSONValue(parsing: exemplars.output)["failed"]?.arrayValue ?? []
            #expect(failed.contains { $0["path"]?.stringValue == doughnut && $0["grpc_status"] == 2 }, "\(exemplars)")
            #expect(failed.allSatisfy { $0["destination_pod"]?.stringValue?.hasPrefix("voting-") == true })
        }

        @Test("The tables say how much was sampled; a time before all is said to hold nothing")
        func tables() async throws {
            _ = try await rows("ns/emojivoto", about: doughnut)
            let top = try await cluster.linkerd("viz", "top", "ns/emojivoto", "-t", "10m", "--hide-sources")
            #expect(top.status == 0 && top.output.hasPrefix("Destination"), "\(top)")
            #expect(top.errors.contains("requests were sampled ("), "\(top)")
            let exemplars = try await cluster.linkerd("viz", "exemplars", "deploy/web", "-n", "emojivoto", "--to", "deploy/voting")
            #expect(exemplars.output.contains("VoteDoughnut") && exemplars.output.contains("Unknown"), "\(exemplars)")
            let before = try await cluster.linkerd("viz", "top", "deploy/web", "-n", "emojivoto", "--at", "2020-01-01")
            #expect(before.status == 0 && before.output.isEmpty && before.errors.contains("No requests were sampled"), "\(before)")
            let page = try await Shell.check([
                "curl", "-sS", "http://127.0.0.1:\(cluster.dashboardPort)/api/v1/top?kind=deploy&namespace=emojivoto&name=web&window=10m",
            ])
            #expect(try JSONValue(parsing: page)["rows"]?.arrayValue?.isEmpty == false, "\(page)")
        }

        @Test("Samples take few requests of each proxy, and metrics say how many")
        func rate() async throws {
            _ = try await rows("deploy/web", about: doughnut)
            let pods = try await cluster.kubectl([
                "get", "pods", "-n", "linkerd-viz", "-l", "component=metrics-api", "-o", "jsonpath={.items[*].metadata.name}",
            ])
            let name = try #require(pods.split(separator: " ").first)
            let text = try await cluster.kubectl(
                ["get", "--raw", "/api/v1/namespaces/linkerd-viz/pods/\(name):9995/proxy/metrics"])
            #expect(text.contains("viz_samples_connected 1"), "\(text)")
            func value(_ name: String) -> Double {
                text.split(separator: "\n").first { $0.hasPrefix(name + " ") }.flatMap { Double($0.dropFirst(name.count + 1)) } ?? 0
            }
            #expect(value("viz_sampled_requests_total") > 0)
            #expect(value("viz_sampled_requests_estimated_total") >= value("viz_sampled_requests_total"))
            #expect(value("viz_sampled_proxies") >= 3 && value("viz_sampled_proxies") <= value("viz_sampleable_proxies"))
        }

        @Test("metrics-api may read samples, and accounts that nobody gave the right may not")
        func access() async throws {
            for (account, answer) in [("metrics-api", "true"), ("default", "false")] {
                let review = """
                    {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
                      "user": "system:serviceaccount:linkerd-viz:\(account)",
                      "resourceAttributes": {"verb": "watch", "group": "tap.linkerd.io", "resource": "samples", "subresource": "tap"}}}
                    """
                let text = try await cluster.kubectl(["create", "-f", "-", "-o", "jsonpath={.status.allowed}"], input: review)
                #expect(text == answer || answer == "false" && text.isEmpty, "\(account): \(text)")
            }
        }
    }
}
