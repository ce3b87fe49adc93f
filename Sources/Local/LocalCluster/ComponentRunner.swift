internal import Foundation
internal import LocalAPI
internal import LocalControllers
internal import LocalNode
public import Logging
internal import MeshKubernetes

/// Runs one component of the cluster in this process, inside the node's namespaces.
public struct ComponentRunner: Sendable {
    private let config: LocalClusterConfig
    private let logger: Logger

    public init(stateDirectory: String, logger: Logger) {
        config = LocalClusterConfig(stateDirectory: stateDirectory)
        self.logger = logger
    }

    /// Runs until cancelled or failed.
    public func run(_ component: Component) async throws {
        switch component {
        case .apiserver: try await runAPIServer()
        case .controllers:
            let client = try client(.controllers)
            await Controllers(client: client, logger: logger).run()
            await client.shutdown()
        case .node:
            let client = try client(.node)
            try await NodeAgent(
                config: NodeAgentConfig(stateDirectory: config.stateDirectory), client: client, logger: logger
            ).run()
            await client.shutdown()
        case .forwarder:
            try await DashboardForwarder(listener: InheritedDescriptors.api, logger: logger).run()
        }
    }

    private func runAPIServer() async throws {
        Processes.keepFilesPrivate()  // The state holds every Secret.
        let server = APIServerConfig(
            stateDirectory: config.stateDirectory,
            listenAddresses: [.init(host: ClusterNetwork.nodeAddress, port: ClusterNetwork.apiPort)],
            inheritedListenFDs: [InheritedDescriptors.api], clusterDomain: ClusterNetwork.domain,
            serviceCIDR: ClusterNetwork.serviceRange)
        try await APIServer(config: server, logger: logger).run()
    }

    /// The component's own client; `up` made its certificate, because two processes must not make keys at
    /// once.
    private func client(_ identity: ComponentIdentity) throws -> KubernetesClient {
        let pki = config.stateDirectory + "/pki/"
        let read = { (path: String) throws -> String in
            guard let text = Files.readText(path) else {
                throw SystemError(operation: "read \(path)", code: 2)
            }
            return text
        }
        return try KubernetesClient(
            config: KubernetesConfig(
                server: "https://\(ClusterNetwork.nodeAddress):\(ClusterNetwork.apiPort)",
                caPEM: try read(pki + "ca.crt"), clientCertificatePEM: try read(pki + identity.file + ".crt"),
                clientKeyPEM: try read(pki + identity.file + ".key")),
            logger: logger)
    }
}

/// Who a component is to the API server.
struct ComponentIdentity: Sendable {
    let file: String
    let name: String

    static let controllers = ComponentIdentity(file: "controllers", name: "system:kube-controller-manager")
    static let node = ComponentIdentity(file: "node", name: "system:node:linkerd-local")

    /// Makes the certificates that are missing or about to expire.
    static func ensureAll(_ pki: LocalPKI, now: Date) throws {
        for identity in [controllers, node] {
            _ = try pki.ensureClient(
                file: identity.file, name: identity.name, organizations: ["system:masters", "system:nodes"],
                now: now)
        }
    }
}
