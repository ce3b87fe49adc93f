public import NIOCore

/// Waits for the first bytes of a connection, tells what they are, and holds them until somebody serves it.
///
/// The channel is wrapped for its task only when the task is there: an asynchronous channel that nobody runs must not
/// exist, its writer traps when it is dropped.
public final class FirstBytesHandler<Verdict: Sendable>: ChannelInboundHandler, RemovableChannelHandler {
    public typealias InboundIn = ByteBuffer
    public typealias InboundOut = ByteBuffer

    /// Judges all bytes so far; `nil` wants more.
    public typealias Judge = (ByteBufferView) -> Verdict?

    private let heldBytesMax: Int
    private let patience: TimeAmount?
    private let judge: Judge
    private let verdict: EventLoopPromise<Verdict>
    private var held = ByteBuffer()
    private var isDecided = false
    private var timer: Scheduled<Void>?

    private init(heldBytesMax: Int, patience: TimeAmount?, verdict: EventLoopPromise<Verdict>, judge: @escaping Judge) {
        self.heldBytesMax = heldBytesMax
        self.patience = patience
        self.verdict = verdict
        self.judge = judge
    }

    /// Also where no channel took the handler: nobody else could keep the promise then.
    deinit { fail(ChannelError.ioOnClosedChannel) }

    /// Puts a handler into the pipeline of a connection; on its event loop.
    ///
    /// - Parameters:
    ///   - heldBytesMax: Bytes held while nobody serves the connection yet; it is closed when more come.
    ///   - patience: Time for the bytes that decide; `nil` waits for ever.
    /// - Returns: What the bytes are; it fails when the connection ends before.
    /// - Throws: When the connection has closed meanwhile.
    public static func add(
        to channel: any Channel, heldBytesMax: Int, patience: TimeAmount? = nil, judge: @escaping Judge
    ) throws -> EventLoopFuture<Verdict> {
        let verdict = channel.eventLoop.makePromise(of: Verdict.self)
        let handler = FirstBytesHandler(heldBytesMax: heldBytesMax, patience: patience, verdict: verdict, judge: judge)
        try channel.pipeline.syncOperations.addHandler(handler)
        return verdict.futureResult
    }

    /// Hands on what was held, and leaves the pipeline; on the channel's event loop.
    public static func release(_ channel: any Channel) {
        let pipeline = channel.pipeline.syncOperations
        // A connection that closed meanwhile has no handlers any more; its task sees the end of it.
        guard let context = try? pipeline.context(handlerType: Self.self), let handler = context.handler as? Self
        else { return }
        context.fireChannelRead(wrapInboundOut(handler.held))
        context.fireChannelReadComplete()
        pipeline.removeHandler(handler, promise: nil)
    }

    /// Starts the clock of a connection that says nothing.
    public func handlerAdded(context: ChannelHandlerContext) {
        guard let patience else { return }
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: patience) { channel.close(promise: nil) }
    }

    /// Holds bytes, and judges while nothing is decided.
    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        held.writeImmutableBuffer(Self.unwrapInboundIn(data))
        if held.readableBytes > heldBytesMax { context.close(promise: nil) }
        guard !isDecided, let found = judge(held.readableBytesView) else { return }
        isDecided = true
        timer?.cancel()
        verdict.succeed(found)
    }

    /// Closes an undecided connection when the server shuts down; every other event passes.
    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The server is shutting down, and this connection asks nothing.
        if event is ChannelShouldQuiesceEvent, !isDecided { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    /// Fails the verdict: no more bytes will come.
    public func channelInactive(context: ChannelHandlerContext) {
        fail(ChannelError.ioOnClosedChannel)
        context.fireChannelInactive()
    }

    /// Fails the verdict, and closes.
    public func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error)
        context.close(promise: nil)
    }

    private func fail(_ error: any Error) {
        timer?.cancel()
        guard !isDecided else { return }
        isDecided = true
        verdict.fail(error)
    }
}
