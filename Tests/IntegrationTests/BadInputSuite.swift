import Foundation
import MeshModel
import Testing

extension ClusterSuites {
    @Suite("E. Bad input gets a clear error and loses nothing", .serialized) struct E_BadInput {
        let cluster = Cluster.shared

        @Test("A corrupt rollup store is set aside, and metrics-api starts with a fresh one")
        func corruptRollups() async throws {
            let folder = cluster.stateDirectory + "/volumes/pvc"
            let claims = try FileManager.default.contentsOfDirectory(atPath: folder)
            let claim = try #require(claims.first { $0.contains("metrics-api") || $0.contains("linkerd-viz") })
            let path = "\(folder)/\(claim)/rollups.db"
            #expect(FileManager.default.fileExists(atPath: path))
            for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: path + suffix) {
                let handle = try FileHandle(forWritingTo: URL(filePath: path + suffix))
                try handle.write(contentsOf: Data(repeating: 0x5A, count: 8192))
                try handle.close()
            }
            for pid in cluster.processes(matching: ["linkerd-viz metrics-api"]) { kill(pid, SIGKILL) }
            try await eventually(within: 60, "stat answers from a fresh store") {
                let rows = try await cluster.stat("deploy", "-n", "emojivoto")
                return rows["web"]?["success"]?.doubleValue != nil
            }
            let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(claim)")
            #expect(names.contains { $0.contains("corrupt") }, "\(names)")
        }

        @Test("Malformed and half-open connections cost nobody else anything")
        func malformedTraffic() async throws {
            let file = Cluster.root.appending(path: "Tests/IntegrationTests/Manifests/attacker.yaml")
            try await cluster.kubectl(["apply", "-f", file.path])
            try await eventually(within: 60, "the attacker is through") {
                try await cluster.kubectl(["logs", "attacker", "-n", "emojivoto"]).contains("attack-over")
            }
            let log = try await cluster.kubectl(["logs", "attacker", "-n", "emojivoto"])
            #expect(log.contains("malformed: HTTP/1.1 400"), "\(log)")
            #expect(log.contains("good: HTTP/1.1 200"), "\(log)")
            try await eventually(within: 30, "everything is ready") { try await cluster.isHealthy() }
            try await cluster.kubectl(["delete", "pod", "attacker", "-n", "emojivoto", "--grace-period=1"])
        }
    }
}

/// Commands that must fail in words, without any cluster.
@Suite("local up refuses in words", .serialized, .timeLimit(.minutes(5))) struct LocalRefusalSuite {
    private let folder = "/var/lib/linkerd-local-refusal"

    @Test("A port in use is named, with the flag that changes it")
    func portInUse() async throws {
        let script = """
            import socket, subprocess, sys
            taken = socket.socket(); taken.bind(("127.0.0.1", 16999)); taken.listen()
            done = subprocess.run([sys.argv[1], "local", "up", "--state-dir", sys.argv[2], "--api-port", "16999",
                "--dashboard-port", "16998"], capture_output=True, text=True, timeout=60)
            print(done.returncode, done.stdout, done.stderr)
            """
        let text = try await Shell.check(["python3", "-c", script, Cluster.program("linkerd"), folder], seconds: 90)
        #expect(!text.hasPrefix("0 ") && text.contains("16999") && text.contains("--api-port"), "\(text)")
        try await Shell.check([Cluster.program("linkerd"), "local", "down", "--purge", "--state-dir", folder])
    }

    @Test("Without root, the exact command is told")
    func missingPrivilege() async throws {
        let result = try await Shell.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", Cluster.program("linkerd"), "local", "up"])
        #expect(result.status != 0)
        #expect((result.errors + result.output).contains("sudo "), "\(result)")
    }

    @Test("A full disk is an answer, not a crash, and reads go on")
    func fullDisk() async throws {
        let mount = "/var/lib/linkerd-local-full"
        try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
        try await Shell.check(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", mount])
        let small = Cluster(stateDirectory: mount, apiPort: 27_443, dashboardPort: 27_750)
        do {
            let ports = ["--api-port", "27443", "--dashboard-port", "27750"]
            try await Shell.check([Cluster.program("linkerd"), "local", "up", "--state-dir", mount] + ports, seconds: 90)
            try await small.kubectl(["create", "configmap", "before", "--from-literal=a=b"])
            _ = try await Shell.run(["dd", "if=/dev/zero", "of=\(mount)/filler", "bs=64k"])
            let big = String(repeating: "x", count: 400_000)
            let refused = try await Shell.run(
                ["kubectl", "create", "configmap", "after", "--from-literal=a=\(big.prefix(100_000))"],
                environment: ["KUBECONFIG": small.kubeconfig])
            #expect(refused.status != 0 && refused.errors.lowercased().contains("disk"), "\(refused)")
            #expect(try await small.kubectl(["get", "configmap", "before", "-o", "jsonpath={.data.a}"]) == "b")
            try FileManager.default.removeItem(atPath: mount + "/filler")
            try await eventually(within: 20, "writing works again") {
                try await small.kubectl(["create", "configmap", "later-\(UUID().uuidString.lowercased())", "--from-literal=a=b"])
                return true
            }
        } catch {
            try await cleanUp(mount)
            throw error
        }
        try await cleanUp(mount)
    }

    private func cleanUp(_ mount: String) async throws {
        _ = try await Shell.run([Cluster.program("linkerd"), "local", "down", "--state-dir", mount])
        try await Shell.check(["umount", "-l", mount])
        try FileManager.default.removeItem(atPath: mount)
    }

    @Test("A corrupt state file is set aside and said, and the cluster starts")
    func corruptState() async throws {
        let ports = ["--api-port", "27443", "--dashboard-port", "27750", "--state-dir", folder]
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(repeating: 0x5A, count: 16_384).write(to: URL(filePath: folder + "/state.db"))
        try await Shell.check([Cluster.program("linkerd"), "local", "up"] + ports, seconds: 90)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        try await Shell.check([Cluster.program("linkerd"), "local", "down", "--purge", "--state-dir", folder])
        #expect(names.contains { $0.hasPrefix("state.db.corrupt-") }, "\(names)")
    }
}
