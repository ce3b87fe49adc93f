internal import Logging
internal import MeshKubernetes
internal import NIOPosix

/// What every pod's worker shares.
struct NodeContext: Sendable {
    let config: NodeAgentConfig
    let client: KubernetesClient
    let layout: HostLayout
    let images: ImageTable
    let addresses: AddressPool
    let recorder: EventRecorder
    let prober: Prober
    let services: ObjectCache<Service>
    let logger: Logger
}

/// Runs a blocking call (a fork, a small tool) on a thread that may block.
func onBlockingThread<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
    try await NIOThreadPool.singleton.runIfActive(work)
}
