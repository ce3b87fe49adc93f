// Puts the controller together: credentials first, then the right to review tokens, then the servers.

public import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
public import Logging
public import MeshKubernetes
internal import Synchronization

/// Addresses of the controller's two servers; port 0 lets the system choose.
public struct IdentityAddresses: Sendable {
    public var grpcHost: String
    public var grpcPort: Int
    public var adminHost: String
    public var adminPort: Int

    public init(
        grpcHost: String = "0.0.0.0", grpcPort: Int = 8_080, adminHost: String = "0.0.0.0",
        adminPort: Int = 9_990
    ) {
        self.grpcHost = grpcHost
        self.grpcPort = grpcPort
        self.adminHost = adminHost
        self.adminPort = adminPort
    }
}

/// The identity controller.
public final class IdentityController: Sendable {
    private let settings: IdentitySettings
    private let addresses: IdentityAddresses
    private let logger: Logger
    private let now: @Sendable () -> Date
    private let domain: TrustDomain
    private let reviewer: TokenReviewer
    private let metrics = IdentityMetrics()
    private let events: IdentityEvents
    private let server = Mutex<GRPCServer<HTTP2ServerTransport.Posix>?>(nil)
    private let isServing = Mutex(false)
    private let isShuttingDown = Mutex(false)

    /// Creates the controller; nothing runs and no file is read yet.
    ///
    /// - Throws: When namespace or trust domain cannot be part of a name.
    public init(
        settings: IdentitySettings, addresses: IdentityAddresses, client: KubernetesClient, logger: Logger,
        now: @escaping @Sendable () -> Date = { Date() }
    ) throws {
        self.settings = settings
        self.addresses = addresses
        self.logger = logger
        self.now = now
        domain = try TrustDomain(
            controllerNamespace: settings.controllerNamespace, domain: settings.trustDomain)
        reviewer = TokenReviewer(client: client)
        events = IdentityEvents(
            client: client, controllerNamespace: settings.controllerNamespace, metrics: metrics,
            logger: logger)
    }

    /// Serves until `beginShutdown()` or cancellation.
    ///
    /// - Parameter onServing: Called once with the gRPC and the admin port when both accept connections.
    /// - Throws: When issuer or anchors are unusable, tokens may not be reviewed, or a port cannot be bound.
    public func run(onServing: @escaping @Sendable (_ grpcPort: Int, _ adminPort: Int) -> Void = { _, _ in })
        async throws
    {
        let store = try await IssuerStore(settings: settings, now: now())
        logger.info("Issuer loaded", metadata: ["expiry": "\(RFC3339.text(store.issuer.notAfter))"])
        try await reviewer.checkAccess()
        let server = makeServer(store: store)
        self.server.withLock { $0 = server }
        if isShuttingDown.withLock({ $0 }) { return }
        let (adminPorts, onAdmin) = AsyncStream.makeStream(of: Int.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.events.run() }
            group.addTask { await self.watchIssuer(store) }
            group.addTask { try await self.admin(store).run { onAdmin.yield($0) } }
            group.addTask {
                try await self.serve(server, adminPorts: adminPorts, onServing: onServing)
                throw CancellationError()  // Ends the group: without a server the rest is of no use.
            }
            do {
                while try await group.next() != nil {}
            } catch is CancellationError {
                group.cancelAll()
            }
        }
    }

    /// A plaintext server; the proxy beside the controller adds TLS. Proxies ping every ten seconds also
    /// without calls, which the library's default would punish by closing the connection.
    private func makeServer(store: IssuerStore) -> GRPCServer<HTTP2ServerTransport.Posix> {
        let (host, port) = (addresses.grpcHost, addresses.grpcPort)
        let address: GRPCNIOTransportHTTP2Posix.SocketAddress =
            host.contains(":") ? .ipv6(host: host, port: port) : .ipv4(host: host, port: port)
        let transport = HTTP2ServerTransport.Posix(
            address: address, transportSecurity: .plaintext,
            config: .defaults {
                $0.connection.keepalive.clientBehavior = .init(
                    minPingIntervalWithoutCalls: .seconds(1), allowWithoutCalls: true)
            })
        let service = IdentityService(
            domain: domain, settings: settings, store: store, reviewer: reviewer, metrics: metrics,
            events: events,
            logger: logger, now: now)
        return GRPCServer(transport: transport, services: [service])
    }

    private func serve(
        _ server: GRPCServer<HTTP2ServerTransport.Posix>, adminPorts: AsyncStream<Int>,
        onServing: @escaping @Sendable (Int, Int) -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            if case .some(let address) = try await server.listeningAddress {
                let port = address.ipv4?.port ?? address.ipv6?.port ?? 0
                isServing.withLock { $0 = true }
                logger.info("Serving identity", metadata: ["port": "\(port)"])
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

    /// Looks at the issuer's files until cancelled.
    private func watchIssuer(_ store: IssuerStore) async {
        while !Task.isCancelled {
            do { try await Task.sleep(for: settings.issuerPollInterval) } catch { return }
            let outcome = await store.reload(at: now())
            metrics.reloaded(outcome)
            switch outcome {
            case .unchanged, .stillSkipped: break
            case .updated(let notAfter):
                let expiry = RFC3339.text(notAfter)
                logger.info("Issuer updated", metadata: ["expiry": "\(expiry)"])
                events.record(
                    IdentityEvent(
                        reason: .issuerUpdated, message: "Updated identity issuer, good until \(expiry)",
                        date: now()))
            case .skipped(let reason):
                logger.warning(
                    "New issuer is not usable, keeping the old one", metadata: ["error": "\(reason)"])
                events.record(
                    IdentityEvent(
                        reason: .issuerUpdateSkipped, message: "Skipped issuer update: \(reason)", date: now()
                    ))
            }
        }
    }

    /// Ends every call in good order and then `run()`.
    public func beginShutdown() {
        isShuttingDown.withLock { $0 = true }
        isServing.withLock { $0 = false }
        server.withLock { $0 }?.beginGracefulShutdown()
    }

    private func admin(_ store: IssuerStore) -> AdminServer {
        AdminServer(
            host: addresses.adminHost, port: addresses.adminPort,
            routes: AdminServer.standardRoutes(
                isReady: { self.isServing.withLock { $0 } },
                metrics: { [metrics, now] in
                    metrics.render(issuerNotAfter: store.issuer.notAfter, now: now())
                }),
            logger: logger)
    }
}
