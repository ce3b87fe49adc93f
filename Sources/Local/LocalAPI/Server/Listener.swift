import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Accepts connections and serves each in a task of its own.
struct Listener: Sendable {
    /// Connections that may wait to be accepted.
    static let backlog: Int32 = 256
    /// How long an idle TLS handshake may take before the connection is dropped.
    static let handshakeTimeout = TimeAmount.seconds(10)

    /// What a connection turned out to be.
    enum Connection: Sendable {
        case http(HTTPConnection.Stream)
    }

    typealias Server = NIOAsyncChannel<EventLoopFuture<Connection>, Never>

    let tls: NIOSSLContext
    let router: Router
    let logger: Logger

    func bind(host: String, port: Int) async throws -> Server {
        try await bootstrap.bind(host: host, port: port, childChannelInitializer: initialize)
    }

    /// Takes over a socket that already listens.
    func adopt(_ descriptor: Int32) async throws -> Server {
        try await bootstrap.bind(descriptor, childChannelInitializer: initialize)
    }

    /// Serves the connections of one listening socket until cancelled.
    func serve(_ server: Server) async throws {
        try await server.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { group in
                for try await connection in connections {
                    group.addTask { await serve(connection) }
                }
            }
        }
    }

    private func serve(_ pending: EventLoopFuture<Connection>) async {
        do {
            switch try await pending.get() {
            case .http(let stream): await HTTPConnection(channel: stream, router: router, logger: logger).run()
            }
        } catch {
            // A failed handshake or a client that left before its first request.
            logger.debug("Connection failed", metadata: ["cause": "\(error)"])
        }
    }

    private var bootstrap: ServerBootstrap {
        ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
    }

    private func initialize(_ channel: any Channel) -> EventLoopFuture<EventLoopFuture<Connection>> {
        channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(NIOSSLServerHandler(context: tls))
            let upgrade = NIOTypedHTTPServerUpgradeConfiguration<Connection>(upgraders: []) { channel in
                channel.eventLoop.makeCompletedFuture {
                    .http(try HTTPConnection.Stream(wrappingChannelSynchronously: channel))
                }
            }
            var configuration = NIOUpgradableHTTPServerPipelineConfiguration(upgradeConfiguration: upgrade)
            // Requests are served one after another anyway, and a held-back read would hide a hang-up.
            configuration.enablePipelining = false
            configuration.enableResponseHeaderValidation = true
            return try pipeline.configureUpgradableHTTPServerPipeline(configuration: configuration)
        }
    }
}
