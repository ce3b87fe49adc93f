// The proxy's configuration, read once from `LINKERD2_PROXY_*` and complete from then on. Names, grammar and
// defaults are Linkerd's (`spec/proxy.md` 2); the keys themselves are in `ConfigKeys` and `SideKeys`.

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
        /// How long a request waits for an endpoint before it fails fast.
        package var failFastTimeout: TimeAmount
        /// Requests that may wait for endpoints of one destination.
        package var queueMax: Int
        /// How long a connection waits for discovery before it fails fast.
        package var tcpFailFastTimeout: TimeAmount
        /// Connections that may wait for discovery of one destination.
        package var tcpQueueMax: Int
        /// Requests without an answer on one event loop; more are shed.
        package var inFlightMax: Int
        /// Accepted connections on one event loop; more are closed as they come.
        package var connectionsMax: Int
        /// How long what was learnt about a destination is kept after its last use.
        package var idleTimeout: TimeAmount
        package var http2: HTTP2Limits
    }

    package var inbound: Side
    package var outbound: Side
    package var adminAddress: SocketAddress
    /// Where tappers connect.
    package var tapAddress: SocketAddress
    /// The identity that may tap; `nil` opens no tap port.
    package var tapServiceName: String?
    /// Who this proxy is; `nil` when identity is disabled, and then nothing is encrypted.
    package var identity: IdentityConfig?
    /// Who may connect to ports that no policy names.
    package var policy: InboundPolicy
    /// Let this machine tap without showing who it is, as Linkerd does; tests with everything on one machine say no.
    package var trustsLoopbackTaps = true
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
    /// Let the pod's own connections in whatever the policy says, as Linkerd does; only proxies under test, whose
    /// clients all come from loopback, do not.
    package var trustsInboundLoopback = true
    /// Event loops of the data plane.
    package var coreCount: Int
    /// Request bytes kept on one event loop in case requests are sent again.
    package var replayBytesMax: Int
    package var metricsRetainIdle: TimeAmount
    /// Label sets per kind of series and loop.
    package var metricsSeriesMax: Int
    /// Authorities counted apart per inbound port and loop.
    package var metricsAuthoritiesMax: Int
    package var shutdownGrace: TimeAmount
    /// How long connections are still accepted after the signal to end; our own key, which Linkerd lacks.
    package var shutdownAcceptGrace: TimeAmount
    package var isShutdownEndpointEnabled: Bool
    package var log: String
    package var logFormat: LogFormat
    /// `nil` writes no access log.
    package var accessLog: AccessLogFormat?
    /// Keys with our prefix that mean nothing to any Linkerd proxy: misspelt.
    package var unknownKeys: [String]
    /// What is odd and still no mistake; logged at start.
    package var warnings: [String]

    /// Common start of every key.
    package static let prefix = "LINKERD2_PROXY_"
}

/// Who may connect to ports that no policy names; the raw value is the name in environment and labels
/// (`spec/proxy.md` 4.1).
package enum DefaultPolicy: String, Sendable, CaseIterable {
    case allUnauthenticated = "all-unauthenticated"
    case allAuthenticated = "all-authenticated"
    case clusterUnauthenticated = "cluster-unauthenticated"
    case clusterAuthenticated = "cluster-authenticated"
    case audit
    case deny
}

/// Shape of log lines (`spec/proxy.md` 8.2).
package enum LogFormat: String, Sendable, CaseIterable {
    case plain = "PLAIN"
    case json = "JSON"
}

/// Shape of access log lines (`spec/proxy.md` 8.3).
package enum AccessLogFormat: String, Sendable, CaseIterable {
    case apache, json
}
