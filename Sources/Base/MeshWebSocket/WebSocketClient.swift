import Foundation
public import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket

/// Why a WebSocket, or what goes through it, failed.
public struct WebSocketError: Error, CustomStringConvertible {
    /// The kinds of failure.
    public enum Kind: String, Sendable, CaseIterable {
        /// The server's URL, certificates or key cannot be read.
        case badConfiguration = "bad_configuration"
        /// The server answered without upgrading.
        case refused
        /// The connection could not be made, or ended before the upgrade.
        case connectFailed = "connect_failed"
    }
    public let kind: Kind
    /// The URL or file it was about, and what the server said.
    public let detail: String
    /// The HTTP status of a refusal; 0 otherwise.
    public let status: Int

    init(_ kind: Kind, _ detail: String, status: Int = 0) {
        self.kind = kind
        self.detail = detail
        self.status = status
    }

    public var description: String {
        status == 0 ? "\(kind.rawValue): \(detail)" : "\(kind.rawValue) with status \(status): \(detail)"
    }
}

/// A server to connect to and how to speak for oneself there.
public struct WebSocketServerAddress: Sendable {
    /// `https://host:port` or `http://host:port`; a path is kept as a prefix.
    public var url: String
    /// Authorities that may have signed the server's certificate; the system's when `nil`.
    public var caPEM: String?
    /// A client certificate and its key.
    public var clientCertificatePEM: String?
    public var clientKeyPEM: String?
    /// Sent as `Authorization: Bearer`.
    public var bearerToken: String?
    /// Trusts any certificate; for people who insist.
    public var skipsTLSVerification: Bool

    public init(
        url: String, caPEM: String? = nil, clientCertificatePEM: String? = nil, clientKeyPEM: String? = nil,
        bearerToken: String? = nil, skipsTLSVerification: Bool = false
    ) {
        self.url = url
        self.caPEM = caPEM
        self.clientCertificatePEM = clientCertificatePEM
        self.clientKeyPEM = clientKeyPEM
        self.bearerToken = bearerToken
        self.skipsTLSVerification = skipsTLSVerification
    }
}

/// Opens WebSockets. Reads URL and certificates once, and may then connect any number of times.
public struct WebSocketClient: Sendable {
    /// How long connecting may take.
    static let connectTimeout = TimeAmount.seconds(10)

    private let host: String
    private let port: Int
    private let pathPrefix: String
    private let bearerToken: String?
    private let tls: NIOSSLContext?

    /// - Throws: `WebSocketError` `badConfiguration` when the URL or a certificate cannot be read.
    public init(_ server: WebSocketServerAddress) throws(WebSocketError) {
        guard let parts = URLComponents(string: server.url), let host = parts.host,
            let scheme = parts.scheme, ["http", "https", "ws", "wss"].contains(scheme)
        else { throw WebSocketError(.badConfiguration, "\(server.url) is not an http or https URL") }
        let isSecure = scheme == "https" || scheme == "wss"
        self.host = host
        port = parts.port ?? (isSecure ? 443 : 80)
        pathPrefix = parts.path.hasSuffix("/") ? String(parts.path.dropLast()) : parts.path
        bearerToken = server.bearerToken
        do { tls = isSecure ? try Self.context(server) : nil } catch {
            throw WebSocketError(.badConfiguration, "certificates for \(server.url): \(error)")
        }
    }

    /// Connects on `eventLoop`, upgrades, and lets `configure` finish the channel, all before any message is read.
    ///
    /// - Parameters:
    ///   - path: Path and query, already encoded.
    ///   - subprotocols: Offered in this order.
    ///   - configure: Called on the channel's loop once it carries messages.
    /// - Throws: `WebSocketError`, or what `configure` throws.
    public func connect<Output: Sendable>(
        path: String, subprotocols: [String], on eventLoop: any EventLoop,
        configure: @escaping @Sendable (any Channel) throws -> Output
    ) -> EventLoopFuture<Output> {
        ClientBootstrap(group: eventLoop)
            .connectTimeout(Self.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        // Addresses carry no server name; their certificate is checked against the address itself.
                        let isAddress = (try? SocketAddress(ipAddress: host, port: port)) != nil  // A name otherwise.
                        try pipeline.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : host))
                    }
                    try pipeline.addHandler(DrainBeforeClose())
                }
            }
            .connect(host: host, port: port)
            .flatMap { channel in
                upgrade(channel, path: path, subprotocols: subprotocols, configure: configure)
            }
    }

    /// Connects and gives the messages as an asynchronous channel.
    public func connect(path: String, subprotocols: [String] = []) async throws -> WebSocketStream {
        try await connect(
            path: path, subprotocols: subprotocols, on: MultiThreadedEventLoopGroup.singleton.next()
        ) { channel in try WebSocketStream(wrappingChannelSynchronously: channel) }.get()
    }

    private func upgrade<Output: Sendable>(
        _ channel: any Channel, path: String, subprotocols: [String],
        configure: @escaping @Sendable (any Channel) throws -> Output
    ) -> EventLoopFuture<Output> {
        let upgrader = NIOTypedWebSocketClientUpgrader<EventLoopFuture<Output>>(
            maxFrameSize: WebSocketLimits.messageBytesMax,
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addWebSocketMessageHandlers(role: .client)
                    return channel.eventLoop.makeSucceededFuture(try configure(channel))
                }
            })
        let configuration = NIOTypedHTTPClientUpgradeConfiguration<EventLoopFuture<Output>>(
            upgradeRequestHead: requestHead(path: path, subprotocols: subprotocols), upgraders: [upgrader]
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                let handler = RefusalHandler(eventLoop: channel.eventLoop)
                try channel.pipeline.syncOperations.addHandler(handler)
                return handler.refusal.flatMapThrowing { error -> Output in throw error }
            }
        }
        return channel.eventLoop.flatSubmit {
            do {
                var pipeline = NIOUpgradableHTTPClientPipelineConfiguration(
                    upgradeConfiguration: configuration)
                pipeline.leftOverBytesStrategy = .forwardBytes
                return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
                    configuration: pipeline
                )
                .flatMap { $0 }
            } catch {
                return channel.eventLoop.makeFailedFuture(error)
            }
        }.flatMapErrorThrowing { error in
            channel.close(promise: nil)
            throw error
        }
    }

    private func requestHead(path: String, subprotocols: [String]) -> HTTPRequestHead {
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: pathPrefix + path)
        head.headers.add(name: "Host", value: "\(host):\(port)")
        head.headers.add(name: "Content-Length", value: "0")
        if let bearerToken { head.headers.add(name: "Authorization", value: "Bearer \(bearerToken)") }
        if !subprotocols.isEmpty {
            head.headers.add(name: "Sec-WebSocket-Protocol", value: subprotocols.joined(separator: ", "))
        }
        return head
    }

    private static func context(_ server: WebSocketServerAddress) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.applicationProtocols = ["http/1.1"]
        if let pem = server.caPEM {
            configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(pem.utf8)))
        }
        if server.skipsTLSVerification { configuration.certificateVerification = .none }
        if let certificate = server.clientCertificatePEM, let key = server.clientKeyPEM {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8)).map {
                .certificate($0)
            }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem))
        }
        return try NIOSSLContext(configuration: configuration)
    }
}

/// Reads the answer of a server that did not upgrade, so that its reason can be told.
private final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    /// Bytes of the answer that are kept for the message.
    private static let keptBytesMax = 4_096

    private let promise: EventLoopPromise<WebSocketError>
    private var status = 0
    private var text = ByteBuffer()

    /// Completes with what the server said.
    var refusal: EventLoopFuture<WebSocketError> { promise.futureResult }

    init(eventLoop: any EventLoop) { promise = eventLoop.makePromise() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .head(let head): status = Int(head.status.code)
        case .body(let piece):
            if text.readableBytes + piece.readableBytes <= Self.keptBytesMax {
                text.writeImmutableBuffer(piece)
            }
        case .end: finish(context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) { finish(context) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { finish(context) }

    private func finish(_ context: ChannelHandlerContext) {
        promise.succeed(WebSocketError(.refused, String(buffer: text), status: status))
        context.close(promise: nil)
    }
}
