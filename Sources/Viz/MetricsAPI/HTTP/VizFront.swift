// metrics-api's port: gRPC for today's clients, and HTTP/1.1 for Linkerd 2.11's and for people with curl, told apart
// by a connection's first bytes. grpc-swift owns its listener, so the gRPC server stands on a loopback port of its
// own and HTTP/2 connections are joined to it; what is HTTP/1.1 is answered here.

import GRPCCore
import Logging
import MeshServing
import NIOCore
import NIOHTTP1
import NIOPosix

/// Serves one port with both protocols.
struct VizFront: Sendable {
    /// Connections served at once; further ones are closed.
    static let connectionsMax = 1_024
    /// Largest request body over HTTP/1.1.
    static let bodyBytesMax = 4 << 20

    let host: String
    let port: Int
    let routes: VizRoutes
    let logger: Logger

    /// A connection that was accepted, and what it will turn out to speak.
    private struct Accepted: Sendable {
        let channel: any Channel
        let speaks: EventLoopFuture<VizProtocol>
    }

    private typealias HTTP1 = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>
    private typealias Bytes = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    /// Serves until cancelled.
    ///
    /// - Parameters:
    ///   - grpcPort: Loopback port of the gRPC server.
    ///   - onListening: Called once with the bound port.
    /// - Throws: When the port cannot be bound.
    func run(grpcPort: Int, onListening: @Sendable (Int) -> Void) async throws {
        let listener = try await ConnectionListener(host: host, port: port)
        if let port = listener.port { onListening(port) }
        try await listener.serveEach(atMost: Self.connectionsMax) { channel in
            Accepted(channel: channel, speaks: try VizProtocol.detect(channel))
        } serve: { connection in
            do {
                try await serve(connection.channel, connection.speaks.get(), grpcPort)
            } catch {
                logger.debug("Connection ended", metadata: ["error": "\(error)"])
            }
        }
    }

    private func serve(_ channel: any Channel, _ speaks: VizProtocol, _ grpcPort: Int) async throws {
        // What the event loop returns is run at once: see `FirstBytesHandler`.
        switch speaks {
        case .http1: try await serve(channel.eventLoop.submit { try VizProtocol.http1(channel) }.get())
        case .http2: try await join(channel.eventLoop.submit { try VizProtocol.http2(channel) }.get(), grpcPort)
        }
    }

    /// Copies bytes both ways until either side ends.
    private func join(_ client: Bytes, _ grpcPort: Int) async throws {
        try await client.executeThenClose { clientInbound, clientOutbound in
            let server = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: grpcPort) { channel in
                    channel.eventLoop.makeCompletedFuture { try Bytes(wrappingChannelSynchronously: channel) }
                }
            try await server.executeThenClose { serverInbound, serverOutbound in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { for try await bytes in clientInbound { try await serverOutbound.write(bytes) } }
                    group.addTask { for try await bytes in serverInbound { try await clientOutbound.write(bytes) } }
                    // gRPC ends a connection from both sides at once; a half that is left has nothing to say.
                    defer { group.cancelAll() }
                    try await group.next()
                }
            }
        }
    }

    private func serve(_ channel: HTTP1) async throws {
        try await channel.executeThenClose { inbound, outbound in
            var head: HTTPRequestHead?
            var body: [UInt8] = []
            var isTooLarge = false
            for try await part in inbound {
                switch part {
                case .head(let new):
                    (head, body, isTooLarge) = (new, [], false)
                case .body(let bytes):
                    isTooLarge = isTooLarge || body.count + bytes.readableBytes > Self.bodyBytesMax
                    if !isTooLarge { body += bytes.readableBytesView }
                case .end:
                    guard let request = head else { continue }
                    let response =
                        isTooLarge
                        ? VizHTTPResponse.text(413, "the body is larger than \(Self.bodyBytesMax) bytes\n")
                        : await routes.answer(
                            method: request.method.rawValue, uri: request.uri, isJSON: Self.isJSON(request),
                            body: body)
                    try await write(response, for: request, to: outbound)
                    guard request.isKeepAlive else { return }
                    head = nil
                }
            }
        }
    }

    private static func isJSON(_ request: HTTPRequestHead) -> Bool {
        let type = request.headers.first(name: "content-type") ?? ""
        return type.lowercased().hasPrefix("application/json")
    }

    private func write(
        _ response: VizHTTPResponse, for request: HTTPRequestHead,
        to outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws {
        var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: response.status))
        for (name, value) in response.headers { head.headers.add(name: name, value: value) }
        head.headers.add(name: "content-length", value: String(response.body.count))
        if !request.isKeepAlive { head.headers.add(name: "connection", value: "close") }
        try await outbound.write(.head(head))
        if request.method != .HEAD { try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: response.body)))) }
        try await outbound.write(.end(nil))
    }
}
