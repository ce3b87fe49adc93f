// One original destination on one event loop: what discovery says about it, and where its traffic goes.

import Logging
import MeshTransport
import MeshWire
import NIOCore
import ProxyCore

/// One original destination. Bound to its loop, shared by its connections.
final class OutboundDestination {
    /// Where its traffic goes.
    private enum Route {
        case resolving
        /// One address, with or without metadata.
        case forward(EndpointHandle)
        case balance(Balancer)
    }

    let address: SocketAddress
    /// Sockets accepted from the application for this destination.
    let source: TransportMetrics
    /// Skip detection.
    private(set) var isOpaque = false
    /// When the last connection closed; `nil` while one is open.
    private(set) var idleSince: NIODeadline? = .now()

    private let loop: ProxyLoop
    private let settings: OutboundSettings
    private let discovery: (any DestinationSource)?
    private var route: Route = .resolving
    private var profile: DestinationProfile?
    private var profileWatch: (any Cancellable)?
    private var endpointsWatch: (any Cancellable)?
    private var resolved: [EventLoopPromise<Void>] = []
    private var openCount = 0

    init(
        address: SocketAddress, loop: ProxyLoop, settings: OutboundSettings,
        discovery: (any DestinationSource)?
    ) {
        self.address = address
        self.loop = loop
        self.settings = settings
        self.discovery = discovery
        source = loop.metrics.transport(
            labels: "direction=\"outbound\",peer=\"src\",\(SeriesLabels.target(address)),"
                + SeriesLabels.noTLS(.loopback))
        start()
    }

    // MARK: Connections

    func connectionOpened() {
        openCount += 1
        idleSince = nil
    }

    func connectionClosed() {
        openCount -= 1
        if openCount == 0 { idleSince = .now() }
    }

    /// Completes when it is known what the destination is; fails fast with a `ProxyError`. `nil` when it is
    /// known.
    func whenResolved() -> EventLoopFuture<Void>? {
        guard case .resolving = route else { return nil }
        let promise = loop.loop.makePromise(of: Void.self)
        guard resolved.count < settings.side.queueMax else {
            promise.fail(ProxyError(.loadShed, "service unavailable"))
            return promise.futureResult
        }
        resolved.append(promise)
        // A promise completes once; failing a resolved one would be an error, so the list decides.
        loop.loop.assumeIsolated().scheduleTask(in: settings.side.failFastTimeout) { [weak self] in
            self?.giveUp(promise)
        }
        return promise.futureResult
    }

    /// Chooses an endpoint for one request, or for one opaque connection.
    func choose() -> RouteDecision {
        switch route {
        case .forward(let endpoint): return .forward(endpoint)
        case .balance(let balancer): return balancer.choose()
        case .resolving: return .reject(ProxyError(.failFast, "TCP Server service in fail-fast"))
        }
    }

    /// The destination was not used for long: watches end, pooled connections close.
    func retire() {
        profileWatch?.cancel()
        profileWatch = nil
        retireRoute()
        route = .resolving
    }

    func count(_ error: ProxyError, _ family: CounterFamily) {
        let label = "error=\"\(error.kind.response.metricLabel)\""
        let labels = family == .outboundTCPErrors ? "\(SeriesLabels.target(address)),\(label)" : label
        loop.metrics.counter(family, labels: labels).increment()
    }

    // MARK: Discovery

    private func start() {
        guard let discovery, settings.networks.contains(where: { $0.contains(address) }) else {
            return forwardPlainly()
        }
        let bound = NIOLoopBound(Weak(self), eventLoop: loop.loop)
        profileWatch = discovery.watchProfile(path: address.endpointText, on: loop.loop) { update in
            bound.value.destination?.take(update)
        }
    }

    private func take(_ update: ProfileUpdate) {
        switch update {
        case .rejected: forwardPlainly()
        case .profile(let next):
            isOpaque = next.isOpaque
            if let known = profile, known.endpoint == next.endpoint,
                known.fullyQualifiedName == next.fullyQualifiedName
            {
                profile = next
                return
            }
            profile = next
            follow(next)
        }
    }

    private func follow(_ profile: DestinationProfile) {
        if let endpoint = profile.endpoint {
            let handle = settings.endpoint(endpoint, name: DestinationName(authority: nil), loop: loop)
            settle(.forward(handle))
        } else if let host = profile.fullyQualifiedName, !host.isEmpty, let discovery,
            let port = UInt16(exactly: address.port ?? 0)
        {
            let bare = host.hasSuffix(".") ? String(host.dropLast()) : host
            let authority = Authority(host: bare.lowercased(), port: port)
            let name = DestinationName(authority: authority)
            let balancer = Balancer(name: name, loop: loop, config: settings)
            settle(.balance(balancer))
            let bound = NIOLoopBound(WeakBalancer(balancer), eventLoop: loop.loop)
            endpointsWatch = discovery.watchEndpoints(path: authority.path(defaultPort: port), on: loop.loop)
            {
                bound.value.balancer?.update($0)
            }
        } else {
            forwardPlainly()
        }
    }

    /// No profile: bytes go where the application sent them.
    private func forwardPlainly() {
        let endpoint = DiscoveredEndpoint(address: address)
        settle(.forward(settings.endpoint(endpoint, name: DestinationName(authority: nil), loop: loop)))
    }

    private func settle(_ next: Route) {
        retireRoute()
        route = next
        let waiting = resolved
        resolved = []
        for promise in waiting { promise.succeed(()) }
    }

    private func retireRoute() {
        endpointsWatch?.cancel()
        endpointsWatch = nil
        switch route {
        case .forward(let endpoint): endpoint.retire()
        case .balance(let balancer): balancer.retire()
        case .resolving: break
        }
    }

    private func giveUp(_ promise: EventLoopPromise<Void>) {
        guard let index = resolved.firstIndex(where: { $0.futureResult === promise.futureResult }) else {
            return
        }
        resolved.remove(at: index)
        promise.fail(ProxyError(.failFast, "TCP Server service in fail-fast"))
    }

    private final class Weak {
        weak var destination: OutboundDestination?
        init(_ destination: OutboundDestination) { self.destination = destination }
    }

    private final class WeakBalancer {
        weak var balancer: Balancer?
        init(_ balancer: Balancer) { self.balancer = balancer }
    }
}
