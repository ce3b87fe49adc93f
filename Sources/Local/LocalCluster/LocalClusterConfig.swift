/// Where a local cluster lives and which ports of the host it takes.
public struct LocalClusterConfig: Sendable, Hashable {
    /// The state directory unless another is named.
    public static let stateDirectoryDefault = "/var/lib/linkerd-local"
    /// Port of the API server on 127.0.0.1.
    public static let apiPortDefault: UInt16 = 6443
    /// Port of the dashboard on 127.0.0.1, as `linkerd viz dashboard` uses it.
    public static let dashboardPortDefault: UInt16 = 50750
    /// Longest state directory: the pods' sockets below it must fit sockaddr_un's 108 bytes.
    public static let stateDirectoryBytesMax = 48

    public var stateDirectory: String
    public var apiPort: UInt16
    public var dashboardPort: UInt16

    public init(
        stateDirectory: String = stateDirectoryDefault, apiPort: UInt16 = apiPortDefault,
        dashboardPort: UInt16 = dashboardPortDefault
    ) {
        self.stateDirectory = stateDirectory
        self.apiPort = apiPort
        self.dashboardPort = dashboardPort
    }

    /// Written for the machine's user, for the host's side of the API server.
    public var kubeconfigPath: String { stateDirectory + "/kubeconfig" }
    var pidPath: String { stateDirectory + "/supervisor.pid" }
    var lockPath: String { stateDirectory + "/supervisor.lock" }
    var componentsPath: String { stateDirectory + "/run/components.json" }
    var settingsPath: String { stateDirectory + "/run/settings.json" }
    var componentLogs: String { stateDirectory + "/logs/components" }
}

/// Why a command about the cluster failed, in words for the person at the terminal.
public struct LocalClusterError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kinds of failure.
    public enum Kind: String, Sendable {
        case needsRoot = "needs_root", portInUse = "port_in_use", missingTool = "missing_tool", notStarted =
            "not_started"
        case badDirectory = "bad_directory", timedOut = "timed_out"
    }
    public let kind: Kind
    public let message: String

    init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    public var description: String { message }
}

/// Addresses inside the cluster, the same in each.
enum ClusterNetwork {
    static let nodeAddress = "10.244.0.1"
    static let serviceRange = "10.96.0.0/16"
    static let dnsAddress = "10.96.0.10"
    static let apiPort = 6443
    static let domain = "cluster.local"
}
