// The tap injector: a webhook that tells the proxies of new pods who may tap them.

public import Logging
public import MeshKubernetes
import MeshModel
import Synchronization

/// What the tap injector needs to know.
public struct TapInjectorConfig: Sendable, Equatable {
    public var host = "0.0.0.0"
    public var port = 8_443
    public var adminHost = "0.0.0.0"
    public var adminPort = 9_995
    /// The identity of the tap service.
    public var serviceName = ""
    /// Folder of `tls.crt` and `tls.key`. Without them the injector makes its own certificate, and keeps it in a Secret.
    public var certificateDirectory = "/var/run/linkerd/tls"
    /// Where this service runs.
    public var namespace = "linkerd-viz"

    /// Defaults are those of the Helm chart.
    public init() {}
}

/// The tap injector.
public final class TapInjectorServer: Sendable {
    private let config: TapInjectorConfig
    private let client: KubernetesClient
    private let logger: Logger
    private let certificate: ServingCertificate
    private let ownCertificate: OwnCertificate
    private let isServing = Mutex(false)

    /// Nothing listens yet.
    public init(config: TapInjectorConfig, client: KubernetesClient, logger: Logger) {
        self.config = config
        self.client = client
        self.logger = logger
        certificate = ServingCertificate(logger: logger)
        let place = CertificatePlace(
            namespace: config.namespace, secret: "tap-injector-k8s-tls",
            names: ["tap-injector.\(config.namespace).svc", "tap-injector.\(config.namespace).svc.cluster.local"],
            caller: "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/linkerd-tap-injector-webhook-config",
            bundlePath: ["webhooks", "0", "clientConfig", "caBundle"])
        ownCertificate = OwnCertificate(client: client, place: place, logger: logger)
    }

    /// Serves until cancelled.
    public func run() async throws {
        await refresh()
        let admission = TapAdmission(serviceName: config.serviceName) { [client] namespace in
            try await client.get(Namespace.self, name: namespace).metadata.annotations ?? [:]
        }
        let webhook = WebhookServer(
            host: config.host, port: config.port, context: { [certificate] in certificate.context }, logger: logger
        ) { request in
            try await admission.decide(request)
        }
        let admin = AdminServer(
            host: config.adminHost, port: config.adminPort,
            routes: AdminServer.standardRoutes(
                isReady: { [self] in isServing.withLock { $0 } && certificate.context != nil }, metrics: { [] }),
            logger: logger)
        defer { logger.info("tap-injector stopped") }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await admin.run() }
                group.addTask { await self.keepFresh() }
                group.addTask {
                    try await webhook.run { port in
                        self.isServing.withLock { $0 = true }
                        self.logger.info("Serving admission", metadata: ["port": "\(port)"])
                    }
                }
                // The first to end ends all.
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch is CancellationError {
            logger.debug("tap-injector was cancelled")
        }
    }

    private func keepFresh() async {
        while !Task.isCancelled {
            // Cancelled: the loop ends. Until there is a certificate, often.
            try? await Task.sleep(for: certificate.context == nil ? .seconds(1) : TapServer.refreshPeriod)
            await refresh()
        }
    }

    private func refresh() async {
        do {
            if ServingCertificate.isThere(config.certificateDirectory) {
                try certificate.refresh(directory: config.certificateDirectory, clientCA: nil)
            } else {
                try certificate.refresh(pair: try await ownCertificate.ensure(), clientCA: nil)
            }
        } catch {
            logger.warning("No serving certificate", metadata: ["error": "\(error)"])
        }
    }
}
