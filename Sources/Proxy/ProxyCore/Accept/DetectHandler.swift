import MeshTransport
import MeshWire
import NIOCore

/// Waits for the first bytes of a connection, says what they are, and steps aside.
final class DetectHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let timeout: TimeAmount
    private let transport: TransportMetrics
    private let found: ((DetectionResult) -> Void)?
    private var install: ((WireProtocol, ChannelHandlerContext) throws -> Void)?
    private var timer: Scheduled<Void>?
    private var errno: CInt = 0

    /// - Parameters:
    ///   - found: told once what came of it.
    ///   - install: adds the handler that serves what was detected, behind this one; called once.
    init(
        timeout: TimeAmount, transport: TransportMetrics, found: ((DetectionResult) -> Void)? = nil,
        install: @escaping (WireProtocol, ChannelHandlerContext) throws -> Void
    ) {
        self.timeout = timeout
        self.transport = transport
        self.found = found
        self.install = install
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: timeout) {
            let (handler, context) = bound.value
            handler.decide(.opaque, .timedOut, context: context, bytes: nil)  // It waits for the server to speak first.
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        let wire = ProtocolDetector.detect(bytes.readableBytesUInt8Span)
        decide(wire, DetectionResult(wire), context: context, bytes: bytes)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        errno = (error as? IOError)?.errnoCode ?? errno
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        guard install != nil else { return }
        install = nil
        found?(.failed)
        transport.closed(errno: errno)
    }

    private func decide(
        _ wire: WireProtocol, _ result: DetectionResult, context: ChannelHandlerContext, bytes: ByteBuffer?
    ) {
        guard let install else { return }
        self.install = nil
        found?(result)
        timer?.cancel()
        timer = nil
        do {
            try install(wire, context)
        } catch {
            transport.closed(errno: errno)
            context.close(promise: nil)
            return
        }
        if let bytes { context.fireChannelRead(wrapInboundOut(bytes)) }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
