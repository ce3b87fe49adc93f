import Foundation
public import Logging
public import MeshKubernetes
import MeshMetrics
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
    /// How much history is kept.
    public var storeLimits = StoreLimits()
    /// Time between scrapes of one pod.
    public var scrapeInterval: Duration = .seconds(10)
    /// Whether proxies may compress their answers: less traffic, more CPU on both sides.
    public var acceptsGzip = false
    /// What is sampled of live requests.
    package var samples = SampleConfig()
    /// What the tap service knows us by; the file's text is read each time.
    public var bearerTokenPath: String?
    public var bearerToken: String?
    /// A server to ask instead of keeping rollups; then nothing is scraped and nothing is stored.
    public var prometheus: PrometheusConfig?

    /// Defaults are those of the Helm chart.
    public init() {}
}

/// metrics-api: discovers and scrapes proxies, keeps rollups, answers questions about traffic; or answers them
/// from a Prometheus that somebody else runs.
public final class MetricsAPIServer: Sendable {
    /// How often pending records are committed and ended spans are looked for.
    static let storePeriod: Duration = .seconds(1)

    /// The built-in store and what feeds it.
    private struct Keeper: Sendable {
        let store: RollupStore
        let ingestor: Ingestor
        let scraper: Scraper
        let reader: SampleReader
    }

    private let config: MetricsAPIConfig
    private let logger: Logger
    private let watch: ClusterWatch
    private let keeper: Keeper?
    private let prometheus: PrometheusClient?
    private let sources: VizSources
    private let server: VizServer

    /// Opens the store, unless there is a Prometheus; nothing listens yet.
    ///
    /// - Throws: When the store can be neither opened nor replaced, or the Prometheus settings cannot be used.
    public init(config: MetricsAPIConfig, client: KubernetesClient, logger: Logger) throws {
        self.config = config
        self.logger = logger
        let watch = ClusterWatch(
            client: client, controllerNamespace: config.controllerNamespace, logger: logger)
        self.watch = watch
        let now: @Sendable () -> UnixTime = { .current }
        var federation: Federation?
        if let settings = config.prometheus {
            let client = try PrometheusClient(settings)
            prometheus = client
            keeper = nil
            sources = VizSources(
                backend: PrometheusBackend(client: client), index: { watch.index() },
                isSynced: { watch.isSynced }, now: now, ignoredNamespaces: config.ignoredNamespaces,
                clusterDomain: config.clusterDomain)
        } else {
            prometheus = nil
            let keeper = try Self.makeKeeper(config, watch, logger: logger)
            self.keeper = keeper
            federation = Federation(store: keeper.store, now: now)
            sources = VizSources(
                store: keeper.store, ingestor: keeper.ingestor, index: { watch.index() },
                isSynced: { watch.isSynced }, now: now, ignoredNamespaces: config.ignoredNamespaces,
                clusterDomain: config.clusterDomain)
        }
        server = VizServer(
            host: config.host, port: config.port, sources: sources, federation: federation, logger: logger)
    }

    private static func makeKeeper(
        _ config: MetricsAPIConfig, _ watch: ClusterWatch, logger: Logger
    ) throws -> Keeper {
        let store = try RollupStore(
            path: config.storePath, now: .current, limits: config.storeLimits, logger: logger)
        let rules = CursorRules(intervalMilliseconds: config.scrapeInterval.milliseconds)
        let ingestor = Ingestor(
            store: store, rules: rules, clusterDomain: config.clusterDomain, logger: logger)
        let scraper = Scraper(
            intervalMilliseconds: config.scrapeInterval.milliseconds, ingestor: ingestor,
            acceptsGzip: config.acceptsGzip, now: { .current }, logger: logger, version: { watch.podVersion }
        ) { watch.isSynced ? watch.index().pods : nil }
        let reader = SampleReader(
            config: config.samples, pods: { watch.index().pods }, token: { Self.token(config) }, now: { .current },
            logger: logger)
        return Keeper(store: store, ingestor: ingestor, scraper: scraper, reader: reader)
    }

    private static func token(_ config: MetricsAPIConfig) -> String? {
        guard let path = config.bearerTokenPath else { return config.bearerToken }
        // Unreadable means unauthenticated, which the tap service answers in words.
        let text = try? String(contentsOfFile: path, encoding: .utf8)
        return text?.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Serves until `beginShutdown()` or cancellation, then commits what is pending.
    public func run() async throws {
        defer { logger.info("metrics-api stopped") }
        do {
            try await serve()
        } catch is CancellationError {
            logger.debug("metrics-api was cancelled")
        } catch {
            await close()
            throw error
        }
        await close()
    }

    private func serve() async throws {
        let admin = admin
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.watch.run() }
            if let keeper {
                group.addTask { await keeper.scraper.run() }
                group.addTask { await self.keep(keeper.store) }
                group.addTask { await self.sample(keeper) }
            }
            group.addTask { try await admin.run() }
            group.addTask {
                try await self.server.run { port in
                    self.logger.info(
                        "Serving viz API", metadata: ["port": "\(port)", "backend": "\(self.sources.backend.title)"])
                }
            }
            // The first to end ends all: a shutdown, or a port that cannot be bound.
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func close() async {
        await keeper?.store.shutdown(now: sources.now())
        await prometheus?.shutdown()
    }

    /// Finishes the calls in flight and ends `run()`.
    public func beginShutdown() { server.beginShutdown() }

    private func keep(_ store: RollupStore) async {
        async let verified: Void = store.verify(now: sources.now())
        while !Task.isCancelled {
            await store.flush(now: sources.now())
            await store.maintain(now: sources.now())
            // Cancelled: the loop ends.
            try? await Task.sleep(for: Self.storePeriod)
        }
        await verified
    }

    /// Never returns before it is cancelled: the first task to end would end all.
    private func sample(_ keeper: Keeper) async {
        await keeper.reader.run(into: SampleIntake(store: keeper.store))
        while !Task.isCancelled {
            // Cancelled: the loop ends.
            try? await Task.sleep(for: .seconds(3_600))
        }
    }

    private var admin: AdminServer {
        var routes = AdminServer.standardRoutes(isReady: { [watch] in watch.isSynced }, metrics: { [] })
        routes["/metrics"] = { [sources, keeper] in
            .metrics(
                await OwnMetrics.render(
                    sources, store: keeper?.store, ingestor: keeper?.ingestor, samples: keeper?.reader.status)
                    + ProcessStatistics.exposition())
        }
        if let ingestor = keeper?.ingestor {
            routes["/targets"] = { [sources] in
                let statuses = await ingestor.targetStatuses()
                return AdminResponse(
                    status: 200, contentType: "application/json", body: TargetReport.json(statuses, now: sources.now()))
            }
        }
        return AdminServer(host: config.adminHost, port: config.adminPort, routes: routes, logger: logger)
    }
}

extension UnixTime {
    /// The wall clock's time.
    package static var current: UnixTime { UnixTime(seconds: Date.now.timeIntervalSince1970) }
}
