// Puts the injector together: the webhook's server around the pure decision, the reload of its certificate, the
// events and the admin port.

public import Logging
public import MeshKubernetes
internal import Synchronization

/// The proxy injector.
public final class InjectorController: Sendable {
    private let settings: InjectorSettings
    private let certificate: ServerCertificate
    private let metrics = InjectorMetrics()
    private let events: InjectorEvents
    private let server: WebhookServer
    private let logger: Logger
    private let isServing = Mutex(false)

    /// Creates the controller; nothing listens yet.
    ///
    /// - Throws: When the serving certificate cannot be used.
    public init(settings: InjectorSettings, client: KubernetesClient, logger: Logger) throws {
        self.settings = settings
        self.logger = logger
        certificate = try ServerCertificate(directory: settings.certificateDirectory, logger: logger)
        events = InjectorEvents(client: client, metrics: metrics, logger: logger)
        let handler = AdmissionHandler(
            settings: settings, cluster: ClusterFacts(client: client, logger: logger), events: events, metrics: metrics,
            logger: logger)
        server = WebhookServer(
            host: settings.host, port: settings.port, certificate: certificate, logger: logger,
            handler: handler.decide)
    }

    /// Serves until `beginShutdown()` or cancellation.
    ///
    /// - Parameter onServing: Called once with the webhook's and the admin port when both accept connections.
    /// - Throws: When a port cannot be bound.
    public func run(
        onServing: @escaping @Sendable (_ port: Int, _ adminPort: Int) -> Void = { _, _ in }
    ) async throws {
        let (ports, onPort) = AsyncStream.makeStream(of: (isAdmin: Bool, port: Int).self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.events.run() }
            group.addTask { await self.certificate.run() }
            group.addTask { try await self.admin.run { onPort.yield((true, $0)) } }
            group.addTask {
                try await self.server.run { port in
                    self.isServing.withLock { $0 = true }
                    self.logger.info("Serving admission", metadata: ["port": "\(port)"])
                    onPort.yield((false, port))
                }
                throw CancellationError()  // Ends the group: without a server the rest is of no use.
            }
            group.addTask {
                var found: [Bool: Int] = [:]
                for await (isAdmin, port) in ports {
                    found[isAdmin] = port
                    guard let webhook = found[false], let admin = found[true] else { continue }
                    return onServing(webhook, admin)
                }
            }
            do {
                while try await group.next() != nil {}
            } catch is CancellationError {
                group.cancelAll()
            }
        }
    }

    /// Answers what is under way and then ends `run()`.
    public func beginShutdown() {
        isServing.withLock { $0 = false }
        server.beginShutdown()
    }

    private var admin: AdminServer {
        AdminServer(
            host: settings.adminHost, port: settings.adminPort,
            routes: AdminServer.standardRoutes(
                isReady: { self.isServing.withLock { $0 } }, metrics: { [metrics] in metrics.render() }),
            logger: logger)
    }
}
