import MeshModel
import Testing

extension ClusterSuites {
    @Suite("W. viz check", .serialized) struct W_Check {
        let cluster = Cluster.shared

        private func results(_ arguments: String...) async throws -> (status: Int32, byName: [String: JSONValue]) {
            let answer = try await Shell.run(
                [Cluster.program("linkerd"), "viz", "check", "-o", "json"] + arguments,
                environment: ["KUBECONFIG": cluster.kubeconfig])
            let categories = try JSONValue(parsing: answer.output)["categories"]?.arrayValue ?? []
            let checks = categories.flatMap { $0["checks"]?.arrayValue ?? [] }
            let named = checks.map { ($0["description"]?.stringValue ?? "", $0) }
            return (answer.status, Dictionary(named, uniquingKeysWith: { $1 }))
        }

        @Test("A healthy cluster passes every check, the data plane's too")
        func healthy() async throws {
            let (status, checks) = try await results("--proxy", "-n", "emojivoto", "--wait", "90s")
            #expect(status == 0)
            let failed = checks.values.filter { $0["result"]?.stringValue != "success" }
            #expect(failed.isEmpty && checks.count == 17)
            let table = try await cluster.linkerd("viz", "check")
            #expect(table.output.hasPrefix("linkerd-viz\n-----------\n√ linkerd-viz Namespace exists\n"))
            #expect(table.output.hasSuffix("√ viz extension self-check\n√ [kubernetes] linkerd viz can talk to Kubernetes\n"
                + "√ [prometheus] linkerd viz can talk to Prometheus\n\nStatus check results are √\n"))
        }

        @Test("A program that is gone is a warning that names it")
        func warning() async throws {
            try await cluster.kubectl(["scale", "deploy/tap", "-n", "linkerd-viz", "--replicas=0"])
            let key = "viz extension pods are running"
            try await eventually(within: 60, "the missing tap is noticed") {
                let (status, checks) = try await results("--wait", "0s")
                return status == 0 && checks[key]?["result"]?.stringValue == "warning"
                    && checks[key]?["error"]?.stringValue?.contains("\t* tap") == true
            }
            try await cluster.kubectl(["scale", "deploy/tap", "-n", "linkerd-viz", "--replicas=1"])
            let (status, checks) = try await results("--wait", "90s")
            #expect(status == 0 && checks[key]?["result"]?.stringValue == "success")
        }

        @Test("A missing role is an error that names it, and nothing behind it is claimed")
        func failure() async throws {
            let name = "linkerd-linkerd-viz-tap-admin"
            let role = try await cluster.kubectl(["get", "clusterrole", name, "-o", "yaml"])
            try await cluster.kubectl(["delete", "clusterrole", name])
            let (status, checks) = try await results("--wait", "0s")
            try await cluster.kubectl(["apply", "-f", "-"], input: role)
            #expect(status == 1 && checks.count == 3)
            let found = checks["linkerd-viz ClusterRoles exist"]
            #expect(found?["error"]?.stringValue == "missing ClusterRoles:\n\t* \(name)")
            #expect(found?["hint"]?.stringValue == "https://linkerd.io/2/checks/#l5d-viz-cr-exists")
            let none = try await cluster.linkerd("viz", "check", "--viz-namespace", "emojivoto")
            #expect(none.status == 1 && none.output.hasSuffix("\n\nStatus check results are ×\n"))
        }
    }
}
