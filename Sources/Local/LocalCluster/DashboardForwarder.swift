internal import Logging
internal import MeshServing
internal import NIOCore
internal import NIOPosix

/// Copies connections from the host's 127.0.0.1 to the dashboard's Service. It listens on a socket of the
/// host that the supervisor handed over, and connects from inside the node.
struct DashboardForwarder: Sendable {
    static let host = "web.linkerd-viz.svc.cluster.local"
    static let port = 8084

    private typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    let listener: Int32
    let logger: Logger

    /// Serves until cancelled.
    func run() async throws {
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
        let connections = try await ConnectionListener(bootstrap) {
            try await $0.bind(listener, childChannelInitializer: $1)
        }
        logger.info("Dashboard forwarder serves", metadata: ["dst": "\(Self.host):\(Self.port)"])
        try await connections.serveEach { try Self.wrap($0) } serve: { await forward($0) }
    }

    private static func wrap(_ channel: any Channel) throws -> Connection {
        try Connection(
            wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
    }

    private func forward(_ client: Connection) async {
        do {
            let upstream: Connection
            do {
                upstream = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connectTimeout(.seconds(3))
                    .channelOption(.allowRemoteHalfClosure, value: true)
                    .connect(host: Self.host, port: Self.port) { channel in
                        channel.eventLoop.makeCompletedFuture { try Self.wrap(channel) }
                    }
            } catch {
                logger.debug("Dashboard is not reachable", metadata: ["error": "\(error)"])
                try await client.executeThenClose { _, outbound in
                    try await outbound.write(ByteBuffer(string: Self.unavailable))
                }
                return
            }
            try await client.executeThenClose { requests, toClient in
                try await upstream.executeThenClose { answers, toServer in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask {
                            for try await piece in requests { try await toServer.write(piece) }
                            toServer.finish()
                        }
                        for try await piece in answers { try await toClient.write(piece) }
                        toClient.finish()
                        group.cancelAll()
                    }
                }
            }
        } catch {
            logger.debug("Forwarded connection ended", metadata: ["error": "\(error)"])
        }
    }

    private static let unavailable: String = {
        let body =
            "The dashboard is not running in this cluster yet. Its pods: kubectl -n linkerd-viz get pods\n"
        return """
            HTTP/1.1 503 Service Unavailable\r
            Content-Type: text/plain; charset=utf-8\r
            Content-Length: \(body.utf8.count)\r
            Retry-After: 2\r
            Connection: close\r
            \r
            \(body)
            """
    }()
}
