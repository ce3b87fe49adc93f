import Logging
import MeshWebSocket
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

/// Both sides of our WebSocket against each other on a real socket.
@Suite("WebSocket", .timeLimit(.minutes(1))) struct WebSocketTests {
    enum Connection: Sendable {
        case webSocket(WebSocketStream)
        case http(any Channel)
    }

    /// A server that echoes messages on `/echo` and refuses everything else with 404.
    private static func withServer(_ body: @escaping @Sendable (Int) async throws -> Void) async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0) { channel -> EventLoopFuture<EventLoopFuture<Connection>> in
                channel.eventLoop.makeCompletedFuture {
                    let upgrader: any NIOTypedHTTPServerProtocolUpgrader<Connection> =
                        WebSocketServer.upgrader(
                            accept: { channel, head in
                                let offered = WebSocketServer.offeredProtocols(head.headers)
                                let chosen = offered.first.map {
                                    HTTPHeaders([("Sec-WebSocket-Protocol", $0)])
                                }
                                return channel.eventLoop.makeSucceededFuture(chosen ?? HTTPHeaders())
                            },
                            upgraded: { _, stream in .webSocket(stream) })
                    let configuration = NIOTypedHTTPServerUpgradeConfiguration<Connection>(upgraders: [
                        upgrader
                    ]) {
                        $0.eventLoop.makeSucceededFuture(.http($0))
                    }
                    return try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
                        configuration: .init(upgradeConfiguration: configuration))
                }
            }
        let port = server.channel.localAddress?.port ?? 0
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await server.executeThenClose { connections in
                    await withDiscardingTaskGroup { tasks in
                        // The test's end closes the listener.
                        do {
                            for try await pending in connections { tasks.addTask { await echo(pending) } }
                        } catch { return }
                    }
                }
                return false
            }
            group.addTask {
                try await body(port)
                return true
            }
            while let isDone = try await group.next(), !isDone {}
            group.cancelAll()
        }
    }

    private static func echo(_ pending: EventLoopFuture<Connection>) async {
        // A client that fails the upgrade is the client's affair.
        guard case .webSocket(let stream)? = try? await pending.get() else { return }
        try? await stream.executeThenClose { inbound, outbound in
            for try await message in inbound {
                if message.payload.readableBytes == 3, String(buffer: message.payload) == "bye" { return }
                try await outbound.write(message)
            }
        }
    }

    @Test(
        "Messages of every size class come back as they were",
        arguments: [0, 1, 125, 126, 65_535, 65_536, 1_000_000])
    func echoes(count: Int) async throws {
        try await Self.withServer { port in
            let client = try WebSocketClient(WebSocketServerAddress(url: "http://127.0.0.1:\(port)"))
            let stream = try await client.connect(path: "/echo", subprotocols: ["a", "b"])
            let payload = ByteBuffer(repeating: UInt8(truncatingIfNeeded: count), count: count)
            try await stream.executeThenClose { inbound, outbound in
                try await outbound.write(.binary(payload))
                try await outbound.write(.text("done"))
                var seen: [WebSocketMessage] = []
                for try await message in inbound {
                    seen.append(message)
                    if seen.count == 2 { break }
                }
                #expect(seen == [.binary(payload), .text("done")])
            }
        }
    }

    @Test("When the server closes, the client's messages end")
    func closes() async throws {
        try await Self.withServer { port in
            let client = try WebSocketClient(WebSocketServerAddress(url: "http://127.0.0.1:\(port)"))
            let stream = try await client.connect(path: "/echo")
            try await stream.executeThenClose { inbound, outbound in
                try await outbound.write(.text("bye"))
                var count = 0
                for try await _ in inbound { count += 1 }
                #expect(count == 0)
            }
        }
    }

    @Test("A bad URL and an unreachable server are told apart")
    func failures() async throws {
        do {
            _ = try WebSocketClient(WebSocketServerAddress(url: "ftp://nowhere"))
            Issue.record("a bad URL was taken")
        } catch { #expect(error.kind == .badConfiguration) }
        do {
            _ = try WebSocketClient(WebSocketServerAddress(url: "https://127.0.0.1:1", caPEM: "damaged"))
            Issue.record("a damaged certificate was taken")
        } catch { #expect(error.kind == .badConfiguration) }
        let client = try WebSocketClient(WebSocketServerAddress(url: "http://127.0.0.1:1"))
        await #expect(throws: (any Error).self) { _ = try await client.connect(path: "/") }
    }

    @Test("A server that does not upgrade is a refusal with its status and words")
    func refusals() async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(RefusingHandler())
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = server.localAddress?.port ?? 0
        let client = try WebSocketClient(WebSocketServerAddress(url: "http://127.0.0.1:\(port)"))
        do {
            _ = try await client.connect(path: "/")
            Issue.record("a refusal was taken for an upgrade")
        } catch let error as WebSocketError {
            #expect(error.kind == .refused)
            #expect(error.status == 403)
            #expect(error.detail == "go away")
        }
        try await server.close()
    }
}

private final class RefusingHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let answer = ByteBuffer(string: "HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\ngo away")
        context.writeAndFlush(Self.wrapOutboundOut(answer), promise: nil)
    }
}
