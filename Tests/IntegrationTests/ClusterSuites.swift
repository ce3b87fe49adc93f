import Foundation
import MeshModel
import Testing

/// Everything that runs in the shared cluster, one test after the other. They say loudly what is missing.
@Suite("The local cluster", .serialized, .localCluster, .timeLimit(.minutes(40)))
struct ClusterSuites {}

extension ClusterSuites {
    @Suite("A. The demo shows its fault", .serialized) struct A_Demo {
        let cluster = Cluster.shared

        @Test("Four meshed workloads; web and voting fail, emoji does not, vote-bot receives nothing")
        func showsFault() async throws {
            try await eventually(within: 90, "stat shows the demo's fault") {
                let rows = try await cluster.stat("deploy", "-n", "emojivoto")
                guard Set(rows.keys) == ["emoji", "vote-bot", "voting", "web"] else { return false }
                guard rows.values.allSatisfy({ $0["meshed"]?.stringValue == "1/1" }) else { return false }
                guard let web = rows["web"]?["success"]?.doubleValue, let voting = rows["voting"]?["success"]?.doubleValue
                else { return false }
                return web < 1 && voting < 1 && rows["emoji"]?["success"]?.doubleValue == 1
                    && rows["vote-bot"]?["success"] == .null
            }
            let table = try await cluster.linkerd("viz", "stat", "deploy", "-n", "emojivoto")
            #expect(table.status == 0)
            let bot = try #require(table.output.split(separator: "\n").first { $0.hasPrefix("vote-bot") })
            #expect(bot.split(separator: " ").map(String.init) == ["vote-bot", "1/1", "-", "-", "-", "-", "-", "-"])
            print(table.output)
        }

        @Test("Filters follow the edges: web talks to emoji and voting, vote-bot to web")
        func followsEdges() async throws {
            let toVoting = try await cluster.stat("deploy", "-n", "emojivoto", "--to", "deploy/voting")
            #expect(Set(toVoting.keys) == ["web"])
            let fromWeb = try await cluster.stat("deploy", "-n", "emojivoto", "--from", "deploy/web")
            #expect(Set(fromWeb.keys) == ["emoji", "voting"])
            let fromBot = try await cluster.stat("deploy", "-n", "emojivoto", "--from", "deploy/vote-bot")
            #expect(Set(fromBot.keys) == ["web"])
        }

        @Test("Namespaces, pods and services have their numbers too")
        func coversKinds() async throws {
            let namespaces = try await cluster.stat("ns")
            #expect(namespaces["emojivoto"]?["meshed"]?.stringValue == "4/4")
            let pods = try await cluster.stat("po", "-n", "emojivoto")
            #expect(pods.count == 4)
            let services = try await cluster.stat("svc", "-n", "emojivoto")
            #expect(Set(services.keys).isSuperset(of: ["web-svc", "emoji-svc", "voting-svc"]))
        }

        @Test("version names client and server")
        func printsVersions() async throws {
            let result = try await cluster.linkerd("version")
            #expect(result.status == 0)
            #expect(result.output == "Client version: 0.1.0\nServer version: 0.1.0\n")
        }

        @Test("The dashboard serves the same numbers as the terminal")
        func dashboardAgrees() async throws {
            let base = "http://127.0.0.1:\(cluster.dashboardPort)"
            try await eventually(within: 30, "dashboard and terminal agree") {
                let page = try await Shell.check([
                    "curl", "-sS", "--fail", "\(base)/api/tps-reports?resource_type=deployment&namespace=emojivoto&window=10m",
                ])
                let tables = try JSONValue(parsing: page).value(at: ["ok", "statTables"])?.arrayValue ?? []
                let rows = tables.first?.value(at: ["podGroup", "rows"])?.arrayValue ?? []
                let terminal = try await cluster.stat("deploy", "-n", "emojivoto", "-t", "10m")
                return rows.count == 4 && rows.allSatisfy { row in
                    guard let name = row.value(at: ["resource", "name"])?.stringValue else { return false }
                    return Self.successRate(row) == terminal[name]?["success"]?.doubleValue
                }
            }
        }

        private static func successRate(_ row: JSONValue) -> Double? {
            func count(_ key: String) -> Double {
                let value = row.value(at: ["stats", key])
                return value?.doubleValue ?? value?.stringValue.flatMap(Double.init) ?? 0
            }
            let total = count("successCount") + count("failureCount")
            return total > 0 ? count("successCount") / total : nil
        }

        @Test("A browser draws the graph vote-bot → web → emoji, voting")
        func browserDrawsGraph() async throws {
            let base = "http://127.0.0.1:\(cluster.dashboardPort)"
            let browse = Cluster.root.appending(path: "Tests/IntegrationTests/Manifests/browse.py").path
            let words = ["<svg", "vote-bot", "web", "emoji", "voting", "rps"]
            for width in ["1280", "375"] {
                let page = try await Shell.check(
                    ["python3", browse, base + "/namespaces/emojivoto", "40", width, "-"] + words, seconds: 90)
                #expect(page.contains("linkerd viz stat deploy -n emojivoto"))
            }
            let workload = try await Shell.check(
                ["python3", browse, base + "/namespaces/emojivoto/deployments/voting", "40", "1280", "-", "web", "%"], seconds: 90)
            #expect(workload.contains("<svg"))
        }
    }

    @Suite("B. kubectl, old and new", .serialized) struct B_Kubectl {
        let cluster = Cluster.shared
        static let binaries = ["kubectl", Cluster.root.appending(path: ".build/peers/kubectl-1.20").path]

        @Test("get, describe, logs, scale and rollout", arguments: binaries)
        func worksThroughTheList(binary: String) async throws {
            let inDemo = ["-n", "emojivoto"]
            let pods = try await cluster.kubectl(["get", "pods", "-o", "wide"] + inDemo, binary: binary)
            #expect(pods.split(separator: "\n").filter { $0.contains(" 2/2 ") && $0.contains("Running") }.count == 4, "\(pods)")
            #expect(pods.contains("10.244."))
            let known = [
                "deploy": "vote-bot", "rs": "web-", "svc": "web-svc", "endpoints": "voting-svc", "endpointslices": "emoji-svc",
                "configmaps": "kube-root-ca.crt", "serviceaccounts": "voting", "events": "Started",
            ]
            for (kind, name) in known {
                let text = try await cluster.kubectl(["get", kind] + inDemo, binary: binary)
                #expect(text.contains(name), "\(kind): \(text)")
            }
            #expect(try await cluster.kubectl(["get", "nodes"], binary: binary).contains("linkerd-local"))
            #expect(try await cluster.kubectl(["get", "namespaces"], binary: binary).contains("linkerd-viz"))
            let description = try await cluster.kubectl(["describe", "deploy", "web"] + inDemo, binary: binary)
            #expect(description.contains("linkerd-proxy") && description.contains("1 available"), "\(description)")
            let pod = try await cluster.kubectl(["describe", "pod", "-l", "app=web-svc"] + inDemo, binary: binary)
            #expect(pod.contains("Started container"), "\(pod)")
            let logs = try await cluster.kubectl(["logs", "deploy/web", "-c", "linkerd-proxy", "--tail=5"] + inDemo, binary: binary)
            #expect(!logs.isEmpty)
            try await cluster.kubectl(["scale", "deploy", "web", "--replicas=2"] + inDemo, binary: binary)
            try await cluster.kubectl(["rollout", "status", "deploy/web", "--timeout=60s"] + inDemo, binary: binary, seconds: 70)
            try await cluster.kubectl(["scale", "deploy", "web", "--replicas=1"] + inDemo, binary: binary)
            try await cluster.kubectl(["rollout", "status", "deploy/web", "--timeout=60s"] + inDemo, binary: binary, seconds: 70)
        }

        @Test("port-forward reaches the demo's page", arguments: binaries)
        func forwardsPorts(binary: String) async throws {
            let script = """
                set -e
                "$1" -n emojivoto port-forward svc/web-svc 18080:80 >/dev/null 2>&1 &
                forward=$!
                trap 'kill $forward; wait $forward 2>/dev/null || true' EXIT
                for attempt in $(seq 50); do curl -sf http://127.0.0.1:18080/api/list && exit 0; sleep 0.2; done
                exit 1
                """
            let list = try await Shell.check(["bash", "-c", script, "bash", binary], environment: ["KUBECONFIG": cluster.kubeconfig])
            #expect(list.contains(":doughnut:"))
        }

        @Test("exec says clearly that it is not there yet")
        func execIsRefused() async throws {
            let result = try await Shell.run(
                ["kubectl", "exec", "-n", "emojivoto", "deploy/web", "--", "true"], environment: ["KUBECONFIG": cluster.kubeconfig])
            #expect(result.status != 0)
            #expect(result.errors.contains("not") && !result.errors.contains("panic"), "\(result)")
        }

        @Test("An unknown kind is refused in words, and loses nothing")
        func refusesUnknownKind() async throws {
            let manifest = "apiVersion: nobody.example/v1\nkind: Frobnicator\nmetadata:\n  name: x\n"
            let result = try await Shell.run(
                ["kubectl", "apply", "-f", "-"], environment: ["KUBECONFIG": cluster.kubeconfig], input: manifest)
            #expect(result.status != 0 && result.errors.contains("Frobnicator"), "\(result)")
            try await eventually(within: 30, "everything is ready") { try await cluster.isHealthy() }
        }
    }
}
