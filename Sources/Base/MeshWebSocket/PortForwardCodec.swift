// `v4.channel.k8s.io` port-forwarding of one port: binary messages whose first byte is the channel, 0 for
// data and 1 for errors; the first message of either channel carries the port in two bytes, low one first.

import Logging
import NIOCore

/// Turns messages of a port-forward into its bytes and back.
final class PortForwardCodec: ChannelDuplexHandler {
    typealias InboundIn = WebSocketMessage
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = WebSocketMessage

    private static let dataChannel: UInt8 = 0
    private static let errorChannel: UInt8 = 1
    /// Payload bytes of one message.
    private static let pieceBytesMax = 32 * 1_024

    private let logger: Logger
    private var seesData = false
    private var seesErrors = false

    init(logger: Logger) { self.logger = logger }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var payload = Self.unwrapInboundIn(data).payload
        guard let channel = payload.readInteger(as: UInt8.self) else { return }
        switch channel {
        case Self.dataChannel:
            if !seesData {
                seesData = true
                payload.moveReaderIndex(forwardBy: min(2, payload.readableBytes))
            }
            if payload.readableBytes > 0 { context.fireChannelRead(Self.wrapInboundOut(payload)) }
        case Self.errorChannel:
            if !seesErrors {
                seesErrors = true
                payload.moveReaderIndex(forwardBy: min(2, payload.readableBytes))
            }
            guard payload.readableBytes > 0 else { return }
            logger.warning("Port-forward failed", metadata: ["cause": "\(String(buffer: payload))"])
            context.close(promise: nil)
        default: break
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var bytes = Self.unwrapOutboundIn(data)
        while let piece = bytes.readSlice(length: min(bytes.readableBytes, Self.pieceBytesMax)),
            piece.readableBytes > 0
        {
            var payload = context.channel.allocator.buffer(capacity: piece.readableBytes + 1)
            payload.writeInteger(Self.dataChannel)
            payload.writeImmutableBuffer(piece)
            let isLast = bytes.readableBytes == 0
            context.write(Self.wrapOutboundOut(.binary(payload)), promise: isLast ? promise : nil)
        }
    }
}
