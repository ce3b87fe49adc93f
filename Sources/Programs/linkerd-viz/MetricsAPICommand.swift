import ArgumentParser
import Logging
import MeshKubernetes
import MeshModel
import MeshRollup
import MetricsAPI
import RollupStore
import ServiceLifecycle
import UnixSignals

/// `linkerd-viz metrics-api`: scrapes proxies, keeps rollups, serves the viz API.
struct MetricsAPICommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics-api", abstract: "Scrapes proxies, keeps history and serves the viz API.")

    @Option(help: "Address of the gRPC API.") var addr = ListenAddress(port: 8_085)
    @Option(help: "Address of the admin server.") var metricsAddr = ListenAddress(port: 9_995)
    @Option(help: "Kubeconfig file; inside a cluster the service account is used.") var kubeconfig: String?
    @Option(help: "Control plane whose pods count as meshed.") var controllerNamespace = "linkerd"
    @Option(help: "Comma-separated namespaces that pod lists leave out.") var ignoreNamespaces = "kube-system"
    @Option(help: "Domain of service names.") var clusterDomain = "cluster.local"
    @Option(help: "SQLite file of the rollup store.") var store = "/data/rollups.db"
    @Option(help: "Bytes its file may take, such as 1900M or 1Gi; the oldest history goes first.")
    var storeSize = ByteCount(StoreLimits().fileBytesMax)
    @Option(help: "How long 10 s buckets of pods are kept.") var retentionPods = GoDurationArgument(.seconds(6 * 3_600))
    @Option(help: "How long 1 min buckets of workloads are kept.")
    var retentionMinutes = GoDurationArgument(.seconds(14 * 86_400))
    @Option(help: "How long 1 h buckets of workloads are kept.")
    var retentionHours = GoDurationArgument(.seconds(396 * 86_400))
    @Option(help: "Encoding asked of proxies: identity, or gzip for less traffic and more CPU.")
    var scrapeEncoding = "identity"
    @Option(help: "Time between scrapes of one proxy.") var scrapeInterval = GoDurationArgument(.seconds(10))
    @OptionGroup var samples: SampleOptions
    @OptionGroup var prometheus: PrometheusOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard scrapeInterval.value >= .seconds(1), scrapeInterval.value <= .seconds(60) else {
            throw ValidationError("--scrape-interval must be between 1s and 60s")
        }
        guard storeSize.value >= StoreLimits.fileBytesMin else {
            throw ValidationError("--store-size must be at least \(StoreLimits.fileBytesMin >> 20)Mi")
        }
        guard ["identity", "gzip"].contains(scrapeEncoding) else {
            throw ValidationError("--scrape-encoding must be identity or gzip")
        }
    }

    func run() async throws {
        let logger = common.makeLogger("metrics-api")
        let kubernetes = try kubernetesConfig()
        let client = try KubernetesClient(config: kubernetes, logger: logger)
        logger.info(
            "Starting", metadata: ["version": "\(BuildVersion.current)", "api": "\(kubernetes.server)"])
        let server = try await makeServer(kubernetes, client, logger)
        let group = ServiceGroup(
            services: [MetricsAPIService(server: server)], gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger)
        do { try await group.run() } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }

    /// A predecessor that is still letting go of the store is waited for; one that stays is an error.
    private func makeServer(
        _ kubernetes: KubernetesConfig, _ client: KubernetesClient, _ logger: Logger
    ) async throws -> MetricsAPIServer {
        var config = config
        config.bearerTokenPath = kubernetes.bearerTokenPath
        config.bearerToken = kubernetes.bearerToken
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            do {
                return try MetricsAPIServer(config: config, client: client, logger: logger)
            } catch let error as StoreError where error.kind == .inUse && ContinuousClock.now < deadline {
                logger.info("Store is in use, trying again", metadata: ["file": "\(error.path)"])
                try await Task.sleep(for: .seconds(1))
            } catch {
                await client.shutdown()
                throw error
            }
        }
    }

    private func kubernetesConfig() throws -> KubernetesConfig {
        if let kubeconfig, !kubeconfig.isEmpty { return try .load(kubeconfig: kubeconfig, context: nil) }
        do { return try .inCluster() } catch { return try .load(kubeconfig: nil, context: nil) }
    }

    private var config: MetricsAPIConfig {
        var config = MetricsAPIConfig()
        config.host = addr.host
        config.port = addr.port
        config.adminHost = metricsAddr.host
        config.adminPort = metricsAddr.port
        config.controllerNamespace = controllerNamespace
        config.ignoredNamespaces = Set(ignoreNamespaces.split(separator: ",").map(String.init))
        config.clusterDomain = clusterDomain
        config.storePath = store
        config.storeLimits.fileBytesMax = storeSize.value
        config.storeLimits.retentionMilliseconds = [
            .tenSeconds: retentionPods.value.milliseconds, .minute: retentionMinutes.value.milliseconds,
            .hour: retentionHours.value.milliseconds,
        ]
        config.acceptsGzip = scrapeEncoding == "gzip"
        config.scrapeInterval = scrapeInterval.value
        config.prometheus = prometheus.config
        config.samples = samples.config
        config.storeLimits.sampleRetentionMilliseconds = samples.retention
        config.storeLimits.exemplarRetentionMilliseconds = samples.retentionExemplars.value.milliseconds
        return config
    }
}

/// metrics-api as a service that finishes its calls and commits before it goes.
private struct MetricsAPIService: ServiceLifecycle.Service {
    let server: MetricsAPIServer

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await server.run()
        } onGracefulShutdown: {
            server.beginShutdown()
        }
    }
}
