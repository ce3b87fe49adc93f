import Foundation
import MeshModel
import Testing

extension ClusterSuites {
    @Suite("E. History outlives its pod", .serialized) struct E_History {
        let cluster = Cluster.shared

        /// Requests that `web` received within the last half hour, as the store remembers them.
        private func requestsSeen() async throws -> Double {
            let rows = try await cluster.stat("deploy/web", "-n", "emojivoto", "-t", "30m")
            return (rows["web"]?["rps"]?.doubleValue ?? 0) * 1_800
        }

        private func metricsPods() async throws -> [String] {
            let text = try await cluster.kubectl([
                "get", "pods", "-n", "linkerd-viz", "-l", "component=metrics-api", "-o", "jsonpath={.items[*].metadata.name}",
            ])
            return text.split(separator: " ").map(String.init)
        }

        private func survives(_ what: String, _ change: () async throws -> Void) async throws {
            try await eventually(within: 60, "traffic was counted") { try await requestsSeen() > 50 }
            let before = try await requestsSeen()
            let pods = try await metricsPods()
            try await change()
            try await eventually(within: 90, "\(what): another pod answers with what was known") {
                let now = try await metricsPods()
                guard now.count == 1, Set(now).isDisjoint(with: pods) else { return false }
                return try await requestsSeen() >= before
            }
        }

        @Test("The claim is bound, and one writer at a time is the rule")
        func claim() async throws {
            let claim = try await cluster.kubectl(["get", "pvc", "metrics-api", "-n", "linkerd-viz", "-o", "json"])
            let tree = try JSONValue(parsing: claim)
            #expect(tree.value(at: ["spec", "resources", "requests", "storage"])?.stringValue == "2Gi")
            let strategy = try await cluster.kubectl([
                "get", "deploy", "metrics-api", "-n", "linkerd-viz", "-o", "jsonpath={.spec.strategy.type}",
            ])
            #expect(strategy == "Recreate")
        }

        @Test("Deleting the pod keeps the history")
        func deletion() async throws {
            try await survives("after the deletion") {
                try await cluster.kubectl(["delete", "pod", "-n", "linkerd-viz", "-l", "component=metrics-api"], seconds: 90)
            }
        }

        @Test("A new version of the deployment keeps the history")
        func upgrade() async throws {
            try await survives("after the upgrade") {
                try await cluster.kubectl([
                    "patch", "deploy", "metrics-api", "-n", "linkerd-viz", "-p",
                    #"{"spec":{"template":{"metadata":{"annotations":{"example.org/release":"next"}}}}}"#,
                ])
                try await cluster.kubectl(
                    ["rollout", "status", "deploy/metrics-api", "-n", "linkerd-viz", "--timeout=90s"], seconds: 100)
            }
        }
    }

    /// What the exporters of a made-up mesh printed is what metrics-api counts, through restarts and kills.
    @Suite("F. Counts are the truth", .serialized) struct F_Truth {
        /// `MESH_TRUTH_SECONDS=600` is the full run; the default is short.
        static let seconds = ProcessInfo.processInfo.environment["MESH_TRUTH_SECONDS"].flatMap(Int.init) ?? 45

        @Test("Every count of every resource, beside a Prometheus")
        func truth() async throws {
            let script = Cluster.root.appending(path: "Tests/Benchmarks/truth").path
            let result = try await Shell.run(
                [script, "--seconds", "\(Self.seconds)"], environment: ["MESH_BIN": Cluster.programs],
                seconds: Double(Self.seconds) + 240)
            print(result.output)
            #expect(result.status == 0, "\(result)")
            #expect(result.output.contains("| deploy -A |"))
        }
    }
}
