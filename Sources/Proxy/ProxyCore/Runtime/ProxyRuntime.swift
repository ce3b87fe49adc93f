// Starts and ends the proxy: loops, listeners, admin, drain.

package import Logging
import MeshTLS
import MeshTransport
import MeshWire
package import NIOCore
import Synchronization

/// One proxy process, or one proxy of several in a test.
package final class ProxyRuntime: Sendable {
    private struct State {
        var listeners: [Listener] = []
        var admin: Listener?
        var tap: Listener?
        var loops: LoopLocal<ProxyLoop>?
        var identityClient: NIOLoopBound<IdentityClient>?
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
    /// Writes the access log; `nil` when there is none.
    private let accessLines: LineWriter?
    private let identityStatus = IdentityStatus()
    /// Who this proxy is, from the start; certified later.
    private let identity: ProxyIdentity?

    /// - Parameters:
    ///   - group: the data plane's loops.
    ///   - adminGroup: one loop for probes and scrapes.
    ///   - accessLines: where an access log goes instead of standard error.
    package init(
        config: ProxyConfig, group: any EventLoopGroup, adminGroup: any EventLoopGroup,
        environment: [String: String], logFilter: LogFilter, logger: Logger, accessLines: LineWriter? = nil
    ) {
        self.accessLines = accessLines ?? (config.accessLog == nil ? nil : LineWriter())
        self.config = config
        self.group = group
        self.adminGroup = adminGroup
        self.environment = environment
        self.logFilter = logFilter
        self.logger = logger
        identity = config.identity.map {
            ProxyIdentity(localName: $0.localName, serverName: $0.serverName, contexts: TLSContextCell())
        }
    }

    /// Starts the admin port, then the sides that `build` makes. Their sockets are bound at once; what connects
    /// waits until there is a certificate, and then the proxy is ready.
    package func start(
        _ build: @Sendable (LoopLocal<ProxyLoop>) async throws -> [any ProxySide]
    ) async throws {
        let (identity, seriesMax, replayBytesMax) = (identity, config.metricsSeriesMax, config.replayBytesMax)
        let accessLog = makeAccessLog()
        let loops = try await LoopLocal.make(on: group) {
            let replays = ReplayBudget(bytesMax: replayBytesMax)
            let loop = ProxyLoop(loop: $0, identity: identity, seriesMax: seriesMax, replays: replays)
            loop.accessLog = accessLog
            return loop
        }
        let adminLoops = try await LoopLocal.make(on: adminGroup) {
            ProxyLoop(loop: $0, identity: identity, seriesMax: seriesMax)
        }
        let metrics = MetricsRegistry(
            [loops, adminLoops], retainIdle: config.metricsRetainIdle,
            identity: identity == nil ? nil : identityStatus, accessLines: accessLines)
        let admin = try await AdminServer.bind(
            config.adminAddress, loops: adminGroup, shards: adminLoops, state: adminState(metrics)
        ).get()
        state.withLock {
            $0.loops = loops
            $0.admin = admin
        }
        logger.info("Admin interface on \(admin.address.endpointText)")
        try await startTap(loops)
        var listeners: [Listener] = []
        // The lines that Linkerd's users look for, in its order and words.
        for (side, name) in zip(try await build(loops), ["Inbound", "Outbound"]) {
            let bound = try await side.listen()
            for listener in bound { logger.info("\(name) interface on \(listener.address.endpointText)") }
            listeners += bound
        }
        let bound = listeners
        state.withLock { $0.listeners = bound }
        if let identity, let config = config.identity {
            do {
                try await certify(identity, config, loops)
            } catch {
                // Told to end before it could begin.
                guard state.withLock({ $0.isDraining }) else { throw error }
                return
            }
        }
        for listener in listeners { try await listener.accept().get() }
        if let tap = state.withLock({ $0.tap }) { try await tap.accept().get() }
        state.withLock { $0.isReady = true }
    }

    private func makeAccessLog() -> AccessLog? {
        guard let format = config.accessLog, let accessLines else { return nil }
        return AccessLog(format) { accessLines.write($0) }
    }

    /// Waits for the first certificate.
    private func certify(
        _ identity: ProxyIdentity, _ config: IdentityConfig, _ loops: LoopLocal<ProxyLoop>
    ) async throws {
        logger.info("Local identity", metadata: ["id": "\(identity.localName)"])
        let request = try IdentityRequest.make(config)
        // The first answer comes to a client that cannot say yet who it is.
        let anonymous = try TLSContext.client(nil, anchors: config.trustAnchors)
        let contexts = identity.contexts
        var settings = grpcSettings(config.address)
        settings.tls = controlPlaneTLS(config.address, config.controllerName) {
            contexts.current?.client ?? anonymous
        }
        let labels = controlLabels(config.address, config.controllerName)
        let (loop, logger, status) = (group.next(), logger, identityStatus)
        let made = loop.submit { [settings] in
            let client = GRPCClient(
                settings: settings, loop: loop,
                metrics: loops.value(on: loop)?.metrics.requests(labels: labels, scope: .control),
                logger: logger)
            let identityClient = IdentityClient(
                config: config, request: request, client: client, contexts: contexts, status: status,
                logger: logger)
            return NIOLoopBound(identityClient, eventLoop: loop)
        }
        let client = try await made.get()
        state.withLock { $0.identityClient = client }
        try await loop.flatSubmit { client.value.start() }.get()
    }

    private func grpcSettings(_ address: Authority) -> GRPCSettings {
        // An address of IPv6 has brackets in an authority, and none where it is connected to.
        let bare = address.host.hasPrefix("[") ? String(address.host.dropFirst().dropLast()) : address.host
        let isAddress = SocketAddress.numeric(bare, port: 0) != nil
        // A trailing dot spares a name the resolver's search list.
        let host = isAddress || !bare.contains(".") ? bare : bare + "."
        return GRPCSettings(host: host, port: Int(address.port ?? 0), connect: config.outbound.endpoint.connect)
    }

    private func controlPlaneTLS(
        _ address: Authority, _ name: String, _ context: @escaping @Sendable () -> TLSContext?
    ) -> ControlPlaneTLS? {
        guard identity != nil, !address.isLoopback else { return nil }
        return ControlPlaneTLS(serverIdentity: name, context: context)
    }

    private func controlLabels(_ address: Authority, _ name: String) -> String {
        let tls =
            if identity == nil {
                SeriesLabels.tlsDisabled
            } else if address.isLoopback {
                SeriesLabels.noTLS(.loopback)
            } else {
                SeriesLabels.tls("server_id", name)
            }
        return "addr=\"\(address.path(defaultPort: 0))\",\(tls)"
    }

    /// Opens the tap port, if somebody may tap.
    private func startTap(_ loops: LoopLocal<ProxyLoop>) async throws {
        guard let name = config.tapServiceName else { return }
        let access: TapAccess =
            if let identity {
                .identity(name, contexts: identity.contexts, isLoopbackTrusted: config.trustsLoopbackTaps)
            } else {
                .anyone
            }
        let tap = try await TapServer.bind(
            config.tapAddress, loops: adminGroup, hub: TapHub(loops: loops), access: access, logger: logger
        ).get()
        state.withLock { $0.tap = tap }
        logger.info("Tap interface on \(tap.address.endpointText)")
    }

    /// Makes the client of the destination service; `nil` when none is configured. It connects when first
    /// asked.
    ///
    /// Its one connection lives on one of the data plane's loops, whose share of the metrics it uses.
    package func makeDiscovery(_ loops: LoopLocal<ProxyLoop>) async throws -> (any DestinationSource)? {
        guard let address = config.destinationAddress, address.port != nil else { return nil }
        var settings = grpcSettings(address)
        if let contexts = identity?.contexts {
            settings.tls = controlPlaneTLS(address, config.destinationName) { contexts.current?.client }
        }
        let labels = controlLabels(address, config.destinationName)
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

    /// Where the tap port is bound; `nil` when there is none.
    package var tapAddress: SocketAddress? { state.withLock { $0.tap?.address } }

    /// Whether probes should say so: everything listens and no drain has begun.
    package var isReady: Bool { state.withLock { $0.isReady && !$0.isDraining } }

    /// Withdraws readiness, accepts for a moment longer, stops accepting, lets what runs finish within the
    /// grace period, and closes the admin port last, so that the final numbers can still be scraped.
    package func drain() async {
        let (listeners, admin, tap, loops, identityClient) = state.withLock { state in
            state.isDraining = true
            return (state.listeners, state.admin, state.tap, state.loops, state.identityClient)
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
        identityClient?.eventLoop.execute { identityClient?.value.shutDown() }
        if let tap { await finish(tap.close()) }
        if let admin { await finish(admin.close()) }
        await accessLines?.close()
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
        AdminState(
            metrics: metrics, isReady: { [self] in isReady }, log: logFilter,
            shutdown: { SignalWaiter.requestTermination() },
            isShutdownEnabled: config.isShutdownEndpointEnabled, environment: environment, policy: config.policy)
    }
}
