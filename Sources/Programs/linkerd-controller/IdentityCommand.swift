import ArgumentParser
import Identity
import Logging
import MeshKubernetes
import MeshModel
import ServiceLifecycle
import UnixSignals

/// A positive duration as Go flags spell it, such as `24h0m0s`.
struct GoSpan: ExpressibleByArgument {
    let value: Duration
    var defaultValueDescription: String { GoDuration.format(value) }

    init(_ value: Duration) { self.value = value }

    init?(argument: String) {
        guard let value = GoDuration.parse(argument), value >= .zero else { return nil }
        self.value = value
    }
}

/// `linkerd-controller identity`: certificates for proxies.
struct IdentityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "identity", abstract: "Issues certificates to proxies.")

    /// Flags that may stand alone.
    static let booleanFlags: Set<String> = ["enable-pprof"]

    @Option(help: "Address of the gRPC server.") var addr = ListenAddress(port: 8_080)
    @Option(help: "Address of the admin server.") var adminAddr = ListenAddress(port: 9_990)
    @Option(help: "Kubeconfig file; inside a cluster the service account is used.") var kubeconfig: String?
    @Option(help: "Namespace of this control plane.") var controllerNamespace = "linkerd"
    @Option(help: "Domain of identities; empty for cluster.local.") var identityTrustDomain = "cluster.local"
    @Option(help: "How long a certificate is good.") var identityIssuanceLifetime = GoSpan(
        .seconds(24 * 3_600))
    @Option(help: "By how much clocks may differ.") var identityClockSkewAllowance = GoSpan(.seconds(20))
    @Option(help: "linkerd.io/tls (crt.pem, key.pem) or kubernetes.io/tls (tls.crt, tls.key).")
    var identityScheme = Word(IdentitySettings.Scheme.linkerd)
    @Option(help: "Directory of the issuer's certificate and key.") var issuerPath = IdentitySettings()
        .issuerPath
    @Option(help: "File with the trust anchors.") var trustAnchorsPath = IdentitySettings().trustAnchorsPath
    @Option(help: "Must be false: there is no profiler.") var enablePprof = GoBool(false)
    @Option(help: "Accepted for Linkerd's manifests; requests are limited by connections.")
    var kubeApiclientQps: Double = 100
    @Option(help: "As above.") var kubeApiclientBurst: Int = 200
    @Option(help: "trace, debug, info, notice, warning, error or critical.") var logLevel = Word(
        Logger.Level.info)
    @Option(help: "Must be plain.") var logFormat = "plain"

    func validate() throws {
        guard !enablePprof.value else { throw ValidationError("--enable-pprof is not supported") }
        guard logFormat == "plain" else { throw ValidationError("--log-format must be plain") }
        guard identityIssuanceLifetime.value > .zero else {
            throw ValidationError("--identity-issuance-lifetime must be positive")
        }
    }

    func run() async throws {
        ControllerProcess.bootstrapLogging(logLevel.value)
        let logger = Logger(label: "identity")
        let config = try ControllerProcess.kubernetesConfig(kubeconfig)
        let client = try KubernetesClient(config: config, logger: logger)
        logger.info("Starting", metadata: ["version": "\(BuildVersion.current)", "api": "\(config.server)"])
        do {
            let controller = try IdentityController(
                settings: settings,
                addresses: IdentityAddresses(
                    grpcHost: addr.host, grpcPort: addr.port, adminHost: adminAddr.host,
                    adminPort: adminAddr.port),
                client: client, logger: logger)
            let group = ServiceGroup(
                services: [IdentityControllerService(controller: controller)],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: logger)
            try await group.run()
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }

    private var settings: IdentitySettings {
        var settings = IdentitySettings()
        settings.controllerNamespace = controllerNamespace
        if !identityTrustDomain.isEmpty { settings.trustDomain = identityTrustDomain }
        settings.issuanceLifetime = identityIssuanceLifetime.value
        settings.clockSkewAllowance = identityClockSkewAllowance.value
        settings.scheme = identityScheme.value
        settings.issuerPath = issuerPath
        settings.trustAnchorsPath = trustAnchorsPath
        return settings
    }
}

/// The controller as a service that ends its calls before it goes.
private struct IdentityControllerService: ServiceLifecycle.Service {
    let controller: IdentityController

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await controller.run()
        } onGracefulShutdown: {
            controller.beginShutdown()
        }
    }
}
