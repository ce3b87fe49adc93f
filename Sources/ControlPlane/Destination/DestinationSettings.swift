// What the answers depend on besides the cluster's state.

/// Settings of the destination controller.
public struct DestinationSettings: Sendable {
    /// How a proxy with a hint sends bytes of an unknown protocol to another proxy.
    public enum TransportMode: String, Sendable, CaseIterable {
        /// To the port of the application, where the packet filter hands them to the proxy.
        case transparent
        /// To the proxy's own port, with a header that names the application's port.
        case transportHeader = "transport-header"
    }

    /// Suffix of service names, after `svc.`.
    public var clusterDomain = "cluster.local"
    /// The namespace of this control plane; only its own proxies share its trust.
    public var controllerNamespace = "linkerd"
    /// Last part of every workload's identity.
    public var trustDomain = "cluster.local"
    /// Whether proxies have certificates, so that connections between them can be encrypted.
    public var isIdentityEnabled = false
    /// Whether HTTP/1 between proxies may travel in HTTP/2.
    public var isH2UpgradeEnabled = true
    /// Whether IPv6 endpoints are used, and preferred where a pod has both.
    public var isIPv6Enabled = false
    /// See `TransportMode`.
    public var transportMode = TransportMode.transparent
    /// Ports whose protocol is not detected unless an annotation says otherwise, as a port list.
    public var defaultOpaquePorts = "25,587,3306,4444,5432,6379,9300,11211"

    public init() {}

    /// Weight of every endpoint.
    static let endpointWeight: UInt32 = 10_000
    /// Addresses in one update at most; larger sets are sent in several.
    static let addressesPerUpdateMax = 1_000
}

/// Annotations and labels that discovery reads.
enum MeshKey {
    static let opaquePorts = "config.linkerd.io/opaque-ports"
    static let skipInboundPorts = "config.linkerd.io/skip-inbound-ports"
    static let controlPlaneNamespace = "linkerd.io/control-plane-ns"
    static let podTemplateHash = "pod-template-hash"
    static let serviceName = "kubernetes.io/service-name"
    static let proxyContainer = "linkerd-proxy"
    static let inboundListenAddress = "LINKERD2_PROXY_INBOUND_LISTEN_ADDR"
    static let adminListenAddress = "LINKERD2_PROXY_ADMIN_LISTEN_ADDR"
    static let controlListenAddress = "LINKERD2_PROXY_CONTROL_LISTEN_ADDR"
}
