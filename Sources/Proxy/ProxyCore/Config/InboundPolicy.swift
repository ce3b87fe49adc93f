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
    /// Loopback comes in whatever the policy says; only tests, which come from nowhere else, turn it off.
    package var trustsLoopback = true

    package init(_ policy: DefaultPolicy, networks: [IPNetwork] = []) {
        self.policy = policy
        self.networks = networks
    }

    /// The name of the authorization that lets a client in; `nil` when none does.
    ///
    /// Loopback always comes in, as an authorization of its own that stands behind the policy's: the pod is its
    /// own neighbour.
    /// - Parameter isIdentified: the client proved an identity of the mesh.
    package func authorization(of client: SocketAddress?, isIdentified: Bool) -> String? {
        if isGranted(client, isIdentified) { return policy.rawValue }
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
        "srv_group=\"\",srv_kind=\"default\",srv_name=\"\(policy.rawValue)\",srv_port=\"\(port)\""
    }

    /// `authz_*` of an authorization.
    package func authorizationLabels(_ name: String) -> String {
        "authz_group=\"\",authz_kind=\"default\",authz_name=\"\(name)\""
    }
}
