import ArgumentParser
import Destination
import Logging
import MeshKubernetes
import MeshModel
import ServiceLifecycle
import UnixSignals

/// A boolean as Go flags spell it.
struct GoBool: ExpressibleByArgument, CustomStringConvertible {
    let value: Bool
    var description: String { "\(value)" }
    var defaultValueDescription: String { description }

    init(_ value: Bool) { self.value = value }

    init?(argument: String) {
        guard let value = GoFlags.bool(argument) else { return nil }
        self.value = value
    }
}

/// Where a server listens.
struct ListenAddress: ExpressibleByArgument {
    let host: String
    let port: Int
    var defaultValueDescription: String { ":\(port)" }

    init(port: Int) {
        host = "0.0.0.0"
        self.port = port
    }

    init?(argument: String) {
        guard let (host, port) = GoFlags.listenAddress(argument) else { return nil }
        self.host = host
        self.port = port
    }
}

/// A word out of a closed set.
struct Word<Value: RawRepresentable & Sendable>: ExpressibleByArgument where Value.RawValue == String {
    let value: Value
    var defaultValueDescription: String { value.rawValue }

    init(_ value: Value) { self.value = value }

    init?(argument: String) {
        guard let value = Value(rawValue: argument) else { return nil }
        self.value = value
    }
}

/// `linkerd-controller destination`: service discovery for proxies.
struct DestinationCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "destination", abstract: "Tells proxies where services live.")

    /// Flags that may stand alone.
    static let booleanFlags: Set<String> = [
        "identity-enabled", "enable-h2-upgrade", "enable-ipv6", "enable-endpoint-slices",
    ]

    @Option(help: "Address of the gRPC server.") var addr = ListenAddress(port: 8_086)
    @Option(help: "Address of the admin server.") var metricsAddr = ListenAddress(port: 9_996)
    @Option(help: "Kubeconfig file; inside a cluster the service account is used.") var kubeconfig: String?
    @Option(help: "Namespace of this control plane.") var controllerNamespace = "linkerd"
    @Option(help: "Domain of service names.") var clusterDomain = "cluster.local"
    @Option(help: "Domain of identities.") var identityTrustDomain = "cluster.local"
    @Option(help: "Whether proxies have certificates.") var identityEnabled = GoBool(false)
    @Option(help: "Whether HTTP/1 may travel in HTTP/2 between proxies.") var enableH2Upgrade = GoBool(true)
    @Option(help: "Whether IPv6 endpoints are used.") var enableIpv6 = GoBool(false)
    @Option(help: "Must be true: endpoints are read from EndpointSlices.") var enableEndpointSlices = GoBool(
        true)
    @Option(help: "transparent or transport-header.") var outboundTransportMode =
        Word(DestinationSettings.TransportMode.transparent)
    @Option(help: "Ports whose protocol is not detected unless an annotation says so.")
    var defaultOpaquePorts = DestinationSettings().defaultOpaquePorts
    @Option(help: "trace, debug, info, notice, warning, error or critical.") var logLevel = Word(
        Logger.Level.info)
    @Option(help: "Must be plain.") var logFormat = "plain"

    func validate() throws {
        guard enableEndpointSlices.value else {
            throw ValidationError(
                "--enable-endpoint-slices=false is not supported: the Endpoints API is deprecated")
        }
        guard logFormat == "plain" else { throw ValidationError("--log-format must be plain") }
    }

    func run() async throws {
        ControllerProcess.bootstrapLogging(logLevel.value)
        let logger = Logger(label: "destination")
        let config = try ControllerProcess.kubernetesConfig(kubeconfig)
        let client = try KubernetesClient(config: config, logger: logger)
        logger.info("Starting", metadata: ["version": "\(BuildVersion.current)", "api": "\(config.server)"])
        let controller = DestinationController(
            settings: settings,
            addresses: DestinationAddresses(
                grpcHost: addr.host, grpcPort: addr.port, adminHost: metricsAddr.host,
                adminPort: metricsAddr.port),
            client: client, logger: logger)
        let group = ServiceGroup(
            services: [ControllerService(controller: controller)],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger)
        do { try await group.run() } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }

    private var settings: DestinationSettings {
        var settings = DestinationSettings()
        settings.clusterDomain = clusterDomain
        settings.controllerNamespace = controllerNamespace
        settings.trustDomain = identityTrustDomain
        settings.isIdentityEnabled = identityEnabled.value
        settings.isH2UpgradeEnabled = enableH2Upgrade.value
        settings.isIPv6Enabled = enableIpv6.value
        settings.transportMode = outboundTransportMode.value
        settings.defaultOpaquePorts = defaultOpaquePorts
        return settings
    }
}

/// The controller as a service that ends its streams before it goes.
private struct ControllerService: ServiceLifecycle.Service {
    let controller: DestinationController

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await controller.run()
        } onGracefulShutdown: {
            controller.beginShutdown()
        }
    }
}
