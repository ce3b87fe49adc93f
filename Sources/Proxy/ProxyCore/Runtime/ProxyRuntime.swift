// Starts and ends the proxy: loops, listeners, admin, drain.

package import Logging
import MeshTransport
import MeshWire
package import NIOCore
import Synchronization

/// One proxy process, or one proxy of several in a test.
package final class ProxyRuntime: Sendable {
    private struct State {
        var listeners: [Listener] = []
        var admin: Listener?
        var loops: LoopLocal<ProxyLoop>?
        var isReady = false
        var isDraining = false
    }

    private let config: ProxyConfig
    private let group: any EventLoopGroup
    private let adminGroup: any EventLoopGroup
    private let environment: [String: String]
    private let logFilter: LogFilter
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameters:
    ///   - group: the data plane's loops.
    ///   - adminGroup: one loop for probes and scrapes.
    package init(
        config: ProxyConfig, group: any EventLoopGroup, adminGroup: any EventLoopGroup,
        environment: [String: String], logFilter: LogFilter, logger: Logger
    ) {
        self.config = config
        self.group = group
        self.adminGroup = adminGroup
        self.environment = environment
        self.logFilter = logFilter
        self.logger = logger
    }

    /// Starts the admin port, then the sides that `build` makes; ready when all listen.
    package func start(
        _ build: @Sendable (LoopLocal<ProxyLoop>) async throws -> [any ProxySide]
    ) async throws {
        let loops = try await LoopLocal.make(on: group) { ProxyLoop(loop: $0) }
        let metrics = MetricsRegistry(loops: loops, retainIdle: config.metricsRetainIdle)
        let admin = try await AdminServer.bind(
            config.adminAddress, loops: adminGroup, state: adminState(metrics)
        ).get()
        state.withLock {
            $0.loops = loops
            $0.admin = admin
        }
        logger.info("Admin interface", metadata: ["addr": "\(admin.address.endpointText)"])
        var listeners: [Listener] = []
        for side in try await build(loops) { listeners += try await side.listen() }
        for listener in listeners {
            logger.info("Listening", metadata: ["addr": "\(listener.address.endpointText)"])
        }
        state.withLock {
            $0.listeners = listeners
            $0.isReady = true
        }
    }

    /// Makes the client of the destination service; `nil` when none is configured. It connects when first
    /// asked.
    ///
    /// Its one connection lives on the first of the data plane's loops, whose share of the metrics it uses.
    package func makeDiscovery(_ loops: LoopLocal<ProxyLoop>) async throws -> (any DestinationSource)? {
        guard let name = config.destinationAddress, let port = name.port else { return nil }
        let isAddress = SocketAddress.numeric(name.host, port: 0) != nil
        // A trailing dot spares a name the resolver's search list.
        let host = isAddress || !name.host.contains(".") ? name.host : name.host + "."
        let settings = GRPCSettings(host: host, port: Int(port), connect: config.outbound.endpoint.connect)
        let isLoopback = name.host == "localhost" || name.host.hasPrefix("127.")
        let reason = SeriesLabels.noTLS(isLoopback ? .loopback : .notProvidedByServiceDiscovery)
        let labels = "addr=\"\(name.host):\(port)\",\(reason)"
        let loop = group.next()
        return try await DestinationClient.make(
            settings: settings, contextToken: config.destinationContext, loop: loop, logger: logger,
            metrics: { loops.value(on: loop)?.metrics.requests(labels: labels, scope: .control) }
        ).get()
    }

    /// Where the listeners are bound, in the order of the sides; ports are real even when 0 was asked for.
    package var addresses: [SocketAddress] { state.withLock { $0.listeners.map(\.address) } }
    /// Where the admin port is bound.
    package var adminAddress: SocketAddress? { state.withLock { $0.admin?.address } }

    /// Whether probes should say so: everything listens and no drain has begun.
    package var isReady: Bool { state.withLock { $0.isReady && !$0.isDraining } }

    /// Withdraws readiness, accepts for a moment longer, stops accepting, lets what runs finish within the
    /// grace period, and closes the admin port last, so that the final numbers can still be scraped.
    package func drain() async {
        let (listeners, admin, loops) = state.withLock { state in
            state.isDraining = true
            return (state.listeners, state.admin, state.loops)
        }
        // Clients learn from discovery that this pod is going, and that takes a moment: whoever still
        // connects is served, or the last requests before the news would fail.
        await finish(adminGroup.next().scheduleTask(in: config.shutdownAcceptGrace) {}.futureResult)
        // Every loop knows before the listeners close, so that what is accepted in between is drained as well.
        let drained = await beginDrain(loops)
        for listener in listeners { await finish(listener.close()) }
        let grace = adminGroup.next().makePromise(of: Void.self)
        let timer = adminGroup.next().scheduleTask(in: config.shutdownGrace) { [logger] in
            logger.warning("Grace period over with connections open")
            grace.succeed(())
        }
        EventLoopFuture.andAllComplete(drained, on: adminGroup.next()).whenComplete { _ in
            timer.cancel()
            grace.succeed(())
        }
        await finish(grace.futureResult)
        if let admin { await finish(admin.close()) }
    }

    /// Tells every loop; the futures complete as their last connections close.
    private func beginDrain(_ loops: LoopLocal<ProxyLoop>?) async -> [EventLoopFuture<Void>] {
        do {
            return try await loops?.map { $0.drain.beginDrain() } ?? []
        } catch {
            logger.debug("Draining failed", metadata: ["error": "\(error)"])
            return []  // The loops are gone, and their connections with them.
        }
    }

    /// Waits for something whose failure changes nothing: the process is ending.
    private func finish(_ future: EventLoopFuture<Void>) async {
        do {
            try await future.get()
        } catch {
            logger.debug("Closing failed", metadata: ["error": "\(error)"])
        }
    }

    private func adminState(_ metrics: MetricsRegistry) -> AdminState {
        let logFilter = logFilter
        return AdminState(
            metrics: metrics, isReady: { [self] in isReady }, logFilter: { logFilter.text },
            setLogFilter: { logFilter.set($0) }, shutdown: { SignalWaiter.requestTermination() },
            isShutdownEnabled: config.isShutdownEndpointEnabled, environment: environment)
    }
}
