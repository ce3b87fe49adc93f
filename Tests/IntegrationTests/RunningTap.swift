import Foundation
import MeshModel
import Testing

/// `linkerd viz tap record`, whose file is read while it grows.
final class RunningTap {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "tap-\(UUID().uuidString)")
    private let process = Process()

    init(_ cluster: Cluster) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data().write(to: folder.appending(path: "err"))
        process.executableURL = URL(filePath: Cluster.program("linkerd"))
        process.arguments = ["viz", "tap", "record", folder.appending(path: "r").path, "ns/emojivoto", "--until", "10m"]
        process.environment = ProcessInfo.processInfo.environment.merging(["KUBECONFIG": cluster.kubeconfig]) { _, new in new }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = try FileHandle(forWritingTo: folder.appending(path: "err"))
        try process.run()
    }

    /// Records the demo's requests while `body` runs; begins when there are some.
    static func recording(_ cluster: Cluster, _ body: (RunningTap) async throws -> Void) async throws {
        try await eventually(within: 90, "the first tap") {
            let result = try await cluster.linkerd("viz", "tap", "deploy/web", "-n", "emojivoto", "--count", "1", "--until", "10s")
            return result.status == 0 && result.output.contains("req id=")
        }
        let tap = try RunningTap(cluster)
        do {
            try await eventually(within: 40, "requests are recorded") { tap.requestCount > 5 }
            try await body(tap)
        } catch {
            tap.stop()
            throw SetupError("\(error)\nthe tap said:\n\(tap.errors.suffix(2_000))")
        }
        tap.stop()
    }

    /// What is recorded so far.
    var text: String { read("r") }
    var errors: String { read("err") }
    var requestCount: Int { text.split(separator: "\n").count { $0.contains("\"requestInitEvent\"") } }

    /// What it says it did not show, in order.
    var losses: [JSONValue] {
        // The last line may still be growing.
        text.split(separator: "\n").filter { $0.contains("\"loss\"") }.compactMap { try? JSONValue(parsing: String($0))["loss"] }
    }

    /// Milliseconds of each time that the tap itself was away.
    var interruptions: [Int] { losses.compactMap { $0.value(at: ["interruption", "milliseconds"])?.intValue } }

    /// Waits until the tap was interrupted and shows requests again.
    func resumes(within seconds: Double) async throws {
        try await eventually(within: seconds, "the tap resumes") { !interruptions.isEmpty }
        let before = requestCount
        try await eventually(within: seconds, "requests are shown again") { requestCount > before + 5 }
    }

    private func read(_ name: String) -> String {
        guard let bytes = FileManager.default.contents(atPath: folder.appending(path: name).path) else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Signals that tests block stay blocked in what they start, except for this one.
    func stop() {
        kill(process.processIdentifier, SIGKILL)
        try? FileManager.default.removeItem(at: folder)  // A left-over temporary folder harms nobody.
    }
}
