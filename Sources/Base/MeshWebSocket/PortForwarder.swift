import Foundation
public import Logging
import NIOCore
import NIOPosix
import Synchronization

/// A local port that leads into a pod: each connection accepted on 127.0.0.1 goes through a WebSocket of
/// its own to the API server's `pods/portforward`.
public final class PortForwarder: Sendable {
    /// Connections that may be open at once; more are refused by closing them.
    public static let connectionsMax = 256

    private let listener: any Channel
    private let openConnections: OpenConnections
    /// The port listened on at 127.0.0.1.
    public let localPort: Int

    private init(listener: any Channel, openConnections: OpenConnections) {
        self.listener = listener
        self.openConnections = openConnections
        localPort = listener.localAddress?.port ?? 0
    }

    /// Listens; every connection is then tunnelled until `close`.
    ///
    /// - Parameters:
    ///   - localPort: Port on 127.0.0.1; 0 takes any free one.
    ///   - port: Port inside the pod.
    /// - Throws: `WebSocketError` when the server's address or certificates cannot be read, NIO's error when
    ///   the local port is taken. That a tunnel cannot be made shows on its connection, which is closed.
    public static func listen(
        server: WebSocketServerAddress, localPort: Int, namespace: String, pod: String, port: Int,
        logger: Logger
    ) async throws -> PortForwarder {
        let client = try WebSocketClient(server)
        let allowed = CharacterSet.urlPathAllowed.subtracting(["/"])
        func encoded(_ text: String) -> String {
            text.addingPercentEncoding(withAllowedCharacters: allowed) ?? text
        }
        let path = "/api/v1/namespaces/\(encoded(namespace))/pods/\(encoded(pod))/portforward?ports=\(port)"
        let open = OpenConnections()
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: Int32(connectionsMax))
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { local in
                guard open.admit(local) else { return local.close() }
                return tunnel(local, client: client, path: path, logger: logger)
            }
        let listener = try await bootstrap.bind(host: "127.0.0.1", port: localPort).get()
        return PortForwarder(listener: listener, openConnections: open)
    }

    /// Connections open now.
    public var connectionCount: Int { openConnections.count }

    /// Stops listening. Connections that are open stay open until either end closes them.
    public func close() async {
        // Closing twice is fine.
        try? await listener.close()
    }

    /// Prepares a local connection and starts its tunnel. Nothing is read from it before the tunnel is there.
    private static func tunnel(
        _ local: any Channel, client: WebSocketClient, path: String, logger: Logger
    ) -> EventLoopFuture<Void> {
        local.eventLoop.makeCompletedFuture {
            let (near, far) = RelayHandler.pair()
            try local.pipeline.syncOperations.addHandlers([DrainBeforeClose(), near])
            let bound = NIOLoopBound(far, eventLoop: local.eventLoop)
            client.connect(path: path, subprotocols: ["v4.channel.k8s.io"], on: local.eventLoop) { channel in
                try channel.pipeline.syncOperations.addHandlers([
                    PortForwardCodec(logger: logger), bound.value,
                ])
            }.whenFailure { error in
                logger.warning("Port-forward could not be opened", metadata: ["cause": "\(error)"])
                local.close(promise: nil)
            }
        }
    }
}

/// Counts open connections and refuses those above the limit.
private final class OpenConnections: Sendable {
    private let open = Mutex(0)

    var count: Int { open.withLock { $0 } }

    func admit(_ channel: any Channel) -> Bool {
        let isAdmitted = open.withLock { count in
            guard count < PortForwarder.connectionsMax else { return false }
            count += 1
            return true
        }
        if isAdmitted { channel.closeFuture.whenComplete { _ in self.open.withLock { $0 -= 1 } } }
        return isAdmitted
    }
}
