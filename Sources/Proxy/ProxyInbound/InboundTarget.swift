import MeshTransport
import MeshWire
import NIOCore
import ProxyCore

/// One port of the workload, and one way of reaching it, as one event loop sees them: the endpoint per name that
/// clients use for it.
final class InboundTarget {
    let address: SocketAddress
    /// Sockets accepted from peers for this port.
    let source: TransportMetrics
    /// What taps say about clients of this port.
    let tapSourceLabels: [String: String]
    /// When the last connection to this port closed; `nil` while one is open.
    private(set) var idleSince: NIODeadline?

    private let loop: ProxyLoop
    private let settings: EndpointSettings
    private let suffixes: [String]
    /// Distinct names counted apart; requests under further names share the nameless series.
    private let namesMax: Int
    private let destination: TransportMetrics
    /// How clients reach it: their identity, or why there is none.
    let tls: InboundTLS
    private let tlsLabels: String
    private var openCount = 0
    private var named: [String: EndpointHandle] = [:]
    private var nameless: EndpointHandle?
    private let httpErrors: InboundErrors

    /// Whether policy lets these clients in.
    let isAuthorized: Bool
    /// What policy is called here.
    let serverName: String
    /// `inbound_http_authz_allow_total`, or `…_deny_total`.
    let requestDecision: Counter
    /// Where its requests are logged.
    let accessLog: AccessLogSource?
    private let server: String
    private let granted: String

    /// - Parameter authorization: the one that lets these clients in; `nil` when none does.
    init(
        address: SocketAddress, loop: ProxyLoop, config: ProxyConfig, tls: InboundTLS, authorization: String?
    ) {
        self.address = address
        self.loop = loop
        settings = config.inbound.endpoint
        suffixes = config.profileSuffixes
        namesMax = config.metricsAuthoritiesMax
        self.tls = tls
        tlsLabels = loop.identity == nil ? SeriesLabels.tlsDisabled : tls.labels
        idleSince = .now()
        isAuthorized = authorization != nil
        accessLog = loop.accessLog.map { AccessLogSource($0, clientID: tls.clientID) }
        serverName = config.policy.name(port: address.port ?? 0)
        tapSourceLabels = loop.identity == nil ? ["tls": "disabled"] : tls.tapLabels
        let target = SeriesLabels.target(address)
        server = config.policy.serverLabels(port: address.port ?? 0)
        granted = authorization.map { "," + config.policy.authorizationLabels($0) } ?? ""
        requestDecision = loop.metrics.counter(
            isAuthorized ? .inboundHTTPAuthzAllow : .inboundHTTPAuthzDeny,
            labels: "\(target),\(server),\(InboundPolicy.routeLabels)\(granted),\(tlsLabels)")
        source = loop.metrics.transport(
            labels: "direction=\"inbound\",peer=\"src\",\(target),\(tlsLabels),\(server)")
        destination = loop.metrics.transport(
            labels: "direction=\"inbound\",peer=\"dst\",\(SeriesLabels.noTLS(.loopback))")
        httpErrors = InboundErrors(loop: loop, target: target, server: server)
    }

    /// `inbound_tcp_authz_allow_total`, or `…_deny_total`; made for the connections that are not HTTP.
    func connectionDecision() -> Counter {
        loop.metrics.counter(
            isAuthorized ? .inboundTCPAuthzAllow : .inboundTCPAuthzDeny,
            labels: "\(SeriesLabels.target(address)),\(server)\(granted),\(tlsLabels)")
    }

    /// `inbound_tcp_detect_http_results_total`.
    func detections(_ result: DetectionResult) -> Counter {
        loop.metrics.counter(.inboundDetections, labels: "result=\"\(result.rawValue)\",\(server)")
    }

    /// The endpoint that requests under `name` go to: always the original address, with counters of its own
    /// for names of the cluster.
    func endpoint(named name: String) -> EndpointHandle {
        if let known = named[name] { return known }
        guard named.count < namesMax, let authority = Authority(name), authority.isUnder(suffixes) else {
            return namelessEndpoint()
        }
        let made = makeEndpoint(label: authority.label)
        named[name] = made
        return made
    }

    /// The endpoint of everything that has no name of the cluster.
    func namelessEndpoint() -> EndpointHandle {
        if let nameless { return nameless }
        let made = makeEndpoint(label: nil)
        nameless = made
        return made
    }

    /// Who taps the requests of this loop.
    var taps: LoopTaps { loop.taps }

    func connectionOpened() {
        openCount += 1
        idleSince = nil
    }

    func connectionClosed() {
        openCount -= 1
        if openCount == 0 { idleSince = .now() }
    }

    func countHTTP(_ error: ProxyError) { httpErrors.count(error, .inboundHTTPErrors) }
    func countTCP(_ error: ProxyError) { httpErrors.count(error, .inboundTCPErrors) }

    /// The port was not used for long: its pooled connections go.
    func retire() {
        for endpoint in named.values { endpoint.retire() }
        nameless?.retire()
    }

    private func makeEndpoint(label: String?) -> EndpointHandle {
        let labels =
            "direction=\"inbound\",\(SeriesLabels.authority(label))\(SeriesLabels.target(address)),\(tlsLabels),"
            + "\(server),\(InboundPolicy.routeLabels)\(granted)"
        return EndpointHandle(
            address: address, loop: loop.loop, metrics: loop.metrics.requests(labels: labels),
            transport: destination, settings: settings, clientID: tls.clientID,
            tapLabels: [
                "srv_group": "", "srv_kind": "default", "srv_name": serverName,
                "tls": SeriesLabels.NoTLSReason.loopback.rawValue,
            ])
    }
}

/// Failures of one port, by kind.
private struct InboundErrors {
    let loop: ProxyLoop
    let target: String
    let server: String

    func count(_ error: ProxyError, _ family: CounterFamily) {
        // What policy keeps out has families of its own.
        if error.kind == .unauthorized { return }
        let label = error.kind.response.metricLabel
        let rest = family == .inboundHTTPErrors ? "\(target),\(server)" : target
        loop.metrics.counter(family, labels: "error=\"\(label)\",\(rest)").increment()
    }
}
