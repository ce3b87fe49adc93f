import Logging
import MeshServing
import MeshWebSocket
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Accepts connections and serves each in a task of its own.
struct Listener: Sendable {
    /// Connections that may wait to be accepted.
    static let backlog: Int32 = 256

    /// Connections open at once; more are closed as soon as they are accepted.
    static let connectionsMax = 4_096

    /// What a connection turned out to be.
    enum Connection: Sendable {
        case http(HTTPConnection.Stream)
        case webSocket(WebSocketStream, HTTPRequestHead)
        case spdy(NIOAsyncChannel<ByteBuffer, ByteBuffer>, HTTPRequestHead)
    }

    /// A connection that has been accepted but has not yet said what it wants.
    struct Accepted: Sendable {
        let channel: any Channel
        let connection: EventLoopFuture<Connection>
    }

    let tls: NIOSSLContext
    let router: Router
    let logger: Logger

    func bind(host: String, port: Int) async throws -> ConnectionListener {
        try await ConnectionListener(bootstrap) {
            try await $0.bind(host: host, port: port, childChannelInitializer: $1)
        }
    }

    /// Takes over a socket that already listens.
    func adopt(_ descriptor: Int32) async throws -> ConnectionListener {
        try await ConnectionListener(bootstrap) { try await $0.bind(descriptor, childChannelInitializer: $1) }
    }

    /// Serves the connections of one listening socket until cancelled; then closes them.
    func serve(_ listener: ConnectionListener) async throws {
        try await listener.serveEach(atMost: Self.connectionsMax, open: initialize) { await serve($0) }
    }

    private func serve(_ accepted: Accepted) async {
        await withTaskCancellationHandler {
            do {
                let upgraded = PortForwardServer(gate: PortForwardGate(router: router))
                switch try await accepted.connection.get() {
                case .http(let stream):
                    await HTTPConnection(channel: stream, router: router, logger: logger).run()
                case .webSocket(let stream, let head): try await upgraded.serve(stream, head)
                case .spdy(let stream, let head): try await upgraded.serve(stream, head)
                }
            } catch {
                // A failed handshake, a client that left before its first request or in the middle of a tunnel.
                logger.debug("Connection failed", metadata: ["cause": "\(error)"])
            }
        } onCancel: {
            accepted.channel.close(promise: nil)
        }
    }

    private var bootstrap: ServerBootstrap {
        ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
    }

    private func initialize(_ channel: any Channel) throws -> Accepted {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(NIOSSLServerHandler(context: tls))
        try pipeline.addHandler(DrainBeforeClose())
        let upgrades = PortForwardUpgrades(gate: PortForwardGate(router: router))
        let upgrade = NIOTypedHTTPServerUpgradeConfiguration<Connection>(upgraders: upgrades.upgraders) {
            channel in
            channel.eventLoop.makeCompletedFuture {
                .http(try HTTPConnection.Stream(wrappingChannelSynchronously: channel))
            }
        }
        var configuration = NIOUpgradableHTTPServerPipelineConfiguration(upgradeConfiguration: upgrade)
        // Requests are served one after another anyway, and a held-back read would hide a hang-up.
        configuration.enablePipelining = false
        configuration.enableResponseHeaderValidation = true
        let connection = try pipeline.configureUpgradableHTTPServerPipeline(configuration: configuration)
        let upgradeHandler = try pipeline.handler(type: NIOTypedHTTPServerUpgradeHandler<Connection>.self)
        let gate = UpgradeGateHandler { channel, head in
            channel.eventLoop.makeFutureWithTask { try await upgrades.isGranted(channel, head) }
        }
        try pipeline.addHandler(gate, position: .before(upgradeHandler))
        return Accepted(channel: channel, connection: connection)
    }
}
