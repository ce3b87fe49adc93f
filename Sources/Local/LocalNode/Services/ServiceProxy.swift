internal import Logging
internal import MeshKubernetes

/// Keeps ClusterIP rules and DNS names in step with services and endpoints.
struct ServiceProxy: Sendable {
    /// Changes within this time share one rewrite.
    static let settle: Duration = .milliseconds(50)

    let config: NodeAgentConfig
    let services: ObjectCache<Service>
    let slices: ObjectCache<EndpointSlice>
    let names: ClusterNames
    let logger: Logger

    /// Follows until cancelled.
    func run() async {
        let (ticks, feed) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            group.addTask { for await _ in services.changes() { feed.yield() } }
            group.addTask { for await _ in slices.changes() { feed.yield() } }
            var applied = ""
            feed.yield()
            for await _ in ticks {
                applied = await apply(after: applied)
                try? await Task.sleep(for: Self.settle)  // Cancellation ends the loop.
            }
            group.cancelAll()
        }
    }

    /// Returns the text that is now in force.
    private func apply(after applied: String) async -> String {
        let services = Array(services.snapshot().values)
        let slices = Array(slices.snapshot().values)
        names.replace(DNSZone(clusterDomain: config.clusterDomain, services: services, slices: slices))
        let text = ServiceRules.text(
            apiServer: .init(
                serviceAddress: config.apiServiceAddress, nodeAddress: config.nodeAddress,
                port: config.apiPort),
            services: services, slices: slices)
        guard text != applied else { return applied }
        do {
            try await onBlockingThread { _ = try Tool.run(["iptables-restore"], input: text) }
            return text
        } catch {
            logger.error("Service rules were refused", metadata: ["error": "\(error)"])
            return applied
        }
    }
}
