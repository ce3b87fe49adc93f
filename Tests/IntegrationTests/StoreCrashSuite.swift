import Foundation
import MeshModel
import Testing

/// The store's writer is a process of its own here, and dies by SIGKILL at moments of chance. `MESH_KILLS=100` is
/// what the issue asks for; the default is short.
@Suite("The rollup store under kill -9", .serialized, .timeLimit(.minutes(30)))
struct StoreCrashSuite {
    static let killCount = ProcessInfo.processInfo.environment["MESH_KILLS"].flatMap(Int.init) ?? 10
    static let seed = ProcessInfo.processInfo.environment["MESH_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 1...1_000_000)
    /// A fixed end, on a minute: all runs continue one history.
    static let endMilliseconds = "1700049600000"

    private let folder = FileManager.default.temporaryDirectory.appending(path: "store-crash-\(UUID().uuidString)")

    private func arguments(_ more: String...) -> [String] {
        [
            Cluster.program("linkerd-viz"), "store", "simulate", "--store", folder.path + "/rollups.db", "--fine", "--days", "0.4",
            "--end", Self.endMilliseconds, "--workloads", "8", "--pods-per-workload", "2", "--calls", "3",
        ] + more
    }

    /// The last commit that a writer told of.
    private func lastCommit(_ text: String) -> Int? {
        for line in text.split(separator: "\n").reversed() {
            // The last line may be cut by the kill.
            if let value = try? JSONValue(parsing: String(line))["committedMs"]?.intValue { return value }
        }
        return nil
    }

    private func verify() async throws -> JSONValue {
        let result = try await Shell.run(arguments("--verify"), seconds: 120)
        let line = try #require(result.output.split(separator: "\n").last, "\(result)")
        #expect(result.status == 0, "\(result)")
        return try JSONValue(parsing: String(line))
    }

    @Test("What was acknowledged is there, once, after every kill; the file is sound")
    func survives() async throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }  // A left-over temporary folder harms nobody.
        var random = SystemSeed(seed: Self.seed)
        print("kills: \(Self.killCount), MESH_SEED=\(Self.seed)")
        var acknowledged = 0
        var killed = 0
        for _ in 0..<Self.killCount {
            let output = folder.appending(path: "out")
            try Data().write(to: output)
            let process = Process()
            process.executableURL = URL(filePath: arguments()[0])
            process.arguments = Array(arguments().dropFirst())
            process.standardOutput = try FileHandle(forWritingTo: output)
            process.standardError = FileHandle.nullDevice
            try process.run()
            try await Task.sleep(for: .milliseconds(Int.random(in: 5...600, using: &random)))
            if process.isRunning { killed += 1 }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            let text = try String(contentsOf: output, encoding: .utf8)
            if let commit = lastCommit(text) {
                #expect(commit >= acknowledged, "a run begins where the one before was killed")
                acknowledged = commit
            }
            let report = try await verify()
            #expect(report["wrong"]?.intValue == 0 && report["corruptChunks"]?.intValue ?? 0 == 0, "\(report)")
            #expect(report["lastMs"]?.intValue ?? 0 >= acknowledged, "acknowledged \(acknowledged): \(report)")
        }
        #expect(killed > Self.killCount / 2, "the writer was done too soon to be killed: \(killed) of \(Self.killCount)")
        try await Shell.check(arguments(), seconds: 600)
        let report = try await verify()
        #expect(report["wrong"]?.intValue == 0 && "\(report["lastMs"]?.intValue ?? 0)" == Self.endMilliseconds, "\(report)")
        let check = try await Shell.check(
            [Cluster.program("linkerd-viz"), "store", "check", "--store", folder.path + "/rollups.db"], seconds: 120)
        #expect(try JSONValue(parsing: check)["isSound"]?.boolValue == true, "\(check)")
        print("killed \(killed) times; \(report)")
    }
}

/// SplitMix64, so that a failing run can be repeated.
private struct SystemSeed: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
