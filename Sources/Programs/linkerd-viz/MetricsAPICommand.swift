import ArgumentParser
import Logging
import MeshKubernetes
import MeshModel
import MetricsAPI
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
    @Option(help: "Time between scrapes of one proxy.") var scrapeInterval = GoDurationArgument(.seconds(10))
    @Option(help: "Accepted for compatibility; the store is built in.") var prometheusUrl = ""
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard scrapeInterval.value >= .seconds(1), scrapeInterval.value <= .seconds(60) else {
            throw ValidationError("--scrape-interval must be between 1s and 60s")
        }
    }

    func run() async throws {
        let logger = common.makeLogger("metrics-api")
        let kubernetes = try kubernetesConfig()
        let client = try KubernetesClient(config: kubernetes, logger: logger)
        logger.info(
            "Starting", metadata: ["version": "\(BuildVersion.current)", "api": "\(kubernetes.server)"])
        let server = try MetricsAPIServer(config: config, client: client, logger: logger)
        let group = ServiceGroup(
            services: [MetricsAPIService(server: server)], gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger)
        do { try await group.run() } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
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
        config.scrapeInterval = scrapeInterval.value
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
