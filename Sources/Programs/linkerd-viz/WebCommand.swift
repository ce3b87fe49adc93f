import ArgumentParser
import Dashboard
import Logging
import MeshKubernetes
import MeshModel
import ServiceLifecycle
import UnixSignals

/// `linkerd-viz web`: the dashboard.
struct WebCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "web", abstract: "Serves the dashboard.")

    @Option(help: "Address of pages and API.") var addr = ListenAddress(port: 8_084)
    @Option(help: "Address of the admin server.") var metricsAddr = ListenAddress(port: 9_994)
    @Option(help: "Where metrics-api listens.") var linkerdMetricsApiAddr = "127.0.0.1:8085"
    @Option(help: "Where the tap service serves gRPC; empty turns live requests off.") var linkerdTapAddr = ""
    @Option(help: "Folder of pages and assets; beside the program by default.") var staticDir: String?
    @Option(help: "Regular expression that the Host header must match; empty accepts any.")
    var enforcedHost: String?
    @Option(help: "Domain of service names.") var clusterDomain = "cluster.local"
    @Option(help: "Namespace of this extension.") var vizNamespace = "linkerd-viz"
    @Option(help: "Accepted for compatibility.") var controllerNamespace = "linkerd"
    @Option(help: "Accepted for compatibility; the dashboard asks only metrics-api.") var kubeconfig = ""
    @Option(help: "Accepted for compatibility; pages are built in.") var templateDir = ""
    @Option(help: "Accepted for compatibility.") var reload = "true"
    @Option(help: "Accepted for compatibility; charts are built in.") var grafanaAddr = ""
    @Option(help: "Accepted for compatibility.") var grafanaExternalAddr = ""
    @Option(help: "Accepted for compatibility.") var grafanaPrefix = ""
    @Option(help: "Accepted for compatibility.") var jaegerAddr = ""
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let logger = common.makeLogger("web")
        logger.info(
            "Starting", metadata: ["version": "\(BuildVersion.current)", "api": "\(linkerdMetricsApiAddr)"])
        let dashboard = DashboardServer(config: config, logger: logger)
        let admin = AdminServer(
            host: metricsAddr.host, port: metricsAddr.port,
            routes: AdminServer.standardRoutes(
                isReady: { true }, metrics: { Array(WebCommand.metrics.utf8) }),
            logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: Part { try await dashboard.run() }),
                    .init(
                        service: Part { try await cancelWhenGracefulShutdown { try await admin.run() } },
                        successTerminationBehavior: .ignore),
                ], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        try await group.run()
    }

    private static let metrics = """
        # HELP viz_build_info Version of this program.
        # TYPE viz_build_info gauge
        viz_build_info{version="\(BuildVersion.current)"} 1

        """

    private var config: DashboardConfig {
        DashboardConfig(
            host: addr.host, port: addr.port, adminPort: metricsAddr.port,
            metricsAPIAddress: linkerdMetricsApiAddr, tapAddress: linkerdTapAddr,
            assetsDirectory: staticDir, clusterDomain: clusterDomain, vizNamespace: vizNamespace,
            enforcedHost: enforcedHost
                ?? DashboardConfig.hostPattern(clusterDomain: clusterDomain, namespace: vizNamespace))
    }
}

/// One server of the process.
private struct Part: ServiceLifecycle.Service {
    let body: @Sendable () async throws -> Void

    func run() async throws {
        // Cancellation is how a graceful shutdown reaches a server; it is no failure.
        do { try await body() } catch is CancellationError {}
    }
}
