/// Where the API server of the local cluster listens and what it serves.
public struct APIServerConfig: Sendable {
    /// One address to listen on; port 0 takes any free one.
    public struct ListenAddress: Sendable, Hashable {
        public var host: String
        public var port: Int

        public init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    /// Holds `state.db`, `logs/` and `run/node.sock`.
    public var stateDirectory: String
    /// The authority that client certificates must be signed by, and that pods are given.
    public var caCertificatePath: String
    /// The server's own certificate and key.
    public var serverCertificatePath: String
    public var serverKeyPath: String
    /// The client certificate and key that aggregated APIs are asked with, and the authority that signed it.
    public var frontProxyCertificatePath: String
    public var frontProxyKeyPath: String
    public var frontProxyAuthorityPath: String
    /// The P-256 key that signs and verifies ServiceAccount tokens.
    public var serviceAccountKeyPath: String
    /// Addresses to bind.
    public var listenAddresses: [ListenAddress]
    /// Sockets that already listen, passed by the supervisor; owned and closed by the server.
    public var inheritedListenFDs: [Int32]
    /// DNS suffix of the cluster.
    public var clusterDomain: String
    /// Range from which Services get their addresses; the first one is the `kubernetes` Service's.
    public var serviceCIDR: String
    /// The one node that every pod is bound to.
    public var nodeName: String
    /// Port behind the `kubernetes` Service, where pods reach this server on `nodeAddress`.
    public var nodePort: Int
    /// Bytes that the state file may grow to; what would exceed it is refused with 507, and reads go on.
    public var stateBytesMax: Int
    /// Address of the node, endpoint of the `kubernetes` Service.
    public var nodeAddress: String

    /// A server for the cluster in `stateDirectory`, with the certificates that `LocalPKI` keeps there.
    public init(
        stateDirectory: String, listenAddresses: [ListenAddress] = [.init(host: "127.0.0.1", port: 6443)],
        inheritedListenFDs: [Int32] = [], clusterDomain: String = "cluster.local",
        serviceCIDR: String = "10.96.0.0/16", nodeName: String = "linkerd-local"
    ) {
        self.stateDirectory = stateDirectory
        caCertificatePath = stateDirectory + "/pki/ca.crt"
        serverCertificatePath = stateDirectory + "/pki/apiserver.crt"
        serverKeyPath = stateDirectory + "/pki/apiserver.key"
        frontProxyCertificatePath = stateDirectory + "/pki/front-proxy-client.crt"
        frontProxyKeyPath = stateDirectory + "/pki/front-proxy-client.key"
        frontProxyAuthorityPath = stateDirectory + "/pki/front-proxy-ca.crt"
        serviceAccountKeyPath = stateDirectory + "/pki/sa.key"
        self.listenAddresses = listenAddresses
        self.inheritedListenFDs = inheritedListenFDs
        self.clusterDomain = clusterDomain
        self.serviceCIDR = serviceCIDR
        self.nodeName = nodeName
        nodePort = 6443
        stateBytesMax = 2 << 30
        nodeAddress = "10.244.0.1"
    }
}
