import Foundation
import LocalCluster
import Logging
import MeshKubernetes
import Testing

@Suite("Local cluster commands", .timeLimit(.minutes(1))) struct LocalClusterTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let directory = "/tmp/mesh-cluster-\(UUID().uuidString.prefix(8))"

    private func commands(_ directory: String, apiPort: UInt16 = 6443) -> LocalClusterCommands {
        LocalClusterCommands(
            config: LocalClusterConfig(stateDirectory: directory, apiPort: apiPort), logger: Self.logger)
    }

    @Test("A directory that holds no cluster is down, whatever lies in it")
    func down() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        #expect(!commands(directory).isUp)
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try Data("4194304\n".utf8).write(to: URL(filePath: directory + "/supervisor.pid"))
        try Data().write(to: URL(filePath: directory + "/supervisor.lock"))
        #expect(!commands(directory).isUp, "a stale pid file and an unlocked lock are a crash's leftovers")
        let status = await commands(directory).status()
        #expect(status == LocalClusterStatus.down)
    }

    @Test(
        "A state directory too long for its sockets is refused in words",
        .enabled(if: getuid() == 0, "needs root"))
    func longDirectory() async {
        let long = "/tmp/" + String(repeating: "x", count: 60)
        let error = await #expect(throws: LocalClusterError.self) {
            _ = try await commands(long).up(owner: nil) { _ in }
        }
        #expect(error?.kind == .badDirectory)
        #expect(!FileManager.default.fileExists(atPath: long))
    }

    @Test("Purging never removes a directory that is no cluster's", .enabled(if: getuid() == 0, "needs root"))
    func purgeIsCareful() async throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try Data("precious".utf8).write(to: URL(filePath: directory + "/file"))
        let error = await #expect(throws: LocalClusterError.self) {
            _ = try await commands(directory).down(purge: true)
        }
        #expect(error?.kind == .badDirectory)
        #expect(FileManager.default.fileExists(atPath: directory + "/file"))
    }

    @Test("Pods are counted by namespace; a finished one counts as ready")
    func counts() {
        func pod(_ namespace: String, phase: String, ready: String) -> Pod {
            Pod {
                $0.metadata.namespace = namespace
                $0.status = PodStatus {
                    $0.phase = phase
                    $0.conditions = [
                        Condition {
                            $0.type = "Ready"; $0.status = ready
                        }
                    ]
                }
            }
        }
        let counted = LocalClusterStatus.count([
            pod("b", phase: "Running", ready: "True"), pod("b", phase: "Pending", ready: "False"),
            pod("a", phase: "Succeeded", ready: "False"),
        ])
        #expect(counted.map(\.namespace) == ["a", "b"])
        #expect(counted.map(\.ready) == [1, 1] && counted.map(\.total) == [1, 2])
    }
}
