// Against a peer that nobody here wrote: the openssl command, over real sockets.

import Foundation
import MeshTLS
import MeshTestPKI
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// A folder with certificates in files, and commands that use them.
private struct Peer: ~Copyable {
    let folder: URL

    init(_ mesh: TestMesh) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "mesh-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let files = [
            "ca.pem": try mesh.root.pem, "web.pem": mesh.web.chainPEM, "web.key": mesh.web.keyPEM,
            "bot.pem": mesh.bot.chainPEM, "bot.key": mesh.bot.keyPEM,
        ]
        for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// Starts `openssl` in the folder; its output goes to the file `name`.
    func start(_ arguments: [String], output name: String) throws -> Command {
        let file = folder.appending(path: name)
        try Data().write(to: file)
        let process = Process()
        let input = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = folder
        process.standardInput = input
        let handle = try FileHandle(forWritingTo: file)
        process.standardOutput = handle
        process.standardError = handle
        try process.run()
        return Command(process: process, input: input.fileHandleForWriting, file: file)
    }
}

/// A running command.
private struct Command {
    let process: Process
    let input: FileHandle
    let file: URL

    var output: String { (try? String(contentsOf: file, encoding: .utf8)) ?? "" }

    func stop() {
        // Not SIGTERM: a test of signals in this process may have blocked it, and children inherit that.
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }

    /// Waits for something in the output.
    func waits(for text: String) async throws {
        try await eventually("\(text) in: \(output)") { output.contains(text) }
    }

    func ends() async throws {
        try await eventually("end of the command") { !process.isRunning }
    }
}

private struct DeadlineError: Error, CustomStringConvertible { let description: String }

private func eventually(_ what: @autoclosure () -> String, _ condition: () throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(20)
    while ContinuousClock.now < end {
        if try condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    throw DeadlineError(description: "not in time: " + what())
}

/// What a connection's handlers saw, for the test's thread.
private final class Seen: Sendable {
    struct State {
        var text = ""
        var peers: [TLSPeer] = []
        var errors: [TLSError.Kind] = []
        var isInputClosed = false
    }
    let state = Mutex(State())
    var now: State { state.withLock { $0 } }
}

private final class Echo: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let seen: Seen
    private let isEchoing: Bool

    init(_ seen: Seen, isEchoing: Bool) {
        self.seen = seen
        self.isEchoing = isEchoing
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let text = String(buffer: unwrapInboundIn(data))
        seen.state.withLock { $0.text += text }
        if isEchoing { context.writeAndFlush(NIOAny(ByteBuffer(string: "echo:" + text)), promise: nil) }
    }
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSEstablished { seen.state.withLock { $0.peers.append(event.peer) } }
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        seen.state.withLock { $0.isInputClosed = true }
        context.close(promise: nil)
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? TLSError { seen.state.withLock { $0.errors.append(error.kind) } }
    }
}

@Suite("Against the openssl command", .timeLimit(.minutes(2)), .serialized) struct PeerTests {
    let mesh: TestMesh

    init() throws { mesh = try TestMesh.shared.get() }

    /// Runs `body` with an echo server of ours on a port of its own.
    private func withServer(
        alpn: [String] = [], minimumVersion: TLSVersion = .tls12, _ body: (Int, Seen) async throws -> Void
    ) async throws {
        let seen = Seen()
        let context = try TLSContext.server(
            mesh.web.certifiedKey, anchors: mesh.anchors, minimumVersion: minimumVersion)
        let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let session = try TLSSession(context, TLSServerOptions(alpn: alpn))
                    let tls = TLSHandler(session, handshakeTimeout: .seconds(10))
                    try channel.pipeline.syncOperations.addHandlers(tls, Echo(seen, isEchoing: true))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        do {
            try await body(server.localAddress?.port ?? 0, seen)
        } catch {
            try? await server.close()
            throw error
        }
        try await server.close()
    }

    private func clientArguments(_ port: Int, _ more: [String] = []) -> [String] {
        [
            "s_client", "-connect", "127.0.0.1:\(port)", "-servername", TestMesh.web, "-verify_hostname",
            TestMesh.web,
            "-CAfile", "ca.pem", "-verify_return_error", "-brief",
        ] + more
    }

    @Test(
        "s_client is served, by TLS 1.3 and 1.2, with and without a certificate",
        arguments: [
            ("-tls1_3", true, TLSVersion.tls13), ("-tls1_3", false, .tls13), ("-tls1_2", true, .tls12),
            ("-tls1_2", false, .tls12),
        ])
    func servesClient(flag: String, hasCertificate: Bool, version: TLSVersion) async throws {
        let peer = try Peer(mesh)
        try await withServer(alpn: ["transport.l5d.io/v1"]) { port, seen in
            let own = hasCertificate ? ["-cert", "bot.pem", "-key", "bot.key"] : []
            let arguments = clientArguments(port, [flag, "-alpn", "transport.l5d.io/v1"] + own)
            let command = try peer.start(arguments, output: "client.txt")
            defer { command.stop() }
            try command.input.write(contentsOf: Data("hello mesh\n".utf8))
            try await command.waits(for: "echo:hello mesh")
            #expect(
                command.output.contains("Verification: OK") || command.output.contains("Verified peername"))
            try command.input.close()
            try await command.ends()
            try await eventually("the end") { seen.now.isInputClosed }
            let found = try #require(seen.now.peers.first)
            #expect(found.identity == (hasCertificate ? TestMesh.bot : nil))
            #expect(found.version == version && found.alpn == "transport.l5d.io/v1")
            #expect(seen.now.errors.isEmpty)
        }
    }

    @Test("A server that asks for TLS 1.3 refuses a peer that speaks only 1.2")
    func refusesOldClient() async throws {
        let peer = try Peer(mesh)
        try await withServer(minimumVersion: .tls13) { port, seen in
            let command = try peer.start(clientArguments(port, ["-tls1_2"]), output: "client.txt")
            defer { command.stop() }
            try await command.ends()
            #expect(command.process.terminationStatus != 0)
            try await eventually("the error") { seen.now.errors == [.nothingShared] }
        }
    }

    @Test("A client with a key share that the server does not take first is asked again")
    func helloRetry() async throws {
        let peer = try Peer(mesh)
        try await withServer { port, seen in
            let command = try peer.start(
                clientArguments(port, ["-groups", "P-521:P-384"]), output: "client.txt")
            defer { command.stop() }
            try command.input.write(contentsOf: Data("again\n".utf8))
            try await command.waits(for: "echo:again")
            #expect(seen.now.errors.isEmpty)
        }
    }

    /// Runs `body` with `s_server` on a port of its own.
    private func withForeignServer(
        _ arguments: [String], _ body: (borrowing Peer, Command, Int) async throws -> Void
    ) async throws {
        let peer = try Peer(mesh)
        let base = [
            "s_server", "-accept", "127.0.0.1:0", "-CAfile", "ca.pem", "-cert", "web.pem", "-key", "web.key",
        ]
        let command = try peer.start(base + arguments, output: "server.txt")
        defer { command.stop() }
        try await command.waits(for: "ACCEPT ")
        let line = try #require(command.output.split(separator: "\n").first { $0.hasPrefix("ACCEPT ") })
        try await body(peer, command, try #require(line.split(separator: ":").last.flatMap { Int($0) }))
    }

    private func connect(
        _ port: Int, _ context: TLSContext, _ options: TLSClientOptions, _ seen: Seen
    ) async throws -> any Channel {
        try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let tls = TLSHandler(try TLSSession(context, options), handshakeTimeout: .seconds(10))
                    try channel.pipeline.syncOperations.addHandlers(tls, Echo(seen, isEchoing: false))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    @Test(
        "s_server is called, by TLS 1.3 with tickets that we ignore, and by 1.2, and knows us",
        arguments: [("-tls1_3", TLSVersion.tls13), ("-tls1_2", .tls12)])
    func callsServer(flag: String, version: TLSVersion) async throws {
        try await withForeignServer([flag, "-rev", "-Verify", "2", "-verify_return_error"]) {
            _, command, port in
            let seen = Seen()
            let channel = try await connect(
                port, mesh.client, TLSClientOptions(serverIdentity: TestMesh.web), seen)
            try await channel.writeAndFlush(ByteBuffer(string: "hsem\n"))
            try await eventually("the answer; \(command.output)") { seen.now.text.contains("mesh") }
            #expect(seen.now.peers.map(\.identity) == [TestMesh.web])
            #expect(seen.now.peers.map(\.version) == [version])
            #expect(seen.now.errors.isEmpty)
            try await channel.close()
        }
    }

    @Test("We refuse an s_server of another name, and s_server refuses us without a certificate")
    func refusals() async throws {
        try await withForeignServer(["-rev", "-Verify", "2", "-verify_return_error"]) { _, _, port in
            let wrongName = Seen()
            let options = TLSClientOptions(serverIdentity: "other.ns", serverName: TestMesh.web)
            _ = try await connect(port, mesh.client, options, wrongName)
            try await eventually("our refusal") { wrongName.now.errors == [.identityMismatch] }
            let anonymous = Seen()
            _ = try await connect(
                port, mesh.anonymousClient, TLSClientOptions(serverIdentity: TestMesh.web), anonymous)
            try await eventually("its refusal") { anonymous.now.errors == [.peerAlert] }
        }
    }

    @Test("Bytes that s_server sends by the megabyte arrive whole")
    func bulk() async throws {
        try await withForeignServer(["-WWW"]) { peer, command, port in
            let body = String(repeating: "0123456789abcdef", count: 4 * 65_536)
            try Data(body.utf8).write(to: peer.folder.appending(path: "big.txt"))
            let seen = Seen()
            let channel = try await connect(
                port, mesh.client, TLSClientOptions(serverIdentity: TestMesh.web), seen)
            try await channel.writeAndFlush(ByteBuffer(string: "GET /big.txt HTTP/1.0\r\n\r\n"))
            try await eventually("all bytes; \(seen.now.text.utf8.count) of them") {
                seen.now.text.utf8.count > body.utf8.count
            }
            #expect(seen.now.text.hasSuffix(body))
        }
    }
}
