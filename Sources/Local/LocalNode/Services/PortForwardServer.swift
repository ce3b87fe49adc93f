internal import Logging
internal import MeshServing
internal import NIOCore
internal import NIOPosix

// run/node.sock: how the API server reaches a port inside a pod. A client sends `PORTFORWARD <pod-uid>
// <port>\n`, gets `OK\n` or `ERR <why>\n`, then bytes flow both ways. The connection is made by the pod's
// init, inside the pod's network namespace, and handed over as a descriptor.

struct PortForwardServer: Sendable {
    /// A request line is at most this long.
    static let requestBytesMax = 256

    private typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>
    private typealias Writer = NIOAsyncChannelOutboundWriter<ByteBuffer>

    /// Why a request was refused.
    private struct Refusal: Error { let message: String }

    let config: NodeAgentConfig
    let logger: Logger

    /// Serves until cancelled.
    func run() async throws {
        let path = config.stateDirectory + "/run/node.sock"
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
        let listener = try await ConnectionListener(bootstrap) {
            try await $0.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true, childChannelInitializer: $1)
        }
        Files.setMode(path, 0o600)
        try await listener.serveEach { try Self.wrap($0) } serve: { await serve($0) }
    }

    private static func wrap(_ channel: any Channel) throws -> Connection {
        try Connection(
            wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
    }

    private func serve(_ connection: Connection) async {
        do {
            try await connection.executeThenClose { inbound, outbound in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    var head = ByteBuffer()
                    var requests: Writer?
                    for try await piece in inbound {
                        if let requests {
                            try await requests.write(piece)
                            continue
                        }
                        head.writeImmutableBuffer(piece)
                        guard let line = try Self.requestLine(&head) else { continue }
                        let (writers, feed) = AsyncStream<Writer>.makeStream()
                        group.addTask { try await answer(line, outbound, feed) }
                        for await writer in writers { requests = writer }
                        guard let requests else { break }  // Refused: the task says so.
                        if head.readableBytes > 0 { try await requests.write(head) }
                    }
                    requests?.finish()
                    try await group.waitForAll()
                }
            }
        } catch {
            logger.debug("Port-forward ended", metadata: ["error": "\(error)"])
        }
    }

    /// Takes the request line off `head`; `nil` until it is complete.
    private static func requestLine(_ head: inout ByteBuffer) throws -> String? {
        guard let end = head.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) else {
            if head.readableBytes > requestBytesMax { throw Refusal(message: "request line is too long") }
            return nil
        }
        let line = head.readString(length: end - head.readerIndex) ?? ""
        head.moveReaderIndex(forwardBy: 1)
        return line
    }

    /// Connects, says so, hands over the way to write into the pod, and copies what the pod answers until it
    /// closes.
    private func answer(_ line: String, _ outbound: Writer, _ feed: AsyncStream<Writer>.Continuation)
        async throws
    {
        defer { feed.finish() }
        do {
            let upstream = try await connect(line)
            try await upstream.executeThenClose { answers, requests in
                try await outbound.write(ByteBuffer(string: "OK\n"))
                feed.yield(requests)
                feed.finish()
                for try await piece in answers { try await outbound.write(piece) }
                outbound.finish()
            }
        } catch let refusal as Refusal {
            try await outbound.write(ByteBuffer(string: "ERR \(refusal.message)\n"))
            outbound.finish()
        }
    }

    private func connect(_ line: String) async throws -> Connection {
        let words = line.split(separator: " ")
        guard words.count == 3, words[0] == "PORTFORWARD", let port = UInt16(words[2]), port > 0,
            words[1].allSatisfy({ $0.isHexDigit || $0 == "-" })
        else { throw Refusal(message: "expected PORTFORWARD <pod-uid> <port>") }
        let socket = config.podDirectory(String(words[1])) + "/init.sock"
        do {
            let fd = try await onBlockingThread { try InitDoor.connect(socketPath: socket, port: port) }
            return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .withConnectedSocket(fd) { channel in
                    channel.eventLoop.makeCompletedFuture { try Self.wrap(channel) }
                }
        } catch {
            throw Refusal(message: "\(error)")
        }
    }
}
