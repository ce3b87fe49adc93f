// One local cluster for a suite: brought up before its tests, taken down after them, in a state directory and
// on ports of its own, so that a cluster of the user's is never touched.

import Foundation
import MeshModel
import Testing

/// The cluster that the suites share.
struct Cluster: Sendable {
    let stateDirectory: String
    let apiPort: Int
    let dashboardPort: Int

    /// The repository, found from this file.
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The folder of the built programs: `MESH_BIN`, or the release build.
    static let programs = ProcessInfo.processInfo.environment["MESH_BIN"] ?? root.appending(path: ".build/release").path

    static let shared = Cluster(
        stateDirectory: "/var/lib/linkerd-local-test", apiPort: 26_443, dashboardPort: 25_750)

    static func program(_ name: String) -> String { programs + "/" + name }

    var kubeconfig: String { stateDirectory + "/kubeconfig" }

    private var location: [String] {
        ["--state-dir", stateDirectory]
    }

    /// Starts the cluster with the demo, as a user would.
    func up(seconds: Double = 300) async throws {
        guard geteuid() == 0 else { throw SetupError("the cluster tests need root: run sudo deploy/test") }
        let ports = ["--api-port", "\(apiPort)", "--dashboard-port", "\(dashboardPort)"]
        let result = try await Shell.run(
            [Self.program("linkerd"), "local", "up", "--demo", "emojivoto"] + location + ports, seconds: seconds)
        let said = result.output + result.errors
        guard result.status == 0, said.contains("http://127.0.0.1:\(dashboardPort)") else {
            throw SetupError("local up did not print the dashboard's address: \(result)")
        }
    }

    /// Takes the cluster away, with its data.
    func down() async throws {
        try await Shell.check([Self.program("linkerd"), "local", "down", "--purge"] + location, seconds: 60)
    }

    /// Runs `linkerd` against this cluster.
    func linkerd(_ arguments: String...) async throws -> CommandResult {
        try await Shell.run([Self.program("linkerd")] + arguments, environment: ["KUBECONFIG": kubeconfig])
    }

    /// Runs a kubectl against this cluster; throws unless it ends with 0.
    @discardableResult
    func kubectl(_ arguments: [String], binary: String = "kubectl", input: String? = nil, seconds: Double = 60) async throws -> String {
        try await Shell.check([binary] + arguments, environment: ["KUBECONFIG": kubeconfig], input: input, seconds: seconds)
    }

    /// Rows of `linkerd viz stat … -o json`, by name.
    func stat(_ arguments: String...) async throws -> [String: JSONValue] {
        let result = try await Shell.run(
            [Self.program("linkerd"), "viz", "stat"] + arguments + ["-o", "json"], environment: ["KUBECONFIG": kubeconfig])
        guard result.status == 0 else { throw SetupError("\(result)") }
        let rows = try JSONValue(parsing: result.output).arrayValue ?? []
        return Dictionary(rows.compactMap { row in row["name"]?.stringValue.map { ($0, row) } }, uniquingKeysWith: { $1 })
    }

    /// Whether every pod of the demo and of the two control namespaces is ready.
    func isHealthy() async throws -> Bool {
        for namespace in ["linkerd", "linkerd-viz", "emojivoto"] {
            let text = try await kubectl(["get", "pods", "-n", namespace, "-o", "json"], seconds: 10)
            let pods = try JSONValue(parsing: text)["items"]?.arrayValue ?? []
            if pods.isEmpty { return false }
            for pod in pods {
                let conditions = pod.value(at: ["status", "conditions"])?.arrayValue ?? []
                let ready = conditions.first { $0["type"]?.stringValue == "Ready" }
                if ready?["status"]?.stringValue != "True" { return false }
            }
        }
        return true
    }

    /// Ids of running processes of our programs whose command line contains all `words`. Programs are told by
    /// their executables, so that another checkout's cluster is never touched.
    func processes(matching words: [String]) -> [Int32] {
        let folder = URL(filePath: Self.programs).resolvingSymlinksInPath().path + "/"
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []  // Always there on Linux.
        return entries.compactMap(Int32.init).filter { pid in
            // A process may end while it is looked at.
            guard let executable = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe"),
                executable.hasPrefix(folder), !executable.hasSuffix(".xctest"),
                let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline"), !bytes.isEmpty
            else { return false }
            let name = String(executable.dropFirst(folder.count))
            let line = name + " " + String(decoding: bytes, as: UTF8.self).replacingOccurrences(of: "\0", with: " ")
            return words.allSatisfy(line.contains)
        }
    }
}

/// Brings the shared cluster up around a suite.
struct ClusterTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        guard test.isSuite else { return try await function() }
        let cluster = Cluster.shared
        try await cluster.down()  // What an interrupted run left.
        do {
            try await cluster.up()
            try await function()
        } catch {
            try await cluster.down()
            throw error
        }
        try await cluster.down()
    }

    func scopeProvider(for test: Test, testCase: Test.Case?) -> ClusterTrait? { test.isSuite ? self : nil }
}

extension Trait where Self == ClusterTrait {
    /// The suite's tests run against the shared local cluster.
    static var localCluster: Self { Self() }
}
