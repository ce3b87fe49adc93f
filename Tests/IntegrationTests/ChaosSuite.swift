import Foundation
import MeshModel
import Testing

extension ClusterSuites {
    @Suite("C. Whatever dies, comes back", .serialized) struct C_Chaos {
        let cluster = Cluster.shared

        /// Requests that `web` received in the last ten minutes, as the store remembers them.
        private func requestsSeen() async throws -> Double {
            let rows = try await cluster.stat("deploy/web", "-n", "emojivoto", "-t", "30m")
            return (rows["web"]?["rps"]?.doubleValue ?? 0) * 1800
        }

        @Test("kill -9 on metrics-api loses one scrape at most")
        func storeSurvives() async throws {
            let before = try await requestsSeen()
            #expect(before > 0)
            let victims = cluster.processes(matching: ["linkerd-viz metrics-api"])
            #expect(!victims.isEmpty)
            for pid in victims { kill(pid, SIGKILL) }
            try await eventually(within: 30, "metrics-api answers again, with what it knew") {
                try await requestsSeen() >= before
            }
        }

        /// Each component's process, by words of its command line.
        static let components: [[String]] = [
            ["local-run apiserver"], ["local-run controllers"], ["local-run node "], ["local-run forwarder"], ["linkerd-controller destination"],
            ["linkerd-controller identity"], ["linkerd-controller proxy-injector"],
            ["linkerd-viz metrics-api"], ["linkerd-viz web"], ["linkerd-proxy"], ["emojivoto web"], ["emojivoto emoji"],
            ["emojivoto voting"], ["emojivoto vote-bot"],
        ]

        @Test("kill -9 on a component heals within 30 s", arguments: components)
        func heals(words: [String]) async throws {
            let victims = cluster.processes(matching: words)
            #expect(!victims.isEmpty, "no process runs as \(words)")
            for pid in victims { kill(pid, SIGKILL) }
            try await eventually(within: 30, "\(words) is running again, and everything is ready") {
                let replacements = cluster.processes(matching: words).filter { !victims.contains($0) }
                guard replacements.count >= victims.count else { return false }
                return try await cluster.isHealthy()
            }
            try await trafficFlows()
        }

        /// The demo's requests are counted anew after the damage.
        private func trafficFlows() async throws {
            let before = try await requestsSeen()
            try await eventually(within: 40, "requests are counted again") { try await requestsSeen() > before }
        }

        @Test("kill -9 on the supervisor leaves nothing, and local up brings the same state back")
        func supervisorDies() async throws {
            try await cluster.kubectl(["create", "configmap", "keepsake", "-n", "emojivoto", "--from-literal=a=b"])
            let supervisors = cluster.processes(matching: ["local-run supervisor"])
            #expect(supervisors.count == 1)
            for pid in supervisors { kill(pid, SIGKILL) }
            try await eventually(within: 5, every: .milliseconds(200), "everything the supervisor made is gone") {
                cluster.processes(matching: []).isEmpty
            }
            let links = try await Shell.check(["ip", "-o", "link"])
            #expect(!links.contains("mesh") && !links.contains("pod"), "\(links)")
            try await cluster.up()
            let keepsake = try await cluster.kubectl(["get", "configmap", "keepsake", "-n", "emojivoto", "-o", "jsonpath={.data.a}"])
            #expect(keepsake == "b")
            try await eventually(within: 60, "everything is ready again") { try await cluster.isHealthy() }
        }
    }
}
