import ArgumentParser
import Logging
import MeshKubernetes
import MeshModel
import ServiceLifecycle
import Tap
import UnixSignals

/// `linkerd-viz tap-injector`: tells the proxies of new pods who may tap them.
struct TapInjectorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tap-injector", abstract: "Serves the webhook that enables taps in new pods.")

    @Option(help: "Address of the webhook.") var addr = ListenAddress(port: 8_443)
    @Option(help: "Address of the admin server.") var metricsAddr = ListenAddress(port: 9_995)
    @Option(help: "Kubeconfig file; inside a cluster the service account is used.") var kubeconfig: String?
    @Option(help: "Identity of the tap service.") var tapServiceName: String
    @Option(help: "Folder of tls.crt and tls.key; without them the injector makes its own, and keeps it in a Secret.")
    var tlsDir = "/var/run/linkerd/tls"
    @Option(help: "Namespace of this extension.") var vizNamespace = "linkerd-viz"
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let logger = common.makeLogger("tap-injector")
        let kubernetes = try kubernetesConfig()
        let client = try KubernetesClient(config: kubernetes, logger: logger)
        logger.info(
            "Starting", metadata: ["version": "\(BuildVersion.current)", "api": "\(kubernetes.server)"])
        var config = TapInjectorConfig()
        (config.host, config.port) = (addr.host, addr.port)
        (config.adminHost, config.adminPort) = (metricsAddr.host, metricsAddr.port)
        config.serviceName = tapServiceName
        config.certificateDirectory = tlsDir
        config.namespace = vizNamespace
        let server = TapInjectorServer(config: config, client: client, logger: logger)
        let group = ServiceGroup(
            services: [TapInjectorService(server: server)], gracefulShutdownSignals: [.sigterm, .sigint],
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
}

/// The webhook as a service that ends when it is told to.
private struct TapInjectorService: ServiceLifecycle.Service {
    let server: TapInjectorServer

    func run() async throws {
        // Cancellation is how a graceful shutdown reaches a server; it is no failure.
        do { try await cancelWhenGracefulShutdown { try await server.run() } } catch is CancellationError {}
    }
}
