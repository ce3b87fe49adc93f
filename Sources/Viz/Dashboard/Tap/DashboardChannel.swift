// The dashboard's connections. Most are HTTP/1.1 and Hummingbird's; one whose first request is for `/api/tap` becomes a
// WebSocket, or gets a reason why not. Browsers open a connection for each WebSocket, so the first request decides.

import HummingbirdCore
import Logging
import MeshModel
import MeshServing
import MeshWebSocket
import NIOCore
import NIOHTTP1

/// How the dashboard serves a connection.
struct DashboardChannel: ServerChildChannel {
    /// Where live requests are.
    static let tapPath = "/api/tap"
    private static let tapStart = Array("GET \(tapPath)".utf8)
    /// Bytes held while nobody serves the connection yet.
    private static let heldBytesMax = 1 << 17

    /// A connection that has not said yet what it is.
    struct Value: ServerChildChannelValue {
        let channel: any Channel
        let isTap: EventLoopFuture<Bool>
    }

    private typealias Plain = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    private enum Upgraded: Sendable {
        case socket(WebSocketStream)
        case plain(Plain)
    }

    private let http: HTTP1Channel
    private let rules: HostRules
    /// `nil` where live requests are turned off.
    private let socket: TapSocket?

    init(responder: @escaping HTTPChannelHandler.Responder, rules: HostRules, socket: TapSocket?) {
        http = HTTP1Channel(responder: responder)
        self.rules = rules
        self.socket = socket
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let isTap = try FirstBytesHandler.add(to: channel, heldBytesMax: Self.heldBytesMax, judge: Self.isTap)
            return Value(channel: channel, isTap: isTap)
        }
    }

    /// Whether a connection's first request is for the tap, as soon as it can be told.
    private static func isTap(_ seen: ByteBufferView) -> Bool? {
        guard seen.count > tapStart.count else { return tapStart.starts(with: seen) ? nil : false }
        // The path ends there, or a query follows.
        let next = seen[seen.index(seen.startIndex, offsetBy: tapStart.count)]
        return seen.starts(with: tapStart) && (next == UInt8(ascii: " ") || next == UInt8(ascii: "?"))
    }

    func handle(value: Value, logger: Logger) async {
        let channel = value.channel
        do {
            if try await value.isTap.get() {
                switch try await channel.eventLoop.flatSubmit({ self.upgrade(channel) }).get() {
                case .socket(let stream): await socket?.serve(stream)
                case .plain(let plain): try await refuse(plain)
                }
            } else {
                let wrapped = try await channel.eventLoop.flatSubmit {
                    self.http.setup(channel: channel, logger: logger).map { wrapped in
                        FirstBytesHandler<Bool>.release(channel)
                        return wrapped
                    }
                }.get()
                await http.handle(value: wrapped, logger: logger)
            }
        } catch {
            logger.debug("Connection ended", metadata: ["error": "\(error)"])
            channel.close(promise: nil)
        }
    }

    // MARK: Live requests

    /// Why this request does not become a WebSocket; `nil` when it may.
    private func refusal(_ head: HTTPRequestHead) -> DashboardError? {
        let host = head.headers.first(name: "host") ?? ""
        guard rules.accepts(host: host) else { return DashboardError(.badRequest, HostRules.explanation(host)) }
        guard rules.accepts(origin: head.headers.first(name: "origin"), host: host) else { return HostRules.foreignOrigin }
        guard socket != nil else {
            return DashboardError(.forbidden, "live requests are turned off in this dashboard; use linkerd viz tap")
        }
        return nil
    }

    /// On the channel's loop.
    private func upgrade(_ channel: any Channel) -> EventLoopFuture<Upgraded> {
        let upgrader = WebSocketServer.upgrader(
            accept: { channel, _ in channel.eventLoop.makeSucceededFuture(HTTPHeaders()) },
            upgraded: { _, stream in Upgraded.socket(stream) })
        let configuration = NIOTypedHTTPServerUpgradeConfiguration<Upgraded>(upgraders: [upgrader]) { channel in
            channel.eventLoop.makeCompletedFuture { .plain(try Plain(wrappingChannelSynchronously: channel)) }
        }
        do {
            let pipeline = channel.pipeline.syncOperations
            let result = try pipeline.configureUpgradableHTTPServerPipeline(
                configuration: .init(upgradeConfiguration: configuration))
            let upgradeHandler = try pipeline.handler(type: NIOTypedHTTPServerUpgradeHandler<Upgraded>.self)
            let gate = UpgradeGate { refusal($0) == nil }
            try pipeline.addHandler(gate, position: .before(upgradeHandler))
            FirstBytesHandler<Bool>.release(channel)
            return result
        } catch {
            return channel.eventLoop.makeFailedFuture(error)
        }
    }

    /// Answers the request with the reason, and ends the connection.
    private func refuse(_ plain: Plain) async throws {
        try await plain.executeThenClose { inbound, outbound in
            for try await part in inbound {
                guard case .head(let head) = part else { continue }
                let problem = refusal(head)
                let status = HTTPResponseStatus(statusCode: problem?.statusCode ?? 426)
                let body = (problem ?? DashboardError(.badRequest, "this is a WebSocket: ask for an upgrade")).json.serialized()
                var answer = HTTPResponseHead(version: .http1_1, status: status)
                answer.headers.add(name: "content-type", value: "application/json")
                answer.headers.add(name: "content-length", value: String(body.count))
                answer.headers.add(name: "cache-control", value: "no-store")
                answer.headers.add(name: "connection", value: "close")
                if problem == nil { answer.headers.add(name: "upgrade", value: "websocket") }
                try await outbound.write(.head(answer))
                try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: body))))
                try await outbound.write(.end(nil))
                return
            }
        }
    }
}

/// Takes the wish for an upgrade out of a request that is refused: NIO loses a request that its upgrader refuses.
private final class UpgradeGate: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    private let isGranted: (HTTPRequestHead) -> Bool

    init(_ isGranted: @escaping (HTTPRequestHead) -> Bool) { self.isGranted = isGranted }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var head) = Self.unwrapInboundIn(data) else { return context.fireChannelRead(data) }
        if !isGranted(head) { head.headers.remove(name: "upgrade") }
        // The first request decides; what follows an upgrade is no HTTP.
        let pipeline = context.pipeline.syncOperations
        context.fireChannelRead(Self.wrapInboundOut(.head(head)))
        pipeline.removeHandler(self, promise: nil)
    }
}
