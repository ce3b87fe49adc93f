import Logging
import MeshTLS
import MeshTransport
import MeshWire
import NIOCore
import ProxyCore

/// What every outbound destination needs.
struct OutboundSettings {
    let side: ProxyConfig.Side
    let networks: [IPNetwork]
    let inboundIPs: [SocketAddress]
    let emitsHeaders: Bool
    /// Event loops that share what is bounded for the whole proxy.
    let loopCount: Int
    let logger: Logger

    init(_ config: ProxyConfig, logger: Logger) {
        loopCount = config.coreCount
        self.logger = logger
        side = config.outbound
        networks = config.profileNetworks
        inboundIPs = config.inboundIPs
        emitsHeaders = config.emitsOutboundHeaders
    }

    /// Builds an endpoint with its labels.
    func endpoint(_ discovered: DiscoveredEndpoint, name: DestinationName, loop: ProxyLoop) -> EndpointHandle
    {
        let security = security(of: discovered, identity: loop.identity)
        let common =
            SeriesLabels.authority(name.authority?.label) + SeriesLabels.target(discovered.address) + ","
            + security.labels + SeriesLabels.destination(discovered.metricLabels)
        return EndpointHandle(
            address: discovered.address, loop: loop.loop,
            metrics: loop.metrics.requests(labels: "direction=\"outbound\",\(common)"),
            transport: loop.metrics.transport(labels: "direction=\"outbound\",peer=\"dst\",\(common)"),
            settings: side.endpoint, canonicalName: name.canonical, tls: security.tls,
            carriesHTTP1: carriesHTTP1(discovered),
            tapLabels: discovered.metricLabels.merging(security.tap) { $1 }, keepAlive: discovered.keepAlive)
    }

    /// Whether requests of HTTP/1 go to the endpoint over HTTP/2 (`spec/proxy.md` 1.4, 3.7).
    private func carriesHTTP1(_ endpoint: DiscoveredEndpoint) -> Bool {
        guard endpoint.protocolHint.isHTTP2, !endpoint.protocolHint.isOpaque else { return false }
        let bytes = endpoint.address.ipBytes
        return !inboundIPs.contains { $0.ipBytes == bytes }  // The pod talks to itself.
    }

    /// Whether connections to an endpoint open with a transport header, and what it says (`spec/proxy.md` 1.7).
    private func direct(to endpoint: DiscoveredEndpoint) -> DirectTransport? {
        let named = endpoint.authorityOverride.flatMap { Authority($0) }
        guard endpoint.protocolHint.opaqueTransportPort != nil || named != nil else { return nil }
        guard let port = named?.port ?? endpoint.address.port.flatMap({ UInt16(exactly: $0) }), port > 0 else { return nil }
        var address = endpoint.address
        if let direct = endpoint.protocolHint.opaqueTransportPort { address.port = Int(direct) }
        return DirectTransport(
            address: address, header: TransportHeader(port: port, name: named?.host),
            isOpaque: endpoint.protocolHint.isOpaque)
    }

    /// Whether and how connections to an endpoint are encrypted, and what the labels say about it
    /// (`spec/proxy.md` 1.6).
    private func security(
        of endpoint: DiscoveredEndpoint, identity: ProxyIdentity?
    ) -> (tls: EndpointTLS?, labels: String, tap: [String: String]) {
        guard let identity else { return (nil, SeriesLabels.tlsDisabled, ["tls": "disabled"]) }
        let bytes = endpoint.address.ipBytes
        if inboundIPs.contains(where: { $0.ipBytes == bytes }) {
            let reason = SeriesLabels.NoTLSReason.loopback  // The pod talks to itself.
            return (nil, SeriesLabels.noTLS(reason), ["tls": reason.rawValue])
        }
        guard let name = endpoint.tlsIdentity, !name.isEmpty else {
            let reason = SeriesLabels.NoTLSReason.notProvidedByServiceDiscovery
            return (nil, SeriesLabels.noTLS(reason), ["tls": reason.rawValue])
        }
        let options = TLSClientOptions(serverIdentity: name, serverName: endpoint.serverName)
        return (
            EndpointTLS(contexts: identity.contexts, options: options, direct: direct(to: endpoint)),
            SeriesLabels.tls("server_id", name), ["tls": "true", "server_id": name]
        )
    }
}

/// What a destination is called; nothing when it is only an address.
struct DestinationName {
    let authority: Authority?

    /// Whether the destination is a Service rather than an address.
    var isLogical: Bool { authority != nil }

    /// `name:port` for `l5d-dst-canonical`.
    var canonical: String? { authority.map { $0.path(defaultPort: 80) } }
}
