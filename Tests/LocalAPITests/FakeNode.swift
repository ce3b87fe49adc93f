import Foundation
import NIOCore
import NIOPosix

/// A stand-in for the node agent: listens on `run/node.sock`, answers the handshake, and then echoes what it
/// reads, with `greeting` first. Port 1 is always refused.
final class FakeNode: Sendable {
    private let listener: any Channel

    init(stateDirectory: String, greeting: String = "") async throws {
        let directory = stateDirectory + "/run"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EchoHandler(greeting: greeting))
                }
            }
            .bind(unixDomainSocketPath: directory + "/node.sock", cleanupExistingSocketFile: true).get()
    }

    func close() async throws { try await listener.close() }
}

private final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let greeting: String
    private var line = ""
    private var isOpen = false

    init(greeting: String) { self.greeting = greeting }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = Self.unwrapInboundIn(data)
        while !isOpen, let byte = bytes.readString(length: 1) {
            if byte != "\n" {
                line += byte
                continue
            }
            let words = line.split(separator: " ")
            guard words.first == "PORTFORWARD", words.count == 3, words[2] != "1" else {
                context.writeAndFlush(
                    Self.wrapOutboundOut(ByteBuffer(string: "ERR connection refused\n")), promise: nil)
                context.close(promise: nil)
                return
            }
            isOpen = true
            context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(string: "OK\n" + greeting)), promise: nil)
        }
        if bytes.readableBytes > 0 { context.writeAndFlush(Self.wrapOutboundOut(bytes), promise: nil) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { context.close(promise: nil) }
    }
}
