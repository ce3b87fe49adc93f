import NIOCore
import NIOPosix

/// A port that answers HTTP requests with whatever a broken or hostile proxy might send.
struct HostileTarget: Sendable {
    /// What it sends after a request.
    enum Behaviour: Sendable {
        /// These bytes, then the connection closes.
        case fixed([UInt8])
        /// A head, then pieces without end, each made from its number.
        case endless(head: String, piece: @Sendable (Int) -> [UInt8])
        /// A head, then one byte every tenth of a second.
        case drip(head: String)
        /// Bytes made anew for each request, then the connection closes.
        case computed(@Sendable () -> [UInt8])
        /// Nothing at all.
        case silence
    }

    static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    let port: Int
    private let channel: any Channel

    /// Listens on a port of the system's choice.
    static func start(_ behaviour: Behaviour) async throws -> HostileTarget {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answerer(behaviour))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return HostileTarget(port: channel.localAddress?.port ?? 0, channel: channel)
    }

    func stop() async throws { try await channel.close().get() }

    private final class Answerer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let behaviour: Behaviour
        private var hasAnswered = false
        private var pieces = 0

        init(_ behaviour: Behaviour) { self.behaviour = behaviour }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard !hasAnswered else { return }
            hasAnswered = true
            switch behaviour {
            case .silence: break
            case .fixed(let bytes): answer(bytes, context)
            case .computed(let make): answer(make(), context)
            case .endless(let head, _):
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: head)), promise: nil)
                sendPieces(context)
            case .drip(let head):
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: head)), promise: nil)
                let channel = context.channel
                context.eventLoop.scheduleRepeatedTask(initialDelay: .milliseconds(100), delay: .milliseconds(100)) { task in
                    guard channel.isActive else { return task.cancel() }
                    channel.writeAndFlush(ByteBuffer(string: "x"), promise: nil)
                }
            }
        }

        private func answer(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
            let channel = context.channel
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes))).whenComplete { _ in
                channel.close(promise: nil)
            }
        }

        func channelWritabilityChanged(context: ChannelHandlerContext) { sendPieces(context) }

        private func sendPieces(_ context: ChannelHandlerContext) {
            guard case .endless(_, let piece) = behaviour else { return }
            while context.channel.isActive, context.channel.isWritable {
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: piece(pieces))), promise: nil)
                pieces += 1
            }
        }
    }
}
