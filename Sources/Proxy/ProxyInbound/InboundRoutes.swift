// Routes of the names under which this workload is called, for the inbound `route_*` metrics. Asking discovery must
// not hold requests up: a name's first requests wait for its profile, but only for so long, and a name for which
// discovery has no answer is served without.

import Logging
import MeshWire
import NIOCore
import ProxyCore

/// The profiles of all names on one loop, and the bound on requests in flight.
final class InboundProfiles {
    /// Names asked about at a time; clients may use any, and requests under further ones have no routes.
    static let namesMax = 1_000

    let inFlight: InFlightLimit
    private let config: ProxyConfig
    private let loop: ProxyLoop
    private let discovery: (any DestinationSource)?
    private let logger: Logger
    private var names: [String: InboundRoutes] = [:]
    private var isSweeping = false

    init(config: ProxyConfig, loop: ProxyLoop, discovery: (any DestinationSource)?, logger: Logger) {
        inFlight = InFlightLimit(max: config.inbound.inFlightMax, loopCount: config.coreCount)
        self.config = config
        self.loop = loop
        self.discovery = discovery
        self.logger = logger
    }

    /// The routes of a name of the cluster, asked for if need be; `nil` for other names.
    func routes(named name: String) -> InboundRoutes? {
        guard let discovery, let authority = Authority(name), authority.isUnder(config.profileSuffixes) else {
            return nil
        }
        let path = authority.path(defaultPort: 80)
        if let known = names[path] { return known }
        guard names.count < Self.namesMax else { return nil }
        let made = InboundRoutes(
            name: authority, loop: loop, discovery: discovery, timeout: config.profileInitialTimeout,
            loopCount: config.coreCount, logger: logger)
        names[path] = made
        sweepLater()
        return made
    }

    private func sweepLater() {
        guard !isSweeping else { return }
        isSweeping = true
        loop.loop.assumeIsolated().scheduleTask(in: config.inbound.idleTimeout) { [self] in
            isSweeping = false
            for (path, routes) in names where !routes.takeUse() {
                names[path] = nil
                routes.retire()
            }
            if !names.isEmpty { sweepLater() }
        }
    }
}

/// The profile of one name. Bound to its loop.
final class InboundRoutes {
    private let name: String
    private let loop: ProxyLoop
    private let loopCount: Int
    private let logger: Logger
    /// `nil` when nobody wrote routes for the name, or discovery has not answered.
    private(set) var table: RouteTable?
    private var watch: (any Cancellable)?
    private var isSettled = false
    private var isUsed = true
    /// The watch has ended: another must be made for new requests.
    private(set) var isRetired = false
    private var waiting: [EventLoopPromise<Void>] = []

    /// - Parameter timeout: how long requests wait for the first answer.
    init(
        name: Authority, loop: ProxyLoop, discovery: any DestinationSource, timeout: TimeAmount, loopCount: Int,
        logger: Logger
    ) {
        self.name = name.path(defaultPort: 80)
        self.loop = loop
        self.loopCount = loopCount
        self.logger = logger
        let bound = NIOLoopBound(Weak(self), eventLoop: loop.loop)
        watch = discovery.watchProfile(path: self.name, on: loop.loop) { bound.value.routes?.take($0) }
        loop.loop.assumeIsolated().scheduleTask(in: timeout) { [weak self] in self?.settle() }
    }

    /// Completes when a request need not wait any longer; `nil` when it need not wait at all.
    func whenSettled() -> EventLoopFuture<Void>? {
        isUsed = true
        guard !isSettled else { return nil }
        let promise = loop.loop.makePromise(of: Void.self)
        waiting.append(promise)
        return promise.futureResult
    }

    /// Whether a request came since this was last asked.
    func takeUse() -> Bool {
        defer { isUsed = false }
        return isUsed
    }

    /// Ends the watch.
    func retire() {
        isRetired = true
        watch?.cancel()
        watch = nil
        settle()
    }

    private func take(_ update: ProfileUpdate) {
        if case .profile(let profile) = update {
            table =
                profile.routes.isEmpty
                ? nil
                : RouteTable(
                    profile, name: name, direction: .inbound, metrics: loop.metrics, loopCount: loopCount,
                    previous: table)
            for mistake in table?.mistakes ?? [] {
                logger.warning(
                    "Route ignored; its requests count as the next one's",
                    metadata: ["dst": "\(name)", "reason": "\(mistake)"])
            }
        }
        settle()
    }

    private func settle() {
        isSettled = true
        let waiting = waiting
        self.waiting = []
        for promise in waiting { promise.succeed(()) }
    }

    private final class Weak {
        weak var routes: InboundRoutes?
        init(_ routes: InboundRoutes) { self.routes = routes }
    }
}
