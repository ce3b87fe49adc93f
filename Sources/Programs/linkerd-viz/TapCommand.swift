import ArgumentParser
import Logging
import MeshKubernetes
import MeshModel
import ServiceLifecycle
import Tap
import UnixSignals

/// `linkerd-viz tap`: live requests of the mesh, for whoever may see them.
struct TapCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tap", abstract: "Serves live requests: the aggregated API and plain gRPC.",
        aliases: ["api"])

    @Option(help: "Address of the plain gRPC door.") var addr = ListenAddress(port: 8_088)
    @Option(help: "Address of the aggregated API.") var apiserverAddr = ListenAddress(port: 8_089)
    @Option(help: "Address of the admin server.") var metricsAddr = ListenAddress(port: 9_998)
    @Option(help: "Kubeconfig file; inside a cluster the service account is used.") var kubeconfig: String?
    @Option(help: "Namespace of the control plane.") var apiNamespace = "linkerd"
    @Option(help: "Port on which proxies serve taps.") var tapPort = 4_190
    @Option(help: "Folder of tls.crt and tls.key; without them the service makes its own, and keeps it in a Secret.")
    var tlsDir = "/var/run/linkerd/tls"
    @Option(help: "Namespace of this extension.") var vizNamespace = "linkerd-viz"
    @Option(help: "Whether the aggregated API is served: true or false.") var aggregatedApi = "true"
    @Option(help: "Comma-separated headers that are left out.") var ignoreHeaders = ""
    @Option(help: "Comma-separated headers that alone are shown; empty shows all the others.")
    var allowHeaders = ""
    @Option(help: "Comma-separated headers whose values are hidden, besides the usual credentials.")
    var redactHeaders = ""
    @Option(help: "Comma-separated credentials that are shown all the same.") var showHeaders = ""
    @Option(help: "Accepted for compatibility; pods say themselves who they are.")
    var identityTrustDomain = "cluster.local"
    @Option(help: "Accepted for compatibility; names are always checked.") var disableCommonNames = "false"
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...65_535).contains(tapPort) else { throw ValidationError("--tap-port must be a port") }
    }

    func run() async throws {
        let logger = common.makeLogger("tap")
        let kubernetes = try kubernetesConfig()
        let client = try KubernetesClient(config: kubernetes, logger: logger)
        logger.info(
            "Starting", metadata: ["version": "\(BuildVersion.current)", "api": "\(kubernetes.server)"])
        let server = TapServer(config: config, client: client, logger: logger)
        let group = ServiceGroup(
            services: [TapService(server: server)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
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

    private var config: TapConfig {
        var config = TapConfig()
        config.host = addr.host
        config.grpcPort = addr.port
        config.apiHost = apiserverAddr.host
        config.apiPort = apiserverAddr.port
        config.adminHost = metricsAddr.host
        config.adminPort = metricsAddr.port
        config.controllerNamespace = apiNamespace
        config.tapPort = tapPort
        config.certificateDirectory = tlsDir
        config.namespace = vizNamespace
        config.servesAPI = aggregatedApi != "false"
        config.ignoredHeaders = Self.list(ignoreHeaders)
        config.allowedHeaders = Self.list(allowHeaders)
        config.redactedHeaders = Self.list(redactHeaders)
        config.visibleHeaders = Self.list(showHeaders)
        return config
    }

    private static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
    }
}

/// tap as a service that ends when it is told to: its streams never end by themselves.
private struct TapService: ServiceLifecycle.Service {
    let server: TapServer

    func run() async throws {
        // Cancellation is how a graceful shutdown reaches a server; it is no failure.
        do { try await cancelWhenGracefulShutdown { try await server.run() } } catch is CancellationError {}
    }
}
