import NIOCore
import NIOHTTP1

/// Stands before NIO's upgrade handler and lets only upgrades through that will be granted. NIO loses the
/// request when an upgrader refuses it; here a refused upgrade becomes the plain request it otherwise is,
/// so that the client gets the Status with the reason. Steps aside after the first request's head.
final class UpgradeGateHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// Whether an upgrade is to be granted; asked at most once, on the channel's loop.
    typealias Decision = @Sendable (any Channel, HTTPRequestHead) -> EventLoopFuture<Bool>

    /// Carries the protocol of an upgrade that was refused, for whoever answers the plain request.
    static let refusedHeader = "X-Local-Refused-Upgrade"

    private let decide: Decision
    private var held: [HTTPServerRequestPart] = []
    private var isDeciding = false
    private var readIsHeld = false

    init(decide: @escaping Decision) { self.decide = decide }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = Self.unwrapInboundIn(data)
        if isDeciding {
            held.append(part)
            return
        }
        guard case .head(let head) = part, head.headers.contains(name: "Upgrade") else {
            context.fireChannelRead(data)
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
            return
        }
        isDeciding = true
        held.append(part)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        decide(context.channel, head).hop(to: context.eventLoop).whenComplete { result in
            let isGranted = if case .success(true) = result { true } else { false }
            bound.value.0.proceed(isGranted: isGranted, bound.value.1)
        }
    }

    func read(context: ChannelHandlerContext) {
        // Nothing more is taken in while the decision is out.
        if isDeciding { readIsHeld = true } else { context.read() }
    }

    private func proceed(isGranted: Bool, _ context: ChannelHandlerContext) {
        isDeciding = false
        for part in held {
            var part = part
            if !isGranted, case .head(var head) = part {
                let wanted = head.headers.first(name: "Upgrade") ?? ""
                head.headers.replaceOrAdd(name: Self.refusedHeader, value: wanted)
                head.headers.remove(name: "Upgrade")
                head.headers.remove(name: "Connection")
                part = .head(head)
            }
            context.fireChannelRead(Self.wrapInboundOut(part))
        }
        held = []
        context.fireChannelReadComplete()
        if readIsHeld { context.read() }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
