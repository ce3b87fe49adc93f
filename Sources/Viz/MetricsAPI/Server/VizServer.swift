import GRPCCore
import GRPCNIOTransportHTTP2Posix
package import Logging
import NIOCore

/// metrics-api's port: gRPC, Linkerd 2.11's framing, JSON and federation.
package final class VizServer: Sendable {
    private let server: GRPCServer<HTTP2ServerTransport.Posix>
    private let front: VizFront

    /// Nothing listens yet.
    ///
    /// - Parameters:
    ///   - port: 0 lets the system choose; `run` reports the choice.
    ///   - federation: What `/federate` answers from; `nil` without a store.
    package init(host: String, port: Int, sources: VizSources, federation: Federation? = nil, logger: Logger) {
        // Clients reach this server through proxies that ping every ten seconds, also without calls.
        let transport = HTTP2ServerTransport.Posix(
            address: .ipv4(host: "127.0.0.1", port: 0), transportSecurity: .plaintext,
            config: .defaults {
                $0.connection.keepalive.clientBehavior = .init(
                    minPingIntervalWithoutCalls: .seconds(1), allowWithoutCalls: true)
            })
        server = GRPCServer(transport: transport, services: [VizService(sources), HistoryService(sources)])
        let routes = VizRoutes(
            table: RPCTable(sources), federation: federation, backendTitle: sources.backend.title)
        front = VizFront(host: host, port: port, routes: routes, logger: logger)
    }

    /// Serves until `beginShutdown()` or cancellation.
    ///
    /// - Throws: When the port cannot be bound.
    package func run(onListening: @escaping @Sendable (Int) -> Void = { _ in }) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.server.serve() }
            guard let address = try await server.listeningAddress?.ipv4 else {
                throw RPCError(code: .unavailable, message: "the gRPC server has no address")
            }
            group.addTask { try await self.front.run(grpcPort: address.port, onListening: onListening) }
            // The first to end ends all: a shutdown, or a port that cannot be bound.
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Finishes the calls in flight and ends `run()`.
    package func beginShutdown() { server.beginGracefulShutdown() }
}
