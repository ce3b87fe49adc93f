// Who may tap, asked by a gRPC client that nobody here wrote: Python's grpcio (Debian: python3-grpcio).

import Foundation
import MeshAPI
import MeshTestPKI
import NIOCore
import NIOPosix
import ProxyCore
import SwiftProtobuf
import Synchronization
import Testing

/// Runs `Observe` with Python and prints each message in hexadecimal, then the status.
private let script = """
    import sys, grpc
    address, name, folder, leaf, request = sys.argv[1:6]
    def read(file):
        with open(folder + '/' + file, 'rb') as f: return f.read()
    if leaf == 'plaintext':
        channel = grpc.insecure_channel(address)
    else:
        pair = (None, None) if leaf == 'anonymous' else (read(leaf + '.key'), read(leaf + '.pem'))
        credentials = grpc.ssl_channel_credentials(read('ca.pem'), *pair)
        channel = grpc.secure_channel(address, credentials, [('grpc.ssl_target_name_override', name)])
    observe = channel.unary_stream('/io.linkerd.proxy.tap.Tap/Observe', lambda b: b, lambda b: b)
    call = observe(bytes.fromhex(request), timeout=20)
    print('asked', flush=True)
    try:
        for message in call: print(message.hex(), flush=True)
        print('status', call.code().name, call.details(), flush=True)
    except grpc.RpcError as error:
        print('status', error.code().name, error.details(), flush=True)
    """

private final class PythonTapper: Sendable {
    private let process: Process
    private let lines = Mutex("")

    init(_ address: SocketAddress, name: String, folder: String, leaf: String, request: TapClient.Request) throws {
        process = Process()
        process.executableURL = URL(filePath: "/usr/bin/python3")
        let hex = (try request.serializedBytes() as [UInt8]).map { String(Int($0) + 256, radix: 16).suffix(2) }.joined()
        process.arguments = ["-c", script, "127.0.0.1:\(address.port ?? 0)", name, folder, leaf, hex]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        output.fileHandleForReading.readabilityHandler = { [weak self] handle in
            let text = String(decoding: handle.availableData, as: UTF8.self)
            self?.lines.withLock { $0 += text }
        }
        try process.run()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    var output: String { lines.withLock { $0 } }

    /// The last line, once there is one.
    func status() async throws -> String {
        try await eventually("a status in \(output)", within: .seconds(40)) { output.contains("status ") && output.hasSuffix("\n") }
        return String(output.split(separator: "\n").last ?? "")
    }

    /// The messages so far.
    var events: [TapClient.Event] {
        output.split(separator: "\n").compactMap { line in
            let bytes = stride(from: 0, to: line.count - 1, by: 2).compactMap { index in
                UInt8(line.dropFirst(index).prefix(2), radix: 16)
            }
            return bytes.count * 2 == line.count ? try? TapClient.Event(serializedBytes: bytes) : nil
        }
    }
}

@Suite("Who may tap", .timeLimit(.minutes(3))) struct TapAccessTests {
    private static let tapper = "tap.linkerd-viz.serviceaccount.identity.linkerd.cluster.local"

    /// A certified proxy that only the tapper may tap, and a folder with everybody's certificates.
    private func run(_ body: (ProxyFixture, String) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let identity = try await FakeIdentityServer.start(on: group)
        let folder = FileManager.default.temporaryDirectory.appending(path: "tap-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        func write(_ text: String, _ name: String) throws { try Data(text.utf8).write(to: URL(filePath: folder + "/" + name)) }
        try write("token", "token")
        try write(try identity.authority.pem, "ca.pem")
        for (file, name) in [("tapper", Self.tapper), ("other", MeshPair.voting)] {
            let leaf = try identity.authority.issue(name)
            try write(leaf.chainPEM, file + ".pem")
            try write(leaf.keyPEM, file + ".key")
        }
        var environment = try identity.environment(MeshPair.web, tokenFile: folder + "/token")
        environment["LINKERD2_PROXY_TAP_SVC_NAME"] = Self.tapper
        environment["LINKERD2_PROXY_CONTROL_LISTEN_ADDR"] = "127.0.0.1:0"
        try await ProxyFixture.run(environment, adjust: { $0.trustsLoopbackTaps = false }) { try await body($0, folder) }
        try await identity.stop()
        try await group.shutdownGracefully()
        try FileManager.default.removeItem(atPath: folder)
    }

    private func tapper(_ proxy: ProxyFixture, _ folder: String, _ leaf: String) throws -> PythonTapper {
        try PythonTapper(
            try #require(proxy.runtime.tapAddress), name: MeshPair.web, folder: folder, leaf: leaf,
            request: .all(limit: 1, headers: true))
    }

    @Test("The tap service's identity sees requests, through a stranger's gRPC")
    func allowed() async throws {
        try await run { proxy, folder in
            let server = try await ScriptedServer.answering(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", on: proxy.group)
            let tapper = try tapper(proxy, folder, "tapper")
            let client = try await proxy.inbound(to: server.address)
            // The call is on its way; requests are made until it has seen one.
            try await eventually("three events in \(tapper.output)", within: .seconds(40)) {
                try await client.send("GET /x HTTP/1.1\r\nHost: web\r\n\r\n")
                _ = try await client.take(through: "hi")
                try await Task.sleep(for: .milliseconds(20))
                return tapper.events.count >= 3
            }
            #expect(try await tapper.status() == "status OK ")
            #expect(tapper.events[0].http.requestInit.path == "/x")
            #expect(tapper.events[0].http.requestInit.headers.headers.map(\.name) == ["host"])
            #expect(tapper.events[2].http.responseEnd.responseBytes == 2)
        }
    }

    @Test("Nobody else sees anything", arguments: ["other", "anonymous", "plaintext"])
    func refused(leaf: String) async throws {
        try await run { proxy, folder in
            let status = try await tapper(proxy, folder, leaf).status()
            let reason = leaf == "plaintext" ? "no_tls_from_remote" : "Unauthorized client"
            #expect(status == "status UNAUTHENTICATED \(reason)")
        }
    }
}
