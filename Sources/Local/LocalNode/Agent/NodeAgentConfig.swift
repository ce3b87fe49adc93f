/// Where a node agent works and who it is.
public struct NodeAgentConfig: Sendable {
    /// Holds `pods/`, `logs/`, `volumes/` and `run/`.
    public var stateDirectory: String
    public var nodeName: String
    public var nodeAddress: String
    /// Where cluster DNS answers.
    public var dnsAddress: String
    public var clusterDomain: String
    /// The `kubernetes` Service, and the address behind it.
    public var apiServiceAddress: String
    public var apiPort: Int
    /// First two octets of pod addresses.
    public var podPrefix: String
    /// Directory of the programs that images map to; `nil`: that of the running program.
    public var programs: String?

    /// The standard cluster in `stateDirectory`.
    public init(stateDirectory: String) {
        self.stateDirectory = stateDirectory
        nodeName = "linkerd-local"
        nodeAddress = "10.244.0.1"
        dnsAddress = "10.96.0.10"
        clusterDomain = "cluster.local"
        apiServiceAddress = "10.96.0.1"
        apiPort = 6443
        podPrefix = "10.244"
    }

    /// `pods/<uid>`.
    package func podDirectory(_ uid: String) -> String { "\(stateDirectory)/pods/\(uid)" }
}
