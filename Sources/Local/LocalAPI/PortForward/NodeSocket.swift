// The way into a pod: the node agent listens on `run/node.sock`, reads `PORTFORWARD <pod uid> <port>` on one
// line, answers `OK` or `ERR <text>` on one, and then passes bytes both ways.

import MeshWebSocket
import NIOCore
import NIOPosix

/// Connects to ports of pods through the node agent.
struct NodeSocket: Sendable {
    typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    /// How long the agent may take to connect to the pod.
    static let answerTimeout = TimeAmount.seconds(10)

    let path: String

    /// - Throws: `StatusError` 503 or 500 with the agent's words.
    func connect(podUID: String, port: Int) async throws -> Connection {
        do {
            return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .connect(unixDomainSocketPath: path) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let handshake = NodeHandshakeHandler(
                            request: "PORTFORWARD \(podUID) \(port)\n", eventLoop: channel.eventLoop)
                        try channel.pipeline.syncOperations.addHandlers([DrainBeforeClose(), handshake])
                        // Only once the pod is reached: an asynchronous channel that nobody runs is a crash.
                        return handshake.isReady.flatMapThrowing {
                            try Connection(
                                wrappingChannelSynchronously: channel,
                                configuration: .init(isOutboundHalfClosureEnabled: true))
                        }
                    }
                }.get()
        } catch let error as StatusError {
            throw error
        } catch {
            throw StatusError.unavailable("the node agent cannot be reached: \(error)")
        }
    }
}

/// Sends the request, reads the answer's line, and then steps aside.
private final class NodeHandshakeHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes that the answer's line may have.
    private static let lineBytesMax = 1_024

    private let request: String
    private let promise: EventLoopPromise<Void>
    private var deadline: Scheduled<Void>?
    private var answer = ByteBuffer()
    private var isDone = false

    /// Completes when the pod is reached.
    var isReady: EventLoopFuture<Void> { promise.futureResult }

    init(request: String, eventLoop: any EventLoop) {
        self.request = request
        promise = eventLoop.makePromise()
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        deadline = context.eventLoop.scheduleTask(in: NodeSocket.answerTimeout) {
            bound.value.0.fail(.unavailable("the node agent did not answer in time"), bound.value.1)
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDone else {
            context.fireChannelRead(data)
            return
        }
        answer.writeImmutableBuffer(Self.unwrapInboundIn(data))
        guard
            let length = answer.readableBytesView.firstIndex(of: UInt8(ascii: "\n")).map({
                $0 - answer.readerIndex
            })
        else {
            if answer.readableBytes > Self.lineBytesMax {
                fail(.internalError("the node agent's answer is too long"), context)
            }
            return
        }
        let line = answer.readString(length: length) ?? ""
        answer.moveReaderIndex(forwardBy: 1)
        guard line == "OK" else {
            let text = line.hasPrefix("ERR ") ? String(line.dropFirst(4)) : line
            fail(.internalError(text), context)
            return
        }
        isDone = true
        deadline?.cancel()
        promise.succeed()
        if answer.readableBytes > 0 { context.fireChannelRead(Self.wrapInboundOut(answer)) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.unavailable("the node agent closed the connection"), context)
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if !isDone, let event = event as? ChannelEvent, event == .inputClosed {
            fail(.unavailable("the node agent closed the connection"), context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(.unavailable("the node agent's connection failed: \(error)"), context)
        context.fireErrorCaught(error)
    }

    private func fail(_ error: StatusError, _ context: ChannelHandlerContext) {
        guard !isDone else { return }
        isDone = true
        deadline?.cancel()
        promise.fail(error)
        context.close(promise: nil)
    }
}
