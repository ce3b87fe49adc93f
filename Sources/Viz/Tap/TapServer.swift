// The tap service: watches the cluster, keeps its certificate and its trust in the API server fresh, and serves
// both doors.

package import GRPCCore
package import GRPCNIOTransportHTTP2Posix
public import Logging
public import MeshKubernetes
import MeshModel
import MetricsAPI
import Synchronization

/// What the tap service needs to know.
public struct TapConfig: Sendable, Equatable {
    /// The plain door; port 0 lets the system choose.
    public var host = "0.0.0.0"
    public var grpcPort = 8_088
    /// The aggregated API.
    public var apiHost = "0.0.0.0"
    public var apiPort = 8_089
    public var adminHost = "0.0.0.0"
    public var adminPort = 9_998
    /// Control plane whose pods are meshed.
    public var controllerNamespace = "linkerd"
    /// Where proxies serve taps.
    public var tapPort = 4_190
    /// Folder of `tls.crt` and `tls.key`. Without them the service makes its own certificate, and keeps it in a Secret.
    public var certificateDirectory = "/var/run/linkerd/tls"
    /// Whether the aggregated API is served at all.
    public var servesAPI = true
    /// Where this service runs: its Secret is there, and its name is in the certificate.
    public var namespace = "linkerd-viz"
    public var ignoredHeaders: [String] = []
    /// Only these headers are shown; empty shows all but the ignored.
    public var allowedHeaders: [String] = []
    /// Headers whose values are hidden besides the usual credentials.
    public var redactedHeaders: [String] = []
    /// Credentials that are shown all the same.
    public var visibleHeaders: [String] = []

    /// Defaults are those of the Helm chart.
    public init() {}
}

/// The tap service.
public final class TapServer: Sendable {
    /// How often files and the API server's published trust are looked at.
    static let refreshPeriod: Duration = .seconds(10)

    private let config: TapConfig
    private let logger: Logger
    private let client: KubernetesClient
    private let watch: ClusterWatch
    private let totals = TapTotals()
    private let samplerTotals = TapTotals()
    private let engine: TapEngine
    private let authority: KubernetesAuthority
    private let certificate: ServingCertificate
    private let ownCertificate: OwnCertificate
    private let trust = Mutex<FrontProxyTrust?>(nil)
    private let server: GRPCServer<HTTP2ServerTransport.Posix>
    private let boundAPIPort = Mutex<Int?>(nil)

    /// Nothing listens yet.
    public init(config: TapConfig, client: KubernetesClient, logger: Logger) {
        self.config = config
        self.client = client
        self.logger = logger
        let watch = ClusterWatch(
            client: client, controllerNamespace: config.controllerNamespace, logger: logger)
        self.watch = watch
        let cluster = TapCluster(
            index: { watch.index() }, isSynced: { watch.isSynced },
            isDisabledNamespace: { watch.isTapDisabled(namespace: $0) }, changes: { watch.podChanges() })
        let privacy = HeaderPrivacy(
            ignored: config.ignoredHeaders, allowed: config.allowedHeaders,
            redacted: HeaderPrivacy.redactedByDefault.union(config.redactedHeaders), visible: config.visibleHeaders)
        engine = TapEngine(
            cluster: cluster, privacy: privacy, tapPort: config.tapPort, totals: totals, logger: logger)
        let sampler = Sampler(
            cluster: cluster, privacy: privacy, tapPort: config.tapPort, totals: samplerTotals, logger: logger,
            now: { .current })
        authority = KubernetesAuthority(client: client)
        certificate = ServingCertificate(logger: logger)
        let place = CertificatePlace(
            namespace: config.namespace, secret: "tap-k8s-tls",
            names: ["tap.\(config.namespace).svc", "tap.\(config.namespace).svc.cluster.local"],
            caller: "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.tap.linkerd.io", bundlePath: ["spec", "caBundle"])
        ownCertificate = OwnCertificate(client: client, place: place, logger: logger)
        server = Self.makeServer(
            host: config.host, port: config.grpcPort,
            [GRPCDoor(engine: engine, authority: authority), SamplerDoor(sampler: sampler, authority: authority)])
    }

    /// Callers come through proxies that ping every ten seconds.
    package static func makeServer(
        host: String, port: Int, _ doors: [any RegistrableRPCService]
    ) -> GRPCServer<HTTP2ServerTransport.Posix> {
        let address: GRPCNIOTransportHTTP2Posix.SocketAddress =
            host.contains(":") ? .ipv6(host: host, port: port) : .ipv4(host: host, port: port)
        let transport = HTTP2ServerTransport.Posix(
            address: address, transportSecurity: .plaintext,
            config: .defaults {
                $0.connection.keepalive.clientBehavior = .init(
                    minPingIntervalWithoutCalls: .seconds(1), allowWithoutCalls: true)
            })
        return GRPCServer(transport: transport, services: doors)
    }

    /// Serves until cancelled: streams of taps never end by themselves.
    public func run() async throws {
        await refresh()
        let admin = admin
        defer { logger.info("tap stopped") }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await self.watch.run() }
                group.addTask { try await admin.run() }
                group.addTask { try await self.server.serve() }
                group.addTask { await self.keepFresh() }
                if config.servesAPI { group.addTask { try await self.runAPI() } }
                // The first to end ends all: a shutdown, or a port that cannot be bound.
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch is CancellationError {
            logger.debug("tap was cancelled")
        }
    }

    /// Where the aggregated API listens, once it does.
    package var apiPort: Int? { boundAPIPort.withLock { $0 } }

    private func runAPI() async throws {
        let answers = TapAnswers(
            engine: engine, authority: authority, trust: { [self] in trust.withLock { $0 } },
            metrics: { [totals, samplerTotals] in TapMetrics.render(totals, sampler: samplerTotals) }, logger: logger)
        let door = HTTPDoor(
            host: config.apiHost, port: config.apiPort, certificate: certificate, answers: answers,
            logger: logger)
        try await door.run { [self] port in
            boundAPIPort.withLock { $0 = port }
            logger.info("Serving the aggregated API", metadata: ["port": "\(port)"])
        }
    }

    private func keepFresh() async {
        while !Task.isCancelled {
            // Cancelled: the loop ends.
            try? await Task.sleep(for: config.servesAPI && certificate.context == nil ? .seconds(1) : Self.refreshPeriod)
            await refresh()
        }
    }

    /// Reads again what may have changed; on failure what was known stays.
    private func refresh() async {
        do {
            let map = try await client.get(
                ConfigMap.self, namespace: FrontProxyTrust.namespace, name: FrontProxyTrust.name)
            let next = FrontProxyTrust(map.data ?? [:])
            trust.withLock { $0 = next }
        } catch {
            logger.debug("No front proxy's trust", metadata: ["error": "\(error)"])
        }
        guard config.servesAPI else { return }
        let clientCA = trust.withLock { $0?.clientCA }
        do {
            if ServingCertificate.isThere(config.certificateDirectory) {
                try certificate.refresh(directory: config.certificateDirectory, clientCA: clientCA)
            } else {
                try certificate.refresh(pair: try await ownCertificate.ensure(), clientCA: clientCA)
            }
        } catch {
            logger.warning("No serving certificate", metadata: ["error": "\(error)"])
        }
    }

    private var admin: AdminServer {
        AdminServer(
            host: config.adminHost, port: config.adminPort,
            routes: AdminServer.standardRoutes(
                isReady: { [watch] in watch.isSynced },
                metrics: { [totals, samplerTotals] in TapMetrics.render(totals, sampler: samplerTotals) }),
            logger: logger)
    }
}
