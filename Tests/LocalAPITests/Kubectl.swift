import Foundation
import LocalAPI
import NIOCore
import NIOPosix
import Synchronization

/// Runs one kubectl binary against a test cluster, in namespace `shop`.
struct Kubectl: Sendable {
    let binary: String
    private let environment: [String: String]

    /// Whether this is a kubectl from before server-side field validation.
    let isOld: Bool

    init(binary: String, cluster: TestCluster) throws {
        self.binary = binary
        isOld = binary.contains("1.20") || binary == ProcessInfo.processInfo.environment["MESH_KUBECTL_120"]
        let path = cluster.directory + "/kubeconfig"
        try cluster.pki.kubeconfig(server: cluster.url, client: cluster.pki.admin)
            .write(toFile: path, atomically: true, encoding: .utf8)
        // Caches of discovery must not leak from one server, or one version, to the next.
        environment = [
            "KUBECONFIG": path, "HOME": cluster.directory,
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "",
        ]
    }

    /// What a command that failed wrote.
    struct Failure: Error, CustomStringConvertible {
        let arguments: [String]
        let output: String
        var description: String { "kubectl \(arguments.joined(separator: " ")): \(output)" }
    }

    /// Runs a command that must succeed; gives its standard output.
    func callAsFunction(_ arguments: [String], input: String = "") async throws -> String {
        let (status, output, errors) = try await run(arguments, input: input)
        guard status == 0 else { throw Failure(arguments: arguments, output: output + errors) }
        return output
    }

    /// Runs a command that must fail; gives everything it wrote.
    func fails(_ arguments: [String], input: String = "") async throws -> String {
        let (status, output, errors) = try await run(arguments, input: input)
        guard status != 0 else { throw Failure(arguments: arguments, output: "succeeded: " + output) }
        return output + errors
    }

    /// Starts a command, runs `body` with a look at its output so far, and then ends it.
    func whileRunning(
        _ arguments: [String], _ body: @Sendable (@Sendable () -> String) async throws -> Void
    ) async throws -> String {
        let process = Process()
        let output = try prepare(process, arguments, input: nil)
        try process.run()
        do {
            try await body { output.text }
        } catch {
            process.terminate()
            throw Failure(arguments: arguments, output: "\(error): \(output.text)")
        }
        process.terminate()
        try await eventually("kubectl ends") { !process.isRunning }
        return output.text
    }

    private func run(_ arguments: [String], input: String) async throws -> (Int32, String, String) {
        let process = Process()
        let errors = Pipe()
        let output = try prepare(process, arguments, input: input)
        let collectedErrors = Collector()
        process.standardError = errors
        errors.fileHandleForReading.readabilityHandler = { collectedErrors.append($0.availableData) }
        try process.run()
        try await eventually(within: .seconds(60), "kubectl \(arguments.joined(separator: " "))") {
            !process.isRunning
        }
        errors.fileHandleForReading.readabilityHandler = nil
        collectedErrors.append(errors.fileHandleForReading.availableData)
        return (process.terminationStatus, output.finish(), collectedErrors.text)
    }

    private func prepare(_ process: Process, _ arguments: [String], input: String?) throws -> Collector {
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments = ["--namespace=shop"] + arguments
        process.environment = environment
        let collector = Collector()
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        collector.attach(output)
        let source = Pipe()
        process.standardInput = source
        if let input { try source.fileHandleForWriting.write(contentsOf: Data(input.utf8)) }
        try source.fileHandleForWriting.close()
        return collector
    }

    /// The first line that a local port sends.
    static func readLine(port: Int) async throws -> String {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, _ in
            var text = ""
            for try await piece in inbound {
                text += String(buffer: piece)
                if text.contains("\n") { break }
            }
            return text.split(separator: "\n").first.map(String.init) ?? ""
        }
    }
}

/// Gathers what a process writes.
final class Collector: Sendable {
    private let data = Mutex(Data())
    private let pipe = Mutex<Pipe?>(nil)

    var text: String { data.withLock { String(decoding: $0, as: UTF8.self) } }

    func append(_ piece: Data) { data.withLock { $0.append(piece) } }

    func attach(_ output: Pipe) {
        pipe.withLock { $0 = output }
        output.fileHandleForReading.readabilityHandler = { [weak self] in self?.append($0.availableData) }
    }

    /// Takes what is still in the pipe; gives everything.
    func finish() -> String {
        let handle = pipe.withLock { $0?.fileHandleForReading }
        handle?.readabilityHandler = nil
        if let rest = try? handle?.readToEnd() { append(rest) }  // Closed already: nothing is left.
        return text
    }
}
