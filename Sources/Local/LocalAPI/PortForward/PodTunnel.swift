import NIOCore

/// Bytes both ways between a client's stream and a port of a pod.
struct PodTunnel: Sendable {
    let node: NodeSocket
    let podUID: String
    let port: Int

    /// Connects, then passes what `pipe` gives to the pod and what the pod sends to `deliver`. Ends when the
    /// pod has sent everything, when delivering fails, or on cancellation.
    ///
    /// - Throws: `StatusError` when the pod cannot be reached.
    func run(from pipe: BytePipe, deliver: @escaping @Sendable (ByteBuffer) async throws -> Void) async throws
    {
        defer { pipe.cancel() }
        let connection = try await node.connect(podUID: podUID, port: port)
        try await connection.executeThenClose { inbound, outbound in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    while let bytes = await pipe.next() { try await outbound.write(bytes) }
                    outbound.finish()  // The pod is told that no more will come, and may still answer.
                }
                for try await bytes in inbound { try await deliver(bytes) }
                group.cancelAll()
            }
        }
    }
}
