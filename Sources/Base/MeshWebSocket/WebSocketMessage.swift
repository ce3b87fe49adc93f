// WebSocket (RFC 6455) as messages rather than frames: fragments are joined, pings are answered and the
// closing handshake is done inside the channel, for servers and clients alike.

public import NIOCore
import NIOWebSocket

/// One whole message.
public struct WebSocketMessage: Sendable, Equatable {
    /// How the payload is marked on the wire.
    public enum Kind: Sendable { case binary, text }
    public var kind: Kind
    public var payload: ByteBuffer

    public init(kind: Kind, payload: ByteBuffer) {
        self.kind = kind
        self.payload = payload
    }

    /// A binary message.
    public static func binary(_ payload: ByteBuffer) -> WebSocketMessage {
        .init(kind: .binary, payload: payload)
    }

    /// A text message in UTF-8.
    public static func text(_ text: String) -> WebSocketMessage {
        .init(kind: .text, payload: ByteBuffer(string: text))
    }
}

/// A WebSocket connection as a channel of messages.
public typealias WebSocketStream = NIOAsyncChannel<WebSocketMessage, WebSocketMessage>

extension NIOAsyncChannel where Inbound == WebSocketMessage, Outbound == WebSocketMessage {
    /// Closes the connection and says why.
    ///
    /// - Parameters:
    ///   - code: as RFC 6455 section 7.4.1 numbers reasons.
    ///   - reason: for people; cut to what fits.
    /// - Throws: when the connection is closed already.
    public func close(code: UInt16, reason: String) async throws {
        try await channel.triggerUserOutboundEvent(WebSocketClosing(code: code, reason: reason)).get()
    }
}

/// Asks the channel to close with a reason.
private struct WebSocketClosing: Sendable {
    /// A control frame holds 125 bytes, and two are the code's (RFC 6455 section 5.5).
    static let reasonBytesMax = 123

    let payload: ByteBuffer

    init(code: UInt16, reason: String) {
        var payload = ByteBuffer(integer: code)
        var room = Self.reasonBytesMax
        for character in reason {
            room -= character.utf8.count
            guard room >= 0 else { break }
            payload.writeString(String(character))
        }
        self.payload = payload
    }
}

/// Bounds of what a peer may send.
public enum WebSocketLimits {
    /// Bytes of one message, all fragments together. Above that the connection is closed.
    public static let messageBytesMax = 1 << 20
    /// Fragments of one message.
    public static let fragmentsMax = 1_024
}

/// Turns frames into messages and back, and answers what the protocol itself asks.
final class WebSocketMessageHandler: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = WebSocketMessage
    typealias OutboundIn = WebSocketMessage
    typealias OutboundOut = WebSocketFrame

    /// Which side of the connection this is: only clients mask (RFC 6455 section 5.3).
    enum Role { case server, client }

    private let role: Role
    private var closeSent = false

    init(role: Role) { self.role = role }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = Self.unwrapInboundIn(data)
        switch frame.opcode {
        case .binary: context.fireChannelRead(Self.wrapInboundOut(.binary(frame.unmaskedData)))
        case .text:
            let message = WebSocketMessage(kind: .text, payload: frame.unmaskedData)
            context.fireChannelRead(Self.wrapInboundOut(message))
        case .ping: send(.pong, frame.unmaskedData, context: context, promise: nil)
        case .connectionClose:
            sendClose(context: context, payload: frame.unmaskedData)
            context.close(promise: nil)
        default: break  // A pong that nobody waits for.
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let message = Self.unwrapOutboundIn(data)
        let opcode: WebSocketOpcode = message.kind == .binary ? .binary : .text
        let frame = WebSocketFrame(fin: true, opcode: opcode, maskKey: maskKey, data: message.payload)
        context.write(Self.wrapOutboundOut(frame), promise: promise)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode == .all, context.channel.isActive { sendClose(context: context, payload: Self.normalClosure) }
        context.close(mode: mode, promise: promise)
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard let closing = event as? WebSocketClosing else {
            return context.triggerUserOutboundEvent(event, promise: promise)
        }
        sendClose(context: context, payload: closing.payload)
        context.close(promise: promise)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    /// Status 1000, "the purpose for which the connection was established has been fulfilled".
    private static let normalClosure = ByteBuffer(bytes: [0x03, 0xE8])

    private func sendClose(context: ChannelHandlerContext, payload: ByteBuffer) {
        guard !closeSent else { return }
        closeSent = true
        send(.connectionClose, payload, context: context, promise: nil)
    }

    private func send(
        _ opcode: WebSocketOpcode, _ payload: ByteBuffer, context: ChannelHandlerContext,
        promise: EventLoopPromise<Void>?
    ) {
        let frame = WebSocketFrame(fin: true, opcode: opcode, maskKey: maskKey, data: payload)
        context.writeAndFlush(Self.wrapOutboundOut(frame), promise: promise)
    }

    private var maskKey: WebSocketMaskingKey? { role == .client ? .random() : nil }
}

extension ChannelPipeline.SynchronousOperations {
    /// Adds what turns an upgraded channel's frames into messages.
    func addWebSocketMessageHandlers(role: WebSocketMessageHandler.Role) throws {
        try addHandler(
            NIOWebSocketFrameAggregator(
                minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: WebSocketLimits.fragmentsMax,
                maxAccumulatedFrameSize: WebSocketLimits.messageBytesMax))
        try addHandler(WebSocketMessageHandler(role: role))
    }
}
