// Puts the controller together: watches, then the gRPC server once they are complete, and the admin port.

package import GRPCCore
package import GRPCNIOTransportHTTP2Posix
public import Logging
public import MeshKubernetes
internal import Synchronization

/// Addresses of the controller's two servers; port 0 lets the system choose.
public struct DestinationAddresses: Sendable {
    public var grpcHost: String
    public var grpcPort: Int
    public var adminHost: String
    public var adminPort: Int

    public init(
        grpcHost: String = "0.0.0.0", grpcPort: Int = 8_086, adminHost: String = "0.0.0.0",
        adminPort: Int = 9_996
    ) {
        self.grpcHost = grpcHost
        self.grpcPort = grpcPort
        self.adminHost = adminHost
        self.adminPort = adminPort
    }
}

/// The destination controller.
public final class DestinationController: Sendable {
    private let settings: DestinationSettings
    private let addresses: DestinationAddresses
    private let logger: Logger
    private let watcher: ClusterWatcher
    private let index = ClusterIndex()
    private let metrics = DestinationMetrics()
    private let server: GRPCServer<HTTP2ServerTransport.Posix>
    private let isServing = Mutex(false)
    /// An element for each kind whose first list is in the index; finished by a shutdown.
    private let applied = AsyncStream.makeStream(of: Void.self)

    /// Creates the controller; nothing runs yet.
    public init(
        settings: DestinationSettings, addresses: DestinationAddresses, client: KubernetesClient,
        logger: Logger
    ) {
        self.settings = settings
        self.addresses = addresses
        self.logger = logger
        let intake = ProfileIntake(clusterDomain: settings.clusterDomain, metrics: metrics, logger: logger)
        watcher = ClusterWatcher(client: client, index: index, intake: intake, logger: logger)
        server = Self.makeServer(
            host: addresses.grpcHost, port: addresses.grpcPort,
            service: DestinationService(index: index, settings: settings, metrics: metrics))
    }

    /// A plaintext server; the proxy beside the controller adds TLS. Proxies ping every ten seconds also
    /// without calls, which the library's default would punish by closing the connection.
    package static func makeServer(
        host: String, port: Int, service: DestinationService
    ) -> GRPCServer<HTTP2ServerTransport.Posix> {
        let address: GRPCNIOTransportHTTP2Posix.SocketAddress =
            host.contains(":") ? .ipv6(host: host, port: port) : .ipv4(host: host, port: port)
        let transport = HTTP2ServerTransport.Posix(
            address: address, transportSecurity: .plaintext,
            config: .defaults {
                $0.connection.keepalive.clientBehavior = .init(
                    minPingIntervalWithoutCalls: .seconds(1), allowWithoutCalls: true)
            })
        return GRPCServer(transport: transport, services: [service])
    }

    /// Serves until `beginShutdown()` or cancellation.
    ///
    /// - Parameter onServing: Called once with the gRPC and the admin port when both accept connections.
    /// - Throws: When a port cannot be bound.
    public func run(onServing: @escaping @Sendable (_ grpcPort: Int, _ adminPort: Int) -> Void = { _, _ in })
        async throws
    {
        let (adminPorts, onAdmin) = AsyncStream.makeStream(of: Int.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.watcher.run { self.applied.continuation.yield() } }
            group.addTask { try await self.admin.run { onAdmin.yield($0) } }
            group.addTask {
                // An answer from half a cluster would drop endpoints that proxies still hold.
                var listedCount = 0
                for await _ in self.applied.stream {
                    listedCount += 1
                    if listedCount == ClusterWatcher.kindCount { break }
                }
                guard listedCount == ClusterWatcher.kindCount else { throw CancellationError() }
                try await self.serve(adminPorts: adminPorts, onServing: onServing)
                throw CancellationError()  // Ends the group: without a server the watches are of no use.
            }
            do {
                while try await group.next() != nil {}
            } catch is CancellationError {
                group.cancelAll()
            }
        }
    }

    private func serve(adminPorts: AsyncStream<Int>, onServing: @escaping @Sendable (Int, Int) -> Void)
        async throws
    {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.server.serve() }
            if case .some(let address) = try await server.listeningAddress {
                let port = address.ipv4?.port ?? address.ipv6?.port ?? 0
                isServing.withLock { $0 = true }
                logger.info("Serving discovery", metadata: ["port": "\(port)"])
                var adminPort = 0
                for await port in adminPorts {
                    adminPort = port
                    break
                }
                onServing(port, adminPort)
            }
            try await group.waitForAll()
        }
    }

    /// Ends every stream in good order and then `run()`.
    public func beginShutdown() {
        isServing.withLock { $0 = false }
        index.finish()
        applied.continuation.finish()
        server.beginGracefulShutdown()
    }

    private var admin: AdminServer {
        AdminServer(
            host: addresses.adminHost, port: addresses.adminPort,
            routes: AdminServer.standardRoutes(
                isReady: { self.isServing.withLock { $0 } },
                metrics: { [metrics, index] in metrics.render(index: index) }),
            logger: logger)
    }
}
