import Foundation
import NIOCore
import NIOPosix
import Testing

/// Programs that nobody here wrote, run beside the proxies of a test.
enum PeerProgram {
    /// Debian's Python, which has the peers' libraries; another one in front of it in `PATH` may not.
    static let python = "/usr/bin/python3"

    /// What a finished program said.
    struct Output: CustomStringConvertible {
        let status: Int32
        let text: String
        var description: String { "status \(status)\n\(text.suffix(3_000))" }
    }

    /// The program's path; throws in words when it is not installed.
    static func find(_ name: String) throws -> String {
        if name.hasPrefix("/") {
            guard FileManager.default.isExecutableFile(atPath: name) else { throw missing(name) }
            return name
        }
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []
        let folders =
            ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/bin", "/sbin"]
            + versions.sorted().reversed().map { "/usr/lib/postgresql/\($0)/bin" }
        for folder in folders where FileManager.default.isExecutableFile(atPath: "\(folder)/\(name)") {
            return "\(folder)/\(name)"
        }
        throw missing(name)
    }

    private static func missing(_ name: String) -> DeadlineError {
        DeadlineError(description: "the peer \(name) is not installed: run deploy/setup --test")
    }

    /// Starts a program whose output, both kinds, goes to `log`.
    static func start(_ command: [String], log: URL, folder: URL) throws -> Process {
        guard let name = command.first else { throw DeadlineError(description: "no command") }
        try Data().write(to: log)
        let process = Process()
        process.executableURL = URL(filePath: try find(name))
        process.arguments = Array(command.dropFirst())
        process.currentDirectoryURL = folder
        let handle = try FileHandle(forWritingTo: log)
        process.standardOutput = handle
        process.standardError = handle
        process.standardInput = FileHandle.nullDevice
        try process.run()
        return process
    }

    /// Runs a program to its end.
    static func run(_ command: [String], folder: URL, within deadline: Duration = .seconds(60)) async throws -> Output {
        let log = folder.appending(path: "log-\(UUID().uuidString)")
        let process = try start(command, log: log, folder: folder)
        defer { stop(process) }
        try await eventually("\(command.joined(separator: " ").prefix(200)) ends", within: deadline) { !process.isRunning }
        let text = String(decoding: try Data(contentsOf: log), as: UTF8.self)
        return Output(status: process.terminationStatus, text: text)
    }

    static func stop(_ process: Process) {
        // Children of a test process may block SIGTERM.
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    /// A folder of its own for `body`, readable to peers that run as somebody else.
    static func inFolder<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appending(path: "mesh-peer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder.path)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try await body(folder)
    }

    /// A port of loopback that was free a moment ago.
    static func freePort(on group: any EventLoopGroup) async throws -> Int {
        let listener = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
        let port = listener.localAddress?.port ?? 0
        try await listener.close().get()
        return port
    }

    /// Waits until something listens.
    static func listening(_ port: Int, by process: Process, log: URL, on group: any EventLoopGroup) async throws {
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: port)
        try await eventually("a peer listens; it said: \(text(log))", within: .seconds(30)) {
            guard process.isRunning else { throw DeadlineError(description: "the peer ended: \(text(log))") }
            guard let connection = try? await TestConnection.connect(to: address, on: group) else { return false }
            await connection.close()
            return true
        }
    }

    private static func text(_ log: URL) -> String {
        String(decoding: (try? Data(contentsOf: log)) ?? Data(), as: UTF8.self)
    }
}
