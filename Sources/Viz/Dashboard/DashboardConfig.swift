/// Everything the dashboard needs to know, decided once by the program that runs it.
public struct DashboardConfig: Sendable, Equatable {
    /// Address to listen on; all interfaces by default, as a pod is reached from outside itself.
    public var host: String
    /// Port of pages and API. Linkerd's `web` listens on 8084.
    public var port: Int
    /// Port of `/ping`, `/ready` and `/metrics`, served by the program.
    public var adminPort: Int
    /// `host:port` of the gRPC API that all numbers come from.
    public var metricsAPIAddress: String
    /// `host:port` of the tap service's gRPC door; empty turns live requests off.
    public var tapAddress: String
    /// Folder with `index.html` and `assets/`; `nil` looks beside the executable (`AssetStore.locate`).
    public var assetsDirectory: String?
    /// DNS suffix of the cluster, for the names shown to people.
    public var clusterDomain: String
    /// Namespace of the viz extension, for the commands shown to people.
    public var vizNamespace: String
    /// Regular expression that the `Host` header must match somewhere; empty accepts every host. It keeps
    /// a page on another site from reading the dashboard through a DNS name it controls.
    public var enforcedHost: String
    /// Time between two answers on a live view. The proxies are scraped every 10 s, so half of that.
    public var livePeriod: Duration

    /// The hosts that a port-forward, the pod network and the cluster's own names lead to.
    public static let enforcedHostDefault = hostPattern(
        clusterDomain: "cluster.local", namespace: "linkerd-viz")

    /// Accepts the loopback names and `web.<namespace>.svc[.<domain>]`, with or without a port.
    public static func hostPattern(clusterDomain: String, namespace: String) -> String {
        func literal(_ text: String) -> String { text.split(separator: ".").joined(separator: #"\."#) }
        let service = #"web\.\#(literal(namespace))\.svc(\.\#(literal(clusterDomain)))?"#
        return #"^(localhost|127\.0\.0\.1|\[::1\]|\#(service))(:\d+)?$"#
    }

    /// Defaults are those of the Helm chart.
    public init(
        host: String = "0.0.0.0", port: Int = 8084, adminPort: Int = 9994,
        metricsAPIAddress: String = "metrics-api.linkerd-viz.svc.cluster.local:8085",
        tapAddress: String = "", assetsDirectory: String? = nil, clusterDomain: String = "cluster.local",
        vizNamespace: String = "linkerd-viz", enforcedHost: String = DashboardConfig.enforcedHostDefault,
        livePeriod: Duration = .seconds(5)
    ) {
        self.host = host
        self.port = port
        self.adminPort = adminPort
        self.metricsAPIAddress = metricsAPIAddress
        self.tapAddress = tapAddress
        self.assetsDirectory = assetsDirectory
        self.clusterDomain = clusterDomain
        self.vizNamespace = vizNamespace
        self.enforcedHost = enforcedHost
        self.livePeriod = livePeriod
    }
}
