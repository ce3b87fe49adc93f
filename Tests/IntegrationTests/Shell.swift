import Foundation

/// What a finished command left behind.
struct CommandResult: Sendable, CustomStringConvertible {
    let status: Int32
    let output: String
    let errors: String
    let command: String

    var description: String { "`\(command)` ended with \(status)\n\(output.suffix(4000))\n\(errors.suffix(4000))" }
}

/// A test's expectation of its surroundings that does not hold.
struct SetupError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

enum Shell {
    /// Runs a program to its end; output goes through files, so that no pipe can fill up.
    ///
    /// - Parameter seconds: Bound after which the program is killed and the call throws.
    static func run(
        _ arguments: [String], environment: [String: String] = [:], input: String? = nil, seconds: Double = 60
    ) async throws -> CommandResult {
        let files = try ScratchFiles(input: input)
        defer { files.remove() }
        let process = try start(arguments, environment: environment, files: files)
        let deadline = ContinuousClock.now + .seconds(seconds)
        while process.isRunning {
            if ContinuousClock.now > deadline {
                kill(process.processIdentifier, SIGKILL)
                throw SetupError("\(arguments.joined(separator: " ")) did not end within \(seconds) s:\n\(files.errors)\(files.output)")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        return CommandResult(
            status: process.terminationStatus, output: files.output, errors: files.errors,
            command: arguments.joined(separator: " "))
    }

    /// Runs a program and throws when it does not end with 0.
    @discardableResult
    static func check(
        _ arguments: [String], environment: [String: String] = [:], input: String? = nil, seconds: Double = 60
    ) async throws -> String {
        let result = try await run(arguments, environment: environment, input: input, seconds: seconds)
        guard result.status == 0 else { throw SetupError("\(result)") }
        return result.output
    }

    private static func start(
        _ arguments: [String], environment: [String: String], files: ScratchFiles
    ) throws -> Process {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
        process.standardInput = files.inputHandle
        process.standardOutput = files.outputHandle
        process.standardError = files.errorHandle
        try process.run()
        return process
    }
}

/// The files behind a command's three streams.
private struct ScratchFiles {
    private let folder: URL
    let inputHandle: FileHandle
    let outputHandle: FileHandle
    let errorHandle: FileHandle

    init(input: String?) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "mesh-shell-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for name in ["in", "out", "err"] {
            try Data().write(to: folder.appending(path: name))
        }
        if let input { try Data(input.utf8).write(to: folder.appending(path: "in")) }
        inputHandle = try FileHandle(forReadingFrom: folder.appending(path: "in"))
        outputHandle = try FileHandle(forWritingTo: folder.appending(path: "out"))
        errorHandle = try FileHandle(forWritingTo: folder.appending(path: "err"))
    }

    var output: String { text("out") }
    var errors: String { text("err") }

    private func text(_ name: String) -> String {
        guard let bytes = FileManager.default.contents(atPath: folder.appending(path: name).path) else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }

    func remove() {
        for handle in [inputHandle, outputHandle, errorHandle] { try? handle.close() }  // Already closed is fine.
        try? FileManager.default.removeItem(at: folder)  // A left-over temporary folder harms nobody.
    }
}

/// Waits until `condition` holds, asking again every `interval`; throws with the last reason after `seconds`.
func eventually(
    within seconds: Double, every interval: Duration = .milliseconds(500), _ what: String,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(seconds)
    var reason = "the condition did not hold"
    while ContinuousClock.now < deadline {
        do {
            if try await condition() { return }
        } catch { reason = "\(error)" }
        try await Task.sleep(for: interval)
    }
    throw SetupError("\(what): not within \(seconds) s; last: \(reason)")
}
