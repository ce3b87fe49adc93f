import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// A real Prometheus over blocks made from OpenMetrics text, on a loopback port, for as long as a test needs it.
final class PrometheusServer: Sendable {
    struct SetupError: Error, CustomStringConvertible { let description: String }

    let url: String
    private let process: Process
    private let lifeline: Pipe

    /// Makes the blocks, starts the server and waits until it is ready.
    ///
    /// - Throws: `SetupError` when `prometheus` or `promtool` is missing: `deploy/setup --test` installs both.
    static func start(openMetrics: String) async throws -> PrometheusServer {
        let folder = NSTemporaryDirectory() + "prometheus-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(openMetrics.utf8).write(to: URL(filePath: folder + "/series.om"))
        try Data("global:\n  scrape_interval: 10s\n".utf8).write(to: URL(filePath: folder + "/prometheus.yml"))
        try await run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder + "/series.om", folder + "/data"])
        let port = try await freePort()
        // The shell waits on a pipe of ours: whatever becomes of this process, the server and its files go with it.
        let script = "prometheus \"$@\" </dev/null & server=$!; cat >/dev/null; kill -9 $server; wait; rm -rf \(folder)"
        let lifeline = Pipe()
        let process = try launch(
            [
                "sh", "-c", script, "sh", "--config.file=\(folder)/prometheus.yml",
                "--storage.tsdb.path=\(folder)/data", "--storage.tsdb.retention.time=100y",
                "--web.listen-address=127.0.0.1:\(port)", "--log.level=error",
            ], input: lifeline)
        let server = PrometheusServer(url: "http://127.0.0.1:\(port)", process: process, lifeline: lifeline)
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            let request = HTTPClientRequest(url: server.url + "/-/ready")
            // Not listening yet.
            if let answer = try? await HTTPClient.shared.execute(request, timeout: .seconds(1)), answer.status == .ok {
                return server
            }
            guard process.isRunning else { throw SetupError(description: "the shell around prometheus ended at once") }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw SetupError(description: "prometheus was not ready within 30 s")
    }

    private init(url: String, process: Process, lifeline: Pipe) {
        self.url = url
        self.process = process
        self.lifeline = lifeline
    }

    deinit { try? lifeline.fileHandleForWriting.close() }

    private static func launch(_ arguments: [String], input: Pipe? = nil) throws -> Process {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments
        if let input { process.standardInput = input } else { process.standardInput = FileHandle.nullDevice }
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    private static func run(_ arguments: [String]) async throws {
        let process = try launch(arguments)
        let deadline = ContinuousClock.now + .seconds(60)
        while process.isRunning {
            guard ContinuousClock.now < deadline else {
                kill(process.processIdentifier, SIGKILL)
                throw SetupError(description: "\(arguments.joined(separator: " ")) did not end within a minute")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        guard process.terminationStatus == 0 else {
            throw SetupError(
                description: "\(arguments.joined(separator: " ")) ended with \(process.terminationStatus); "
                    + "deploy/setup --test installs prometheus and promtool")
        }
    }

    private static func freePort() async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = channel.localAddress?.port
        try await channel.close()
        guard let port else { throw SetupError(description: "no free port") }
        return port
    }
}
