import Foundation
package import GRPCCore
package import GRPCNIOTransportHTTP2Posix
public import Logging
public import MeshKubernetes
import MeshModel
package import MeshRollup
public import RollupStore
import Synchronization

/// What metrics-api needs to know.
public struct MetricsAPIConfig: Sendable, Equatable {
    /// Where the gRPC API listens; port 0 lets the system choose.
    public var host = "0.0.0.0"
    /// Linkerd's metrics-api listens on 8085.
    public var port = 8_085
    public var adminHost = "0.0.0.0"
    public var adminPort = 9_995
    /// Control plane whose pods count as meshed.
    public var controllerNamespace = "linkerd"
    /// Namespaces that `ListPods` leaves out.
    public var ignoredNamespaces: Set<String> = ["kube-system"]
    public var clusterDomain = "cluster.local"
    /// The SQLite file of the rollup store; its folder must exist.
    public var storePath = "/data/rollups.db"
    public var storeLimits = StoreLimits()
    public var scrapeInterval: Duration = .seconds(10)
    public var acceptsGzip = false

    /// Defaults are those of the Helm chart.
    public init() {}
}

/// metrics-api: discovers and scrapes proxies, keeps rollups, answers questions about traffic.
public final class MetricsAPIServer: Sendable {
    /// How often pending records are committed and ended spans are looked for.
    static let storePeriod: Duration = .seconds(1)

    private let config: MetricsAPIConfig
    private let logger: Logger
    private let watch: ClusterWatch
    private let store: RollupStore
    private let sources: VizSources
    private let server: GRPCServer<HTTP2ServerTransport.Posix>

    /// Opens the store; nothing listens yet.
    ///
    /// - Throws: When the store can be neither opened nor replaced.
    public init(config: MetricsAPIConfig, client: KubernetesClient, logger: Logger) throws {
        self.config = config
        self.logger = logger
        let watch = ClusterWatch(
            client: client, controllerNamespace: config.controllerNamespace, logger: logger)
        self.watch = watch
        let store = try RollupStore(
            path: config.storePath, now: .current, limits: config.storeLimits, logger: logger)
        self.store = store
        let rules = CursorRules(intervalMilliseconds: config.scrapeInterval.milliseconds)
        let ingestor = Ingestor(
            store: store, rules: rules, clusterDomain: config.clusterDomain, logger: logger)
        sources = VizSources(
            store: store, ingestor: ingestor, index: { watch.index() }, isSynced: { watch.isSynced },
            now: { .current }, ignoredNamespaces: config.ignoredNamespaces)
        server = Self.makeServer(host: config.host, port: config.port, sources: sources)
    }

    /// Clients reach this server through proxies that ping every ten seconds, also without calls.
    package static func makeServer(
        host: String, port: Int, sources: VizSources
    ) -> GRPCServer<HTTP2ServerTransport.Posix> {
        let address: GRPCNIOTransportHTTP2Posix.SocketAddress =
            host.contains(":") ? .ipv6(host: host, port: port) : .ipv4(host: host, port: port)
        let transport = HTTP2ServerTransport.Posix(
            address: address, transportSecurity: .plaintext,
            config: .defaults {
                $0.connection.keepalive.clientBehavior = .init(
                    minPingIntervalWithoutCalls: .seconds(1), allowWithoutCalls: true)
            })
        return GRPCServer(transport: transport, services: [VizService(sources), HistoryService(sources)])
    }

    /// Serves until `beginShutdown()` or cancellation, then commits what is pending.
    public func run() async throws {
        let admin = admin
        let scraper = Scraper(
            intervalMilliseconds: config.scrapeInterval.milliseconds, ingestor: sources.ingestor,
            acceptsGzip: config.acceptsGzip, now: sources.now, logger: logger,
            version: { [watch] in watch.podVersion }
        ) { [watch] in watch.isSynced ? watch.index().pods : nil }
        defer { logger.info("metrics-api stopped") }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await self.watch.run() }
                group.addTask { await scraper.run() }
                group.addTask { await self.keepStore() }
                group.addTask { try await admin.run() }
                group.addTask { try await self.server.serve() }
                group.addTask {
                    _ = try await self.server.listeningAddress
                    self.logger.info("Serving viz API", metadata: ["port": "\(self.config.port)"])
                    // The address is known once; the group must not end with this task.
                    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3_600)) }
                }
                // The first to end ends all: a shutdown, or a port that cannot be bound.
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch is CancellationError {
            logger.debug("metrics-api was cancelled")
        } catch {
            await store.shutdown(now: sources.now())
            throw error
        }
        await store.shutdown(now: sources.now())
    }

    /// Finishes the calls in flight and ends `run()`.
    public func beginShutdown() { server.beginGracefulShutdown() }

    private func keepStore() async {
        async let verified: Void = store.verify(now: sources.now())
        while !Task.isCancelled {
            await store.flush(now: sources.now())
            await store.maintain(now: sources.now())
            // Cancelled: the loop ends.
            try? await Task.sleep(for: Self.storePeriod)
        }
        await verified
    }

    private var admin: AdminServer {
        var routes = AdminServer.standardRoutes(isReady: { [watch] in watch.isSynced }, metrics: { [] })
        routes["/metrics"] = { [sources] in .metrics(await OwnMetrics.render(sources)) }
        routes["/targets"] = { [sources] in
            let statuses = await sources.ingestor.targetStatuses()
            return AdminResponse(
                status: 200, contentType: "application/json",
                body: TargetReport.json(statuses, now: sources.now()))
        }
        return AdminServer(host: config.adminHost, port: config.adminPort, routes: routes, logger: logger)
    }
}

extension UnixTime {
    /// The wall clock's time.
    package static var current: UnixTime { UnixTime(seconds: Date.now.timeIntervalSince1970) }
}
