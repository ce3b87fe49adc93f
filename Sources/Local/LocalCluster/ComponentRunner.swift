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
            let client = try client(name: "system:kube-controller-manager", file: "controllers")
            await Controllers(client: client, logger: logger).run()
            await client.shutdown()
        case .node:
            let client = try client(name: "system:node:linkerd-local", file: "node")
            try await NodeAgent(
                config: NodeAgentConfig(stateDirectory: config.stateDirectory), client: client, logger: logger
            ).run()
            await client.shutdown()
        case .forwarder:
            try await DashboardForwarder(listener: InheritedDescriptors.api, logger: logger).run()
        }
    }

    private func runAPIServer() async throws {
        let server = APIServerConfig(
            stateDirectory: config.stateDirectory,
            listenAddresses: [.init(host: ClusterNetwork.nodeAddress, port: ClusterNetwork.apiPort)],
            inheritedListenFDs: [InheritedDescriptors.api], clusterDomain: ClusterNetwork.domain,
            serviceCIDR: ClusterNetwork.serviceRange)
        try await APIServer(config: server, logger: logger).run()
    }

    /// A client with a certificate of its own.
    private func client(name: String, file: String) throws -> KubernetesClient {
        let pki = try LocalPKI.ensure(stateDirectory: config.stateDirectory, now: Date.now)
        let pair = try pki.ensureClient(
            file: file, name: name, organizations: ["system:masters", "system:nodes"], now: Date.now)
        let read = { (path: String) throws -> String in
            guard let text = Files.readText(path) else { throw SystemError(operation: "read \(path)", code: 2) }
            return text
        }
        return try KubernetesClient(
            config: KubernetesConfig(
                server: "https://\(ClusterNetwork.nodeAddress):\(ClusterNetwork.apiPort)",
                caPEM: try read(pki.authority.certificatePath), clientCertificatePEM: try read(pair.certificatePath),
                clientKeyPEM: try read(pair.keyPath)),
            logger: logger)
    }
}
