public import NIOCore
public import NIOHTTP1
import NIOWebSocket

/// The server's side of the upgrade.
public enum WebSocketServer {
    /// An upgrader for a typed HTTP/1 pipeline.
    ///
    /// - Parameters:
    ///   - accept: Decides on a request; `nil` refuses, and the request goes on as plain HTTP. The headers
    ///     are added to the answer.
    ///   - upgraded: Makes the result of the upgrade from the request and the connection.
    public static func upgrader<UpgradeResult: Sendable>(
        accept: @escaping @Sendable (any Channel, HTTPRequestHead) -> EventLoopFuture<HTTPHeaders?>,
        upgraded: @escaping @Sendable (HTTPRequestHead, WebSocketStream) -> UpgradeResult
    ) -> any NIOTypedHTTPServerProtocolUpgrader<UpgradeResult> {
        NIOTypedWebSocketServerUpgrader<UpgradeResult>(
            maxFrameSize: WebSocketLimits.messageBytesMax, shouldUpgrade: accept,
            upgradePipelineHandler: { channel, head in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addWebSocketMessageHandlers(role: .server)
                    return upgraded(head, try WebSocketStream(wrappingChannelSynchronously: channel))
                }
            })
    }

    /// The sub-protocols that a request offers, in the client's order.
    public static func offeredProtocols(_ headers: HTTPHeaders) -> [String] {
        headers[canonicalForm: "Sec-WebSocket-Protocol"].map(String.init)
    }
}
