import NIOCore
import NIOHTTP1

/// A connection once its protocol is known.
enum VizConnection: Sendable {
    case http1(NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>)
    /// Bytes that open with HTTP/2's preface, for the gRPC server.
    case http2(NIOAsyncChannel<ByteBuffer, ByteBuffer>)
}

/// Waits for the first bytes of a connection and sets its pipeline up for what they are.
///
/// HTTP/2 with prior knowledge opens with `PRI * HTTP/2.0` (RFC 9113 section 3.4); no HTTP/1.1 method begins with
/// `PRI`, so three bytes decide.
final class SniffHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// Time for the first three bytes.
    static let waitMax: TimeAmount = .seconds(10)
    /// A client over HTTP/1.1 that sends nothing for this long is closed; gRPC has keep-alives of its own.
    private static let idleMax: TimeAmount = .seconds(75)
    private static let preface = Array("PRI".utf8)

    private let decided: EventLoopPromise<VizConnection>
    private var buffered = ByteBuffer()
    private var isDecided = false
    private var timer: Scheduled<Void>?

    init(_ decided: EventLoopPromise<VizConnection>) { self.decided = decided }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: Self.waitMax) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = Self.unwrapInboundIn(data)
        buffered.writeBuffer(&bytes)
        guard !isDecided else { return }
        let seen = buffered.readableBytesView.prefix(Self.preface.count)
        if !Self.preface.starts(with: seen) {
            decide(context) { try Self.http1($0) }
        } else if seen.count == Self.preface.count {
            decide(context) { .http2(try NIOAsyncChannel(wrappingChannelSynchronously: $0.channel)) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(ChannelError.ioOnClosedChannel)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error)
        context.close(promise: nil)
    }

    private static func http1(_ context: ChannelHandlerContext) throws -> VizConnection {
        try context.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
        try context.pipeline.syncOperations.addHandler(IdleStateHandler(readTimeout: idleMax))
        try context.pipeline.syncOperations.addHandler(CloseWhenSilent())
        return .http1(try NIOAsyncChannel(wrappingChannelSynchronously: context.channel))
    }

    private func decide(_ context: ChannelHandlerContext, _ make: (ChannelHandlerContext) throws -> VizConnection) {
        isDecided = true
        timer?.cancel()
        do {
            decided.succeed(try make(context))
            context.fireChannelRead(Self.wrapInboundOut(buffered))
            context.fireChannelReadComplete()
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            decided.fail(error)
            context.close(promise: nil)
        }
    }

    private func fail(_ error: any Error) {
        timer?.cancel()
        guard !isDecided else { return }
        isDecided = true
        decided.fail(error)
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
