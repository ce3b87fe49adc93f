// The three servers of the demo as lifecycle services: run until told to stop, finish what is in flight.

package import GRPCCore
import GRPCNIOTransportHTTP2Posix
import HTTPTypes
import Hummingbird
package import Logging
import NIOCore
package import ServiceLifecycle

/// Told once with the port that a server listens on; tests use port 0.
package typealias PortReport = @Sendable (Int) async -> Void

/// A gRPC server of some demo services.
package struct GRPCBackend: Service {
    private let services: [any RegistrableRPCService]
    private let port: Int
    private let onListening: PortReport

    /// Serves `services` on every IPv4 address at `port`.
    package init(
        services: [any RegistrableRPCService], port: Int, onListening: @escaping PortReport = { _ in }
    ) {
        self.services = services
        self.port = port
        self.onListening = onListening
    }

    package func run() async throws {
        let config = HTTP2ServerTransport.Posix.Config.defaults { config in
            // Proxies in front of us ping idle connections every ten seconds; the default calls that abuse.
            config.connection.keepalive.clientBehavior = .init(
                minPingIntervalWithoutCalls: .seconds(1), allowWithoutCalls: true)
        }
        let server = GRPCServer(
            transport: .http2NIOPosix(
                address: .ipv4(host: "0.0.0.0", port: port), transportSecurity: .plaintext, config: config),
            services: services)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await withGracefulShutdownHandler {
                    try await server.serve()
                } onGracefulShutdown: {
                    server.beginGracefulShutdown()
                }
            }
            if let port = try await server.listeningAddress?.ipv4?.port { await onListening(port) }
            try await group.waitForAll()
        }
    }
}

/// Keeps a gRPC client's connections for as long as the program runs.
struct GRPCClientService: Service {
    let client: GRPCClient<BackendClient.Transport>

    func run() async throws {
        // The server in front has stopped by now, so no call is cut off. The client's own graceful shutdown
        // would wait for ever while a name does not resolve.
        try await cancelWhenGracefulShutdown { try await client.runConnections() }
    }
}

/// The demo's programs as groups of services.
package enum DemoServers {
    /// `emojivoto emoji`: the catalogue and its metrics.
    package static func emoji(
        _ config: BackendConfig, logger: Logger, onGRPC: @escaping PortReport = { _ in },
        onMetrics: @escaping PortReport = { _ in }
    ) -> [any Service] {
        let metrics = DemoMetrics()
        return [
            GRPCBackend(
                services: [EmojiService(metrics: metrics)], port: config.grpcPort, onListening: onGRPC),
            metricsServer(metrics, port: config.metricsPort, logger: logger, onListening: onMetrics),
        ]
    }

    /// `emojivoto voting`: the poll and its metrics.
    package static func voting(
        _ config: BackendConfig, logger: Logger, onGRPC: @escaping PortReport = { _ in },
        onMetrics: @escaping PortReport = { _ in }
    ) -> [any Service] {
        let metrics = DemoMetrics()
        let service = VotingService(
            poll: Poll(), metrics: metrics, failureRate: config.failureRate,
            artificialDelay: config.artificialDelay, randomUnit: { Double.random(in: 0..<1) })
        return [
            GRPCBackend(services: [service], port: config.grpcPort, onListening: onGRPC),
            metricsServer(metrics, port: config.metricsPort, logger: logger, onListening: onMetrics),
        ]
    }

    /// `emojivoto web`: the page and its JSON API. The clients stop after the server, hence their place.
    package static func web(
        _ config: WebConfig, logger: Logger, onListening: @escaping PortReport = { _ in }
    ) throws -> [any Service] {
        let emoji = try BackendClient(service: DemoService.emoji, at: config.emoji)
        let voting = try BackendClient(service: DemoService.voting, at: config.voting)
        let application = Application(
            router: WebAPI(emoji: emoji, voting: voting, logger: logger).router(),
            configuration: .init(address: .hostname("0.0.0.0", port: config.port), serverName: "emojivoto"),
            onServerRunning: { await onListening($0.localAddress?.port ?? 0) }, logger: logger)
        return [
            GRPCClientService(client: emoji.client), GRPCClientService(client: voting.client), application,
        ]
    }

    private static func metricsServer(
        _ metrics: DemoMetrics, port: Int, logger: Logger, onListening: @escaping PortReport
    ) -> any Service {
        let router = Router()
        router.get("/metrics") { _, _ in
            Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: metrics.exposition())))
        }
        return Application(
            router: router, configuration: .init(address: .hostname("0.0.0.0", port: port)),
            onServerRunning: { await onListening($0.localAddress?.port ?? 0) }, logger: logger)
    }
}
