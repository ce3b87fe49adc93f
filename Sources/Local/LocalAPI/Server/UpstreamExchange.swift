// One HTTP/1.1 request to a program inside the cluster, over TCP or TLS, on a connection of its own: the proxy
// of pods and services, aggregated APIs and admission webhooks are all made of it.

import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// Where a request goes.
struct UpstreamTarget: Sendable {
    struct TLS: Sendable {
        let context: NIOSSLContext
        /// The name that the peer's certificate must bear.
        let serverName: String
    }

    let host: String
    let port: Int
    var tls: TLS?
}

/// An answer that was read whole.
struct UpstreamAnswer: Sendable {
    let status: Int
    let headers: HTTPHeaders
    let body: ByteBuffer
}

/// A request and how it is sent.
struct UpstreamExchange: Sendable {
    /// How long a peer may take to accept the connection.
    static let connectTimeout = TimeAmount.seconds(5)

    /// Why no answer came.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    let target: UpstreamTarget
    let head: HTTPRequestHead
    let body: ByteBuffer
    /// Longest time from connecting to the answer's end; `nil` for as long as both sides stay.
    var limit: TimeAmount?

    /// Headers that concern one connection only, or that must not reach a program inside the cluster.
    static let notForwarded: Set<String> = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
        "upgrade", "authorization", "host", "content-length", "expect", UpgradeGateHandler.refusedHeader.lowercased(),
    ]

    private static let notReturned: Set<String> = [
        "connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade",
    ]

    /// Streams the answer to a client, and hangs up when the client does.
    ///
    /// - Throws: `StatusError` 503 when no answer came.
    func run(to stream: ResponseStream) async throws {
        do {
            try await withConnection { connection in
                let channel = connection.channel
                stream.onHangUp { channel.close(promise: nil) }
                try await exchange(connection) { part in
                    switch part {
                    case .head(let answer):
                        guard answer.status.code >= 200 else { return false }
                        let headers = answer.headers.filter { !Self.notReturned.contains($0.name.lowercased()) }
                        try await stream.start(
                            status: Int(answer.status.code), headers: headers.map { ($0.name, $0.value) })
                    case .body(let piece): try await stream.write(piece)
                    case .end: return true
                    }
                    return false
                }
            }
        } catch let error where !stream.isStarted {
            throw StatusError.unavailable("error trying to reach service: \(describe(error))")
        }
    }

    /// Reads the answer whole.
    ///
    /// - Throws: `Failure` in words when there is none, or when its body is longer than `bytesMax`.
    func collect(bytesMax: Int) async throws -> UpstreamAnswer {
        do {
            return try await withConnection { connection in
                var head: HTTPResponseHead?
                var body = ByteBuffer()
                try await exchange(connection) { part in
                    switch part {
                    case .head(let answer): if answer.status.code >= 200 { head = answer }
                    case .body(let piece):
                        guard body.readableBytes + piece.readableBytes <= bytesMax else {
                            throw Failure(description: "the answer is longer than \(bytesMax) bytes")
                        }
                        body.writeImmutableBuffer(piece)
                    case .end: return true
                    }
                    return false
                }
                guard let head else { throw Failure(description: "the connection ended without an answer") }
                return UpstreamAnswer(status: Int(head.status.code), headers: head.headers, body: body)
            }
        } catch { throw Failure(description: describe(error)) }
    }

    private func withConnection<T: Sendable>(_ use: (Connection) async throws -> T) async throws -> T {
        let cause = FirstError()
        let connection = try await connect(noting: cause)
        let isLate = Mutex(false)
        let alarm = limit.map { limit in
            connection.channel.eventLoop.scheduleTask(in: limit) {
                isLate.withLock { $0 = true }
                connection.channel.close(promise: nil)
            }
        }
        defer { alarm?.cancel() }
        do { return try await use(connection) } catch {
            guard isLate.withLock({ $0 }), let limit else { throw cause.value ?? error }
            throw Failure(description: "no answer within \(limit.nanoseconds / 1_000_000_000)s (deadline exceeded)")
        }
    }

    private func connect(noting cause: FirstError) async throws -> Connection {
        let tls = target.tls
        let timeout = min(Self.connectTimeout, limit ?? Self.connectTimeout)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        // An address cannot be asked for by name; a certificate may still bear it.
                        let name = AddressBytes.parse(tls.serverName) == nil ? tls.serverName : nil
                        try pipeline.addHandler(NIOSSLClientHandler(context: tls.context, serverHostname: name))
                    }
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(cause)
                }
            }
            .connect(host: target.host, port: target.port).get()
        // Wrapped once it is there: an asynchronous channel that is dropped unused, because nobody answered, ends the
        // process. Nothing is lost before, since the other side only answers.
        return try await channel.eventLoop.submit { try Connection(wrappingChannelSynchronously: channel) }.get()
    }

    /// Sends the request and hands on the parts of the answer until `receive` says that it is whole.
    private func exchange(
        _ connection: Connection, _ receive: (HTTPClientResponsePart) async throws -> Bool
    ) async throws {
        let isWhole = try await connection.executeThenClose { inbound, outbound in
            try await outbound.write(.head(head))
            if body.readableBytes > 0 { try await outbound.write(.body(.byteBuffer(body))) }
            try await outbound.write(.end(nil))
            for try await part in inbound where try await receive(part) { return true }
            return false
        }
        if !isWhole { throw Failure(description: "the connection ended before the answer did") }
    }

    /// The cause in words; the address is named where the kernel refused it.
    private func describe(_ error: any Error) -> String {
        switch error {
        case let failure as Failure: failure.description
        case let status as StatusError: status.message
        case is NIOConnectionError, is IOError, is ChannelError: "dial tcp \(target.host):\(target.port): \(error)"
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: "tls: \(error)"
        default: "\(error)"
        }
    }
}

/// The first thing that went wrong on a connection: a handshake may fail before anybody reads from it.
private final class FirstError: ChannelInboundHandler, Sendable {
    typealias InboundIn = NIOAny

    private let first = Mutex<(any Error)?>(nil)
    var value: (any Error)? { first.withLock { $0 } }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        first.withLock { $0 = $0 ?? error }
        context.fireErrorCaught(error)
    }
}
