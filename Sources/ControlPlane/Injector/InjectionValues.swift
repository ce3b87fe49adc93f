import MeshModel

/// What an injection adds when no annotation says otherwise: the cluster-wide defaults.
public struct InjectionValues: Sendable, Equatable {
    /// Namespace of the control plane.
    public var controlPlaneNamespace = "linkerd"
    /// DNS suffix of the cluster.
    public var clusterDomain = "cluster.local"
    /// Last part of every workload's identity.
    public var trustDomain = "cluster.local"
    /// The certificates, in PEM, that all others must chain to; `nil` leaves proxies without identity, and
    /// their traffic unencrypted.
    public var trustAnchorsPEM: String?
    /// Networks whose addresses the proxy looks up at the control plane, as CIDRs with commas.
    public var clusterNetworks = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16"
    /// Repository and tag of the proxy's image.
    public var proxyImage = "cr.l5d.io/linkerd/proxy"
    public var proxyVersion = BuildVersion.current
    /// Repository and tag of the image that sets the redirection up.
    public var initImage = "cr.l5d.io/linkerd/proxy-init"
    public var initVersion = BuildVersion.current
    public var imagePullPolicy = "IfNotPresent"
    /// Listeners of the proxy.
    public var inboundPort = 4143
    public var outboundPort = 4140
    public var controlPort = 4190
    public var adminPort = 4191
    /// User that the proxy runs as; its own connections are never redirected.
    public var proxyUID = 2102
    public var logLevel = "warn,linkerd=info"
    public var logFormat = "plain"
    /// Ports that bypass the proxy, beside its own.
    public var skipInboundPorts = "4567,4568"
    public var skipOutboundPorts = "4567,4568"
    /// Ports whose protocol is not detected: servers that speak first.
    public var opaquePorts = "25,587,3306,4444,5432,6379,9300,11211"
    /// Who injected, in the annotation `linkerd.io/created-by`.
    public var createdBy = "linkerd/cli \(BuildVersion.current)"

    /// The defaults.
    public init() {}
}
