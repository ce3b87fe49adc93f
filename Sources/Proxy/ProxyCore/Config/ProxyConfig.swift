// The proxy's configuration, read once from `LINKERD2_PROXY_*` and complete from then on. Names, grammar and
// defaults are Linkerd's (`spec/proxy.md` 2); what belongs to policy, tap and tracing comes with them.

package import MeshTransport
package import MeshWire
package import NIOCore

/// Everything the proxy needs to know before it starts.
package struct ProxyConfig: Sendable {
    /// Inbound or outbound: its listeners, time-outs and pools.
    package struct Side: Sendable {
        package var listenAddresses: [SocketAddress]
        package var accept: SocketSettings
        package var detectTimeout: TimeAmount
        package var endpoint: EndpointSettings
        /// How long a request or connection waits for an endpoint before it fails fast.
        package var failFastTimeout: TimeAmount
        /// Requests and connections that may wait for endpoints of one destination.
        package var queueMax: Int
        /// Requests without a response head at a time.
        package var inFlightMax: Int
        /// How long what was learnt about a destination is kept after its last use.
        package var idleTimeout: TimeAmount
        package var http2: HTTP2Limits
    }

    package var inbound: Side
    package var outbound: Side
    package var adminAddress: SocketAddress
    /// Who this proxy is; `nil` when identity is disabled, and then nothing is encrypted.
    package var identity: IdentityConfig?
    /// The pod's own addresses; empty allows any.
    package var inboundIPs: [SocketAddress]
    /// Inbound ports whose bytes are not looked at.
    package var inboundOpaquePorts: PortSet
    /// `host:port` of the destination service; `nil` forwards everything outbound to where it was going.
    package var destinationAddress: Authority?
    /// Who the destination service must be; empty when it is on loopback, or identity is disabled.
    package var destinationName: String
    /// Opaque token sent with each lookup.
    package var destinationContext: String
    /// Networks whose addresses are looked up.
    package var profileNetworks: [IPNetwork]
    /// Names eligible for lookups and labels.
    package var profileSuffixes: [String]
    /// How long an inbound request waits for its name's profile before it goes on without.
    package var profileInitialTimeout: TimeAmount
    /// The workload is an ingress controller: it chooses endpoints by name, not by address.
    package var isIngress: Bool
    /// Send `l5d-proxy-error` and its kin to applications.
    package var emitsOutboundHeaders: Bool
    /// Let outbound connections go to loopback addresses; only for proxies under test on one machine.
    package var allowsOutboundLoopback = false
    /// Event loops of the data plane.
    package var coreCount: Int
    package var metricsRetainIdle: TimeAmount
    package var shutdownGrace: TimeAmount
    /// How long connections are still accepted after the signal to end; our own key, which Linkerd lacks.
    package var shutdownAcceptGrace: TimeAmount
    package var isShutdownEndpointEnabled: Bool
    package var log: String
    /// Keys with our prefix that mean nothing to any Linkerd proxy: misspelt.
    package var unknownKeys: [String]

    /// Common start of every key.
    package static let prefix = "LINKERD2_PROXY_"
}
