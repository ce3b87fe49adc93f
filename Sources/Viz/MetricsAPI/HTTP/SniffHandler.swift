import NIOCore
import NIOHTTP1

/// What a connection turned out to speak.
enum VizProtocol: Sendable {
    case http1
    /// Bytes that open with HTTP/2's preface, for the gRPC server.
    case http2
}

/// Waits for the first bytes of a connection, tells what they are, and holds them until somebody serves it.
///
/// HTTP/2 with prior knowledge opens with `PRI * HTTP/2.0` (RFC 9113 section 3.4); no HTTP/1.1 method begins with
/// `PRI`, so three bytes decide. The channel is wrapped for its task only when the task is there: an asynchronous
/// channel that nobody runs must not exist, its writer traps when it is dropped.
final class SniffHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// Time for the first three bytes.
    static let waitMax: TimeAmount = .seconds(10)
    /// Bytes held while nobody serves the connection yet.
    static let heldBytesMax = 1 << 20
    /// A client over HTTP/1.1 that sends nothing for this long is closed; gRPC has keep-alives of its own.
    private static let idleMax: TimeAmount = .seconds(75)
    private static let preface = Array("PRI".utf8)

    private let decided: EventLoopPromise<VizProtocol>
    private var held = ByteBuffer()
    private var isDecided = false
    private var timer: Scheduled<Void>?

    init(_ decided: EventLoopPromise<VizProtocol>) { self.decided = decided }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: Self.waitMax) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = Self.unwrapInboundIn(data)
        held.writeBuffer(&bytes)
        if held.readableBytes > Self.heldBytesMax { context.close(promise: nil) }
        guard !isDecided else { return }
        let seen = held.readableBytesView.prefix(Self.preface.count)
        if !Self.preface.starts(with: seen) {
            decide(.http1)
        } else if seen.count == Self.preface.count {
            decide(.http2)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(ChannelError.ioOnClosedChannel)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { fail(ChannelError.ioOnClosedChannel) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error)
        context.close(promise: nil)
    }

    private func decide(_ value: VizProtocol) {
        isDecided = true
        timer?.cancel()
        decided.succeed(value)
    }

    private func fail(_ error: any Error) {
        timer?.cancel()
        guard !isDecided else { return }
        isDecided = true
        decided.fail(error)
    }

    /// Prepares the pipeline of a connection that speaks HTTP/1.1 and hands on what was held; on its event loop.
    static func http1(_ channel: any Channel) throws -> NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart> {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
        try pipeline.addHandler(IdleStateHandler(readTimeout: idleMax))
        try pipeline.addHandler(CloseWhenSilent())
        let wrapped = try NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>(
            wrappingChannelSynchronously: channel)
        release(pipeline)
        return wrapped
    }

    /// The same for one whose bytes are passed on as they are.
    static func http2(_ channel: any Channel) throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
        let wrapped = try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
        release(channel.pipeline.syncOperations)
        return wrapped
    }

    private static func release(_ pipeline: ChannelPipeline.SynchronousOperations) {
        // A connection that closed meanwhile has no handlers any more; its task sees the end of it.
        guard let context = try? pipeline.context(handlerType: SniffHandler.self),
            let handler = context.handler as? SniffHandler
        else { return }
        context.fireChannelRead(wrapInboundOut(handler.held))
        context.fireChannelReadComplete()
        pipeline.removeHandler(handler, promise: nil)
    }
}

/// Closes a connection that has been silent for too long.
private final class CloseWhenSilent: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
