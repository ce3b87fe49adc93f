import ArgumentParser
import Injector
import InjectorWebhook
import Logging
import MeshKubernetes
import MeshModel
import ServiceLifecycle
import UnixSignals

/// `linkerd-controller proxy-injector`: adds the proxy to pods as they are created.
struct ProxyInjectorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy-injector", abstract: "Adds the proxy to pods as they are created.")

    @Option(help: "Address of the webhook's server.") var addr = ListenAddress(port: 8_443)
    @Option(help: "Address of the admin server.") var metricsAddr = ListenAddress(port: 9_995)
    @Option(help: "Kubeconfig file; inside a cluster the service account is used.") var kubeconfig: String?
    @Option(help: "Namespace of this control plane.") var controllerNamespace = "linkerd"
    @Option(help: "Domain of service names.") var clusterDomain = "cluster.local"
    @Option(help: "Directory of tls.crt and tls.key.") var tlsDirectory = InjectorSettings().certificateDirectory
    @Option(help: "File with the trust anchors; without it proxies have no identity.")
    var trustAnchorsPath = InjectorSettings().trustRootsPath
    @Option(help: "Domain of identities.") var identityTrustDomain = "cluster.local"
    @Option(help: "Ports whose protocol is not detected unless an annotation says so.")
    var defaultOpaquePorts = InjectorSettings().values.opaquePorts
    @Option(help: "trace, debug, info, notice, warning, error or critical.") var logLevel = Word(
        Logger.Level.info)
    @Option(help: "Must be plain.") var logFormat = "plain"

    func validate() throws {
        guard logFormat == "plain" else { throw ValidationError("--log-format must be plain") }
    }

    func run() async throws {
        ControllerProcess.bootstrapLogging(logLevel.value)
        let logger = Logger(label: "proxy-injector")
        let config = try ControllerProcess.kubernetesConfig(kubeconfig)
        let client = try KubernetesClient(config: config, logger: logger)
        logger.info("Starting", metadata: ["version": "\(BuildVersion.current)", "api": "\(config.server)"])
        do {
            let controller = try InjectorController(settings: settings, client: client, logger: logger)
            let group = ServiceGroup(
                services: [ProxyInjectorService(controller: controller)],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger)
            try await group.run()
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }

    private var settings: InjectorSettings {
        var settings = InjectorSettings()
        settings.host = addr.host
        settings.port = addr.port
        settings.adminHost = metricsAddr.host
        settings.adminPort = metricsAddr.port
        settings.certificateDirectory = tlsDirectory
        settings.trustRootsPath = trustAnchorsPath
        settings.values.trustDomain = identityTrustDomain
        settings.values.controlPlaneNamespace = controllerNamespace
        settings.values.clusterDomain = clusterDomain
        settings.values.opaquePorts = defaultOpaquePorts
        return settings
    }
}

/// The controller as a service that answers what is under way before it goes.
private struct ProxyInjectorService: ServiceLifecycle.Service {
    let controller: InjectorController

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await controller.run()
        } onGracefulShutdown: {
            controller.beginShutdown()
        }
    }
}
