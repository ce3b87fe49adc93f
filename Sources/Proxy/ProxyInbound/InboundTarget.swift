import MeshTransport
import MeshWire
import NIOCore
import ProxyCore

/// One port of the workload, and one way of reaching it, as one event loop sees them: the endpoint per name that
/// clients use for it.
final class InboundTarget {
    /// Distinct names counted apart per port and loop; requests under further names share the nameless
    /// series.
    static let namesMax = 100

    let address: SocketAddress
    /// Sockets accepted from peers for this port.
    let source: TransportMetrics
    /// When the last connection to this port closed; `nil` while one is open.
    private(set) var idleSince: NIODeadline?

    private let loop: ProxyLoop
    private let settings: EndpointSettings
    private let suffixes: [String]
    private let destination: TransportMetrics
    /// How clients reach it: their identity, or why there is none.
    let tls: InboundTLS
    private let tlsLabels: String
    private var openCount = 0
    private var named: [String: EndpointHandle] = [:]
    private var nameless: EndpointHandle?
    private let httpErrors: InboundErrors

    init(
        address: SocketAddress, loop: ProxyLoop, settings: EndpointSettings, suffixes: [String],
        tls: InboundTLS
    ) {
        self.address = address
        self.loop = loop
        self.settings = settings
        self.suffixes = suffixes
        self.tls = tls
        tlsLabels = loop.identity == nil ? SeriesLabels.tlsDisabled : tls.labels
        idleSince = .now()
        let target = SeriesLabels.target(address)
        let server = SeriesLabels.defaultServer(port: address.port ?? 0)
        source = loop.metrics.transport(
            labels: "direction=\"inbound\",peer=\"src\",\(target),\(tlsLabels),\(server)")
        destination = loop.metrics.transport(
            labels: "direction=\"inbound\",peer=\"dst\",\(SeriesLabels.noTLS(.loopback))")
        httpErrors = InboundErrors(loop: loop, target: target, server: server)
    }

    /// The endpoint that requests under `name` go to: always the original address, with counters of its own
    /// for names of the cluster.
    func endpoint(named name: String) -> EndpointHandle {
        if let known = named[name] { return known }
        guard named.count < Self.namesMax, let authority = Authority(name), authority.isUnder(suffixes) else {
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
            + SeriesLabels.defaultServer(port: address.port ?? 0)
        return EndpointHandle(
            address: address, loop: loop.loop, metrics: loop.metrics.requests(labels: labels),
            transport: destination, settings: settings, clientID: tls.clientID)
    }
}

/// Failures of one port, by kind.
private struct InboundErrors {
    let loop: ProxyLoop
    let target: String
    let server: String

    func count(_ error: ProxyError, _ family: CounterFamily) {
        let label = error.kind.response.metricLabel
        let rest = family == .inboundHTTPErrors ? "\(target),\(server)" : target
        loop.metrics.counter(family, labels: "error=\"\(label)\",\(rest)").increment()
    }
}
