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

    init(_ config: ProxyConfig) {
        side = config.outbound
        networks = config.profileNetworks
        inboundIPs = config.inboundIPs
        emitsHeaders = config.emitsOutboundHeaders
    }

    /// Builds an endpoint with its labels.
    func endpoint(_ discovered: DiscoveredEndpoint, name: DestinationName, loop: ProxyLoop) -> EndpointHandle
    {
        let bytes = discovered.address.ipBytes
        let isLocal = inboundIPs.contains { $0.ipBytes == bytes }
        let common =
            SeriesLabels.authority(name.authority?.label) + SeriesLabels.target(discovered.address) + ","
            + SeriesLabels.noTLS(isLocal ? .loopback : .notProvidedByServiceDiscovery)
            + SeriesLabels.destination(discovered.metricLabels)
        return EndpointHandle(
            address: discovered.address, loop: loop.loop,
            metrics: loop.metrics.requests(labels: "direction=\"outbound\",\(common)"),
            transport: loop.metrics.transport(labels: "direction=\"outbound\",peer=\"dst\",\(common)"),
            settings: side.endpoint, canonicalName: name.canonical)
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
