// The admin port: probes, metrics, log level, shutdown. On a loop of its own, so that a busy data plane never
// fails a probe. Source: `spec/proxy.md` 8.

import MeshMetrics
package import MeshTransport
import MeshWire
package import NIOCore

/// What the admin port reads and changes.
package struct AdminState: Sendable {
    /// Where `/metrics` comes from.
    package let metrics: MetricsRegistry
    /// Whether `/ready` says so.
    package let isReady: @Sendable () -> Bool
    /// The log filter in force.
    package let logFilter: @Sendable () -> String
    /// Replaces the log filter; `false` when the text is none.
    package let setLogFilter: @Sendable (String) -> Bool
    /// Starts the drain.
    package let shutdown: @Sendable () -> Void
    /// Whether `/shutdown` exists.
    package let isShutdownEnabled: Bool
    /// The environment, as `/env.json` shows it.
    package let environment: [String: String]

    package init(
        metrics: MetricsRegistry, isReady: @escaping @Sendable () -> Bool,
        logFilter: @escaping @Sendable () -> String, setLogFilter: @escaping @Sendable (String) -> Bool,
        shutdown: @escaping @Sendable () -> Void, isShutdownEnabled: Bool, environment: [String: String]
    ) {
        self.metrics = metrics
        self.isReady = isReady
        self.logFilter = logFilter
        self.setLogFilter = setLogFilter
        self.shutdown = shutdown
        self.isShutdownEnabled = isShutdownEnabled
        self.environment = environment
    }
}

/// The admin server.
package enum AdminServer {
    /// Binds and serves until the listener is closed.
    package static func bind(
        _ address: SocketAddress, loops: any EventLoopGroup, state: AdminState
    ) -> EventLoopFuture<Listener> {
        Listener.bind(address, loops: loops, settings: SocketSettings()) { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(AdminHandler(state: state))
            }
        }
        .flatMap { listener in listener.accept().map { listener } }
    }
}

/// A small HTTP/1 server: one request at a time, bodies up to a bound, answers built whole.
final class AdminHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let requestBytesMax = 65_536

    private let state: AdminState
    private var input = ByteBuffer()
    private var parser = HTTP1RequestParser(rules: [])
    private var isBusy = false

    init(state: AdminState) {
        self.state = state
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        input.writeBuffer(&buffer)
        guard input.readableBytes <= Self.requestBytesMax else {
            context.close(promise: nil)
            return
        }
        serve(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed, !isBusy { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func serve(_ context: ChannelHandlerContext) {
        guard !isBusy else { return }
        do {
            guard let (request, keepsConnection) = try nextRequest(context) else { return }
            isBusy = true
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            let state = state
            let answer = context.eventLoop.makeFutureWithTask { await AdminRoutes.answer(request, state) }
            answer.whenComplete { result in
                let (handler, context) = bound.value
                handler.isBusy = false
                let response = (try? result.get()) ?? AdminResponse(status: 500)  // Routes never throw.
                let bytes = response.bytes(isHead: request.method == "HEAD", keepsConnection: keepsConnection)
                if keepsConnection {
                    context.writeAndFlush(handler.wrapOutboundOut(bytes), promise: nil)
                    handler.serve(context)
                } else {
                    let channel = context.channel
                    let flushed = context.eventLoop.makePromise(of: Void.self)
                    flushed.futureResult.whenComplete { _ in channel.close(promise: nil) }
                    context.writeAndFlush(handler.wrapOutboundOut(bytes), promise: flushed)
                }
            }
        } catch {
            let bytes = AdminResponse(status: 400).bytes(isHead: false, keepsConnection: false)
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
            context.close(promise: nil)
        }
    }

    /// The next whole request with its body; `nil` when it is not there yet.
    private func nextRequest(
        _ context: ChannelHandlerContext
    ) throws(HTTP1ParseError) -> (request: AdminRequest, keepsConnection: Bool)? {
        let received = input
        let bytes = received.readableBytesUInt8Span
        guard bytes.count > 0, try parser.parse(bytes) else { return nil }
        var reader = HTTP1BodyReader(parser.framing)
        let bodyBytes = try reader.consume(bytes, from: parser.headBytes)
        guard reader.isDone else {
            if parser.expectsContinue {
                context.writeAndFlush(
                    wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
            }
            return nil
        }
        func text(_ range: Range<Int>) -> String {
            received.getString(at: received.readerIndex + range.lowerBound, length: range.count) ?? ""
        }
        let target = text(parser.target)
        let acceptsGzip = text(0..<parser.headBytes).lowercased().split(separator: "\r\n").contains {
            $0.hasPrefix("accept-encoding:") && $0.contains("gzip")
        }
        let request = AdminRequest(
            method: text(parser.methodText), path: String(target.prefix { $0 != "?" }),
            query: String(target.drop { $0 != "?" }.dropFirst()),
            body: text(parser.headBytes..<parser.headBytes + bodyBytes),
            isFromLoopback: context.remoteAddress?.isLoopback ?? false,
            acceptsGzip: acceptsGzip)
        let keeps = parser.keepsConnection
        input.moveReaderIndex(forwardBy: parser.headBytes + bodyBytes)
        input.discardReadBytes()
        return (request, keeps)
    }
}
