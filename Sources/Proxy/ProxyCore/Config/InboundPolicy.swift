// Who may reach the workload while no policy service says otherwise, and how that is called in labels.
// Source: `spec/proxy.md` 4.1, 6.6.

package import NIOCore

/// The default policy with what it needs to judge.
package struct InboundPolicy: Sendable {
    /// What stands for every request while nobody defines routes.
    package static let routeLabels = "route_group=\"\",route_kind=\"default\",route_name=\"default\""

    package let policy: DefaultPolicy
    /// The cluster's, for the policies that ask for them.
    package let networks: [IPNetwork]
    /// Ports only for clients that prove an identity of the mesh.
    package var portsRequiringIdentity = PortSet()
    /// Ports only for mesh TLS, with an identity or without.
    package var portsRequiringTLS = PortSet()
    /// Loopback comes in whatever the policy says; only tests, which come from nowhere else, turn it off.
    package var trustsLoopback = true

    package init(_ policy: DefaultPolicy, networks: [IPNetwork] = []) {
        self.policy = policy
        self.networks = networks
    }

    /// What a port's policy is called: the default one, or the stricter one that the port was set apart for.
    package func name(port: Int) -> String {
        switch policy {
        case .allAuthenticated, .clusterAuthenticated, .deny: policy.rawValue
        case .allUnauthenticated, .audit, .clusterUnauthenticated:
            if portsRequiringIdentity.contains(port) {
                policy == .clusterUnauthenticated
                    ? DefaultPolicy.clusterAuthenticated.rawValue : DefaultPolicy.allAuthenticated.rawValue
            } else {
                portsRequiringTLS.contains(port) ? "all-tls-unauthenticated" : policy.rawValue
            }
        }
    }

    /// The name of the authorization that lets a client in; `nil` when none does.
    ///
    /// Loopback always comes in, as an authorization of its own that stands behind the policy's: the pod is its
    /// own neighbour.
    /// - Parameter port: where the client wants to go.
    package func authorization(of client: SocketAddress?, port: Int, _ tls: InboundTLS) -> String? {
        let isIdentified = tls.clientID != nil
        let isProven =
            isIdentified || !portsRequiringIdentity.contains(port) && (tls.isMesh || !portsRequiringTLS.contains(port))
        if isProven, isGranted(client, isIdentified) { return name(port: port) }
        return trustsLoopback && client?.isLoopback ?? false ? "localhost" : nil
    }

    private func isGranted(_ client: SocketAddress?, _ isIdentified: Bool) -> Bool {
        switch policy {
        case .allUnauthenticated, .audit: true
        case .allAuthenticated: isIdentified
        case .clusterUnauthenticated: isInCluster(client)
        case .clusterAuthenticated: isIdentified && isInCluster(client)
        case .deny: false
        }
    }

    private func isInCluster(_ client: SocketAddress?) -> Bool {
        client.map { address in networks.contains { $0.contains(address) } } ?? false
    }

    /// `srv_*` of a port.
    package func serverLabels(port: Int) -> String {
        "srv_group=\"\",srv_kind=\"default\",srv_name=\"\(name(port: port))\",srv_port=\"\(port)\""
    }

    /// `authz_*` of an authorization.
    package func authorizationLabels(_ name: String) -> String {
        "authz_group=\"\",authz_kind=\"default\",authz_name=\"\(name)\""
    }
}
