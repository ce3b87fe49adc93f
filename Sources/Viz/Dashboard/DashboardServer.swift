import Foundation
package import Hummingbird
import HummingbirdCore
public import Logging
import MeshModel

/// The dashboard: pages for people, JSON for scripts, live views for both.
public struct DashboardServer: Sendable {
    private let config: DashboardConfig
    private let logger: Logger

    /// A server that is not listening yet.
    public init(config: DashboardConfig, logger: Logger) {
        self.config = config
        self.logger = logger
    }

    /// Serves until cancelled or shut down gracefully; live views end first, so that nothing hangs.
    public func run() async throws {
        let source = try GRPCStatSource(address: config.metricsAPIAddress)
        let taps = config.tapAddress.isEmpty ? nil : try GRPCTapSource(address: config.tapAddress)
        let application = try Self.application(
            config: config, source: source, taps: taps, assets: loadAssets(), logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await source.run() }
            group.addTask { try await application.run() }
            // The first to end takes the other along: neither is of use alone.
            try await group.next()
            group.cancelAll()
        }
    }

    /// The HTTP application over any source of numbers.
    /// - Parameter taps: where live requests come from; `nil` turns them off.
    package static func application(
        config: DashboardConfig, source: any StatSource, taps: (any TapSource)?, assets: AssetStore, logger: Logger
    ) throws -> some ApplicationProtocol {
        let rules = try HostRules(enforcedHost: config.enforcedHost)
        let socket = taps.map { TapSocket(source: $0, logger: logger) }
        let composer = ViewComposer(source: source)
        let hub = LiveHub(composer: composer, period: config.livePeriod, logger: logger)
        let router = Router(context: BasicRequestContext.self)
        router.add(middleware: SecurityHeaders())
        router.add(middleware: ErrorsAsJSON())
        router.add(middleware: HostGuard(rules: rules))
        LinkerdRoutes(source: source).add(to: router)
        ViewRoutes(source: source, composer: composer, hub: hub).add(to: router)
        SampleRoutes(source: source, showsRequests: taps != nil).add(to: router)
        router.get("/api/**") { request, _ -> Response in
            throw DashboardError(.notFound, "there is no API at \(request.uri.path)")
        }
        router.get("/") { request, _ in Self.page(request, assets) }
        router.get("/**") { request, _ in Self.page(request, assets) }
        return Application(
            router: router,
            server: HTTPServerBuilder { DashboardChannel(responder: $0, rules: rules, socket: socket) },
            configuration: .init(
                address: .hostname(config.host, port: config.port), serverName: "linkerd-viz"),
            services: [hub], logger: logger)
    }

    /// The file at the path; any other path is a route of the browser and gets the page that knows it.
    private static func page(_ request: Request, _ assets: AssetStore) -> Response {
        let path = request.uri.path
        if let asset = assets[path] { return .asset(asset, for: request) }
        if path.hasPrefix("/assets/") { return .text(.notFound, "There is no such file in this build.\n") }
        if let index = assets.index { return .asset(index, for: request) }
        return .text(
            .serviceUnavailable,
            "The dashboard's pages are not built. Run deploy/build-web and start again.\n"
        )
    }

    private func loadAssets() -> AssetStore {
        let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        guard let directory = config.assetsDirectory ?? AssetStore.locate(executable: executable) else {
            logger.warning("Dashboard pages not found", metadata: ["executable": "\(executable)"])
            return .empty
        }
        do {
            return try AssetStore(directory: directory)
        } catch {
            logger.warning(
                "Dashboard pages not readable", metadata: ["directory": "\(directory)", "error": "\(error)"])
            return .empty
        }
    }
}
