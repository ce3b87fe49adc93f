// What the stacks ask of service discovery, in the proxy's own words: plain values, no protobuf.
//
// The gRPC client implements this over `io.linkerd.proxy.destination.Destination`; tests implement it by
// hand.

package import MeshRoutes
package import NIOCore

/// A stream of answers that goes on until it is cancelled.
package protocol Cancellable: Sendable {
    /// Ends the watch. No update is delivered after this returns when it is called on the watch's loop.
    func cancel()
}

/// Service discovery, as the stacks see it.
///
/// Implementations reconnect with back-off for ever and keep the last state meanwhile: silence means
/// "unchanged". Updates arrive on the given loop, never inside the call that starts the watch.
package protocol DestinationSource: Sendable {
    /// Follows the profile of `path` (`ip:port`, or `name:port`).
    func watchProfile(
        path: String, on loop: any EventLoop, _ update: @escaping @Sendable (ProfileUpdate) -> Void
    ) -> any Cancellable

    /// Follows the endpoints of `path` (`name:port`).
    func watchEndpoints(
        path: String, on loop: any EventLoop, _ update: @escaping @Sendable (EndpointsUpdate) -> Void
    ) -> any Cancellable
}

/// One answer about a destination.
package enum ProfileUpdate: Sendable, Equatable {
    /// The destination's current profile; replaces the one before.
    case profile(DestinationProfile)
    /// Discovery refuses to answer for this path (InvalidArgument): treat it as having no profile. Final.
    case rejected
}

/// What discovery knows about a destination.
package struct DestinationProfile: Sendable, Equatable {
    /// The logical name without port; `nil` or empty when the destination is not a Service.
    package var fullyQualifiedName: String?
    /// Skip protocol detection; the bytes are opaque.
    package var isOpaque: Bool
    /// Set when the address is one endpoint (a pod) rather than a Service.
    package var endpoint: DiscoveredEndpoint?
    /// The Service behind the name, for `parent_*` labels.
    package var parent: ResourceReference?
    /// Routes of a ServiceProfile; the first match counts.
    package var routes: [ProfileRoute] = []
    /// `nil` when nothing may be retried.
    package var retryBudget: RetryBudget.Settings?
    /// Where requests go instead of to the name itself, by weight; empty for no split.
    package var overrides: [WeightedAuthority] = []

    /// Whether someone wrote a profile for the destination: only then its requests are counted by route.
    package var isServiceProfile: Bool { !routes.isEmpty || !overrides.isEmpty }

    package init(
        fullyQualifiedName: String? = nil, isOpaque: Bool = false, endpoint: DiscoveredEndpoint? = nil,
        parent: ResourceReference? = nil, routes: [ProfileRoute] = [], retryBudget: RetryBudget.Settings? = nil,
        overrides: [WeightedAuthority] = []
    ) {
        self.routes = routes
        self.retryBudget = retryBudget
        self.overrides = overrides
        self.fullyQualifiedName = fullyQualifiedName
        self.isOpaque = isOpaque
        self.endpoint = endpoint
        self.parent = parent
    }
}

/// A Kubernetes object that discovery names.
package struct ResourceReference: Sendable, Hashable {
    package var group: String
    package var kind: String
    package var namespace: String
    package var name: String
    /// 0 when the reference has no port.
    package var port: UInt16

    package init(group: String, kind: String, namespace: String, name: String, port: UInt16 = 0) {
        self.group = group
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.port = port
    }
}

/// One change of an endpoint set.
package enum EndpointsUpdate: Sendable, Equatable {
    /// The first set of a new stream: replaces everything known.
    case replace([DiscoveredEndpoint])
    /// Adds endpoints, or replaces the metadata of those already known by address.
    case add([DiscoveredEndpoint])
    /// Removes endpoints by address; unknown ones are ignored.
    case remove([SocketAddress])
    /// The set is empty; `exists` says whether the destination does.
    case noEndpoints(exists: Bool)
    /// Discovery refuses to answer for this path (InvalidArgument). Final.
    case rejected
}

/// One address behind a destination, with its metadata.
package struct DiscoveredEndpoint: Sendable, Equatable {
    /// What the endpoint's proxy, if any, can speak.
    package struct ProtocolHint: Sendable, Equatable {
        /// Accepts HTTP/1 carried in HTTP/2.
        package var isHTTP2 = false
        /// Must not be upgraded even when the traffic is HTTP.
        package var isOpaque = false
        /// The port that takes a transport header; `nil` when it takes none.
        package var opaqueTransportPort: UInt16?

        package init(isHTTP2: Bool = false, isOpaque: Bool = false, opaqueTransportPort: UInt16? = nil) {
            self.isHTTP2 = isHTTP2
            self.isOpaque = isOpaque
            self.opaqueTransportPort = opaqueTransportPort
        }
    }

    /// Pings that keep an HTTP/2 connection to the endpoint known to be alive.
    package struct KeepAlive: Sendable, Equatable {
        /// Silence after which a ping goes out.
        package var interval: TimeAmount
        /// How long its answer may take before the connection is given up.
        package var timeout: TimeAmount
        /// Ping when no request is under way, too.
        package var isWhileIdle: Bool

        package init(interval: TimeAmount, timeout: TimeAmount, isWhileIdle: Bool) {
            self.interval = interval
            self.timeout = timeout
            self.isWhileIdle = isWhileIdle
        }
    }

    package var address: SocketAddress
    /// Kept for completeness; Linkerd's balancer ignores it, and so does ours.
    package var weight: UInt32
    /// Labels of the set and of the address merged, keys without `dst_`. Unique keys, any order.
    package var metricLabels: [String: String]
    package var protocolHint: ProtocolHint
    /// TLS name the endpoint must present; `nil` when it is not meshed.
    package var tlsIdentity: String?
    /// SNI to send, when it differs from the identity.
    package var serverName: String?
    /// `name:port` that replaces the request's authority (multicluster).
    package var authorityOverride: String?
    /// `nil` sends no pings.
    package var keepAlive: KeepAlive?

    package init(
        address: SocketAddress, weight: UInt32 = 10_000, metricLabels: [String: String] = [:],
        protocolHint: ProtocolHint = ProtocolHint(), tlsIdentity: String? = nil, serverName: String? = nil,
        authorityOverride: String? = nil, keepAlive: KeepAlive? = nil
    ) {
        self.address = address
        self.weight = weight
        self.metricLabels = metricLabels
        self.protocolHint = protocolHint
        self.tlsIdentity = tlsIdentity
        self.serverName = serverName
        self.authorityOverride = authorityOverride
        self.keepAlive = keepAlive
    }
}
