import Logging
import MeshKubernetes
import MeshModel
import NIOCore
import NIOPosix
import Synchronization
import Testing

@Suite("Admin server", .timeLimit(.minutes(1))) struct AdminServerTests {
    @Test("Routes answer, readiness follows its condition, other paths are 404")
    func routes() async throws {
        let ready = Flag()
        let logger = Logger(label: "test")
        let server = AdminServer(
            host: "127.0.0.1", port: 0,
            routes: AdminServer.standardRoutes(
                isReady: { ready.isSet }, metrics: { Array("up 1\n".utf8) }),
            logger: logger)
        let (ports, onListening) = AsyncStream.makeStream(of: Int.self)
        let running = Task { try await server.run { onListening.yield($0) } }
        var iterator = ports.makeAsyncIterator()
        let port = try #require(await iterator.next())
        let client = try KubernetesClient(
            config: KubernetesConfig(server: "http://127.0.0.1:\(port)"), logger: logger)

        var answer = try await client.raw("GET", path: "/ping")
        #expect(answer == "pong\n")
        answer = try await client.raw("GET", path: "/metrics?x=1")
        let metrics = answer.stringValue ?? ""
        #expect(metrics.hasPrefix("up 1\n"))
        #expect(metrics.contains("\nprocess_resident_memory_bytes "), "what the process uses follows its own families")
        var error = await #expect(throws: KubernetesError.self) {
            try await client.raw("GET", path: "/ready")
        }
        #expect(error?.code == 503)
        ready.set()
        answer = try await client.raw("GET", path: "/ready")
        #expect(answer == "ok\n")
        error = await #expect(throws: KubernetesError.self) { try await client.raw("GET", path: "/nothing") }
        #expect(error?.code == 404)
        error = await #expect(throws: KubernetesError.self) { try await client.raw("DELETE", path: "/ping") }
        #expect(error?.code == 405)

        await client.shutdown()
        running.cancel()
        _ = await running.result
    }

    @Test("A server that ends while connections come in ends in peace")
    func endsAmongArrivals() async throws {
        // A connection that is dropped unserved would end this process.
        for _ in 0..<40 {
            let server = AdminServer(host: "127.0.0.1", port: 0, routes: [:], logger: Logger(label: "test"))
            let (ports, onListening) = AsyncStream.makeStream(of: Int.self)
            let running = Task { try await server.run { onListening.yield($0) } }
            let port = try #require(await ports.first { _ in true })
            let callers = Task {
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<32 {
                        group.addTask {
                            let channel = try? await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                                .connect(host: "127.0.0.1", port: port).get()
                            try? await channel?.close()
                        }
                    }
                }
            }
            await Task.yield()
            running.cancel()
            try await running.value
            await callers.value
        }
    }
}

/// Something that becomes true.
private final class Flag: Sendable {
    private let value = Mutex(false)
    var isSet: Bool { value.withLock { $0 } }
    func set() { value.withLock { $0 = true } }
}
