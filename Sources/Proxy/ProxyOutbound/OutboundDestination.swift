// One destination on one event loop: what discovery says about it, and where its traffic goes. It is known by the
// address to which the application connected, or, in ingress mode, by the name that a request gives.

import Logging
import MeshTransport
import MeshWire
import NIOCore
import ProxyCore

/// One destination. Bound to its loop, shared by its connections.
final class OutboundDestination {
    /// What discovery is asked about.
    enum Key {
        case address(SocketAddress)
        case name(Authority)

        /// The port that endpoints of a Service are asked for.
        var port: UInt16 {
            switch self {
            case .address(let address): UInt16(exactly: address.port ?? 0) ?? 0
            case .name(let name): name.port ?? 80
            }
        }

        /// Labels of the sockets that are going there.
        var labels: String {
            switch self {
            case .address(let address): SeriesLabels.target(address)
            case .name(let name): "target_addr=\"\(name.path(defaultPort: 80))\",target_ip=\"\",target_port=\"\(port)\""
            }
        }
    }

    /// Where its traffic goes.
    private enum Route {
        case resolving
        /// One address, with or without metadata.
        case forward(EndpointHandle)
        case balance(LogicalDestination)
        /// A name that means nothing to discovery.
        case refused(ProxyError)
    }

    let key: Key
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
    private var resolved: [EventLoopPromise<Void>] = []
    private var openCount = 0
    /// Its watches have ended: another must be made for new requests.
    private(set) var isRetired = false

    init(
        _ key: Key, loop: ProxyLoop, settings: OutboundSettings,
        discovery: (any DestinationSource)?
    ) {
        self.key = key
        self.loop = loop
        self.settings = settings
        self.discovery = discovery
        source = loop.metrics.transport(
            labels: "direction=\"outbound\",peer=\"src\",\(key.labels),"
                + SeriesLabels.noTLS(.loopback))
        start()
    }

    /// Who taps the requests of this loop.
    var taps: LoopTaps { loop.taps }

    // MARK: Connections

    func connectionOpened() {
        openCount += 1
        idleSince = nil
    }

    func connectionClosed() {
        openCount -= 1
        if openCount == 0 { idleSince = .now() }
    }

    /// A request named it.
    func used() { if openCount == 0 { idleSince = .now() } }

    /// Completes when it is known what the destination is; fails fast with a `ProxyError`. `nil` when it is
    /// known.
    func whenResolved() -> EventLoopFuture<Void>? {
        guard case .resolving = route else { return nil }
        let promise = loop.loop.makePromise(of: Void.self)
        guard resolved.count < settings.side.tcpQueueMax else {
            promise.fail(ProxyError(.loadShed, "service unavailable"))
            return promise.futureResult
        }
        resolved.append(promise)
        // A promise completes once; failing a resolved one would be an error, so the list decides.
        loop.loop.assumeIsolated().scheduleTask(in: settings.side.tcpFailFastTimeout) { [weak self] in
            self?.giveUp(promise)
        }
        return promise.futureResult
    }

    /// Chooses an endpoint for one request, or for one opaque connection.
    func choose() -> RouteDecision {
        switch route {
        case .forward(let endpoint): return .forward(endpoint)
        case .balance(let logical): return logical.choose()
        case .refused(let error): return .reject(error)
        case .resolving: return .reject(ProxyError(.failFast, "TCP Server service in fail-fast"))
        }
    }

    /// The same for a request that may come before discovery has answered.
    func chooseWhenResolved() -> RouteDecision {
        guard let resolved = whenResolved() else { return choose() }
        let promise = loop.loop.makePromise(of: EndpointHandle.self)
        resolved.assumeIsolated().whenComplete { [self] result in
            if case .failure(let error) = result { return promise.fail(error) }
            switch choose() {
            case .forward(let endpoint): promise.assumeIsolated().succeed(endpoint)
            case .reject(let error): promise.fail(error)
            case .pending(let chosen):
                chosen.assumeIsolated().whenComplete { result in promise.assumeIsolated().completeWith(result) }
            }
        }
        return .pending(promise.futureResult)
    }

    /// An endpoint that is ready now, for a request that is sent again.
    func chooseReady(avoiding failed: EndpointHandle?) -> EndpointHandle? {
        switch route {
        case .forward(let endpoint): endpoint.isReady && endpoint !== failed ? endpoint : nil
        case .balance(let logical): logical.chooseReady(avoiding: failed)
        case .resolving, .refused: nil
        }
    }

    /// `nil` when nobody wrote routes for it.
    var routes: RouteTable? {
        guard case .balance(let logical) = route else { return nil }
        return logical.routes
    }

    /// The destination was not used for long: watches end, pooled connections close.
    func retire() {
        isRetired = true
        profileWatch?.cancel()
        profileWatch = nil
        retireRoute()
        route = .resolving
    }

    func count(_ error: ProxyError, _ family: CounterFamily) {
        let label = "error=\"\(error.kind.response.metricLabel)\""
        let labels = family == .outboundTCPErrors ? "\(key.labels),\(label)" : label
        loop.metrics.counter(family, labels: labels).increment()
    }

    /// Counts something under what the destination is part of.
    func count(_ family: CounterFamily, _ label: String, _ value: String) {
        loop.metrics.counter(family, labels: "\(label)=\"\(value)\",\(parentLabels)").increment()
    }

    /// `parent_*`: the object that discovery names, or what stands for it where it names none.
    private var parentLabels: String {
        let parent =
            profile?.parent
            ?? ResourceReference(
                group: "", kind: "default", namespace: "", name: profile?.endpoint == nil ? "fallback" : "endpoint")
        return SeriesLabels.parent(parent)
    }

    // MARK: Discovery

    private func start() {
        let path: String
        switch key {
        case .address(let address):
            guard settings.networks.contains(where: { $0.contains(address) }) else { return forwardPlainly() }
            path = address.endpointText
        case .name(let name): path = name.path(defaultPort: 80)
        }
        guard let discovery else { return forwardPlainly() }
        let bound = NIOLoopBound(Weak(self), eventLoop: loop.loop)
        profileWatch = discovery.watchProfile(path: path, on: loop.loop) { update in
            bound.value.destination?.take(update)
        }
    }

    private func take(_ update: ProfileUpdate) {
        switch update {
        case .rejected: forwardPlainly()
        case .profile(let next):
            isOpaque = next.isOpaque
            let known = profile
            profile = next
            if let known, known.endpoint == next.endpoint, known.fullyQualifiedName == next.fullyQualifiedName {
                if case .balance(let logical) = route, known != next { logical.update(next) }
                return
            }
            follow(next)
        }
    }

    private func follow(_ profile: DestinationProfile) {
        if let endpoint = profile.endpoint {
            let handle = settings.endpoint(endpoint, name: DestinationName(authority: nil), loop: loop)
            settle(.forward(handle))
        } else if let host = profile.fullyQualifiedName, !host.isEmpty, let discovery {
            let bare = host.hasSuffix(".") ? String(host.dropLast()) : host
            let authority = Authority(host: bare.lowercased(), port: key.port)
            let name = DestinationName(authority: authority)
            settle(
                .balance(
                    LogicalDestination(
                        name: name, profile: profile, loop: loop, settings: settings, discovery: discovery)))
        } else {
            forwardPlainly()
        }
    }

    /// No profile: bytes go where the application sent them.
    private func forwardPlainly() {
        guard case .address(let address) = key else {
            // There is no address to fall back on: whoever gave the name must learn that it is none.
            return settle(.refused(ProxyError(.unexpected, "no profile for l5d-dst-override")))
        }
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
        switch route {
        case .forward(let endpoint): endpoint.retire()
        case .balance(let logical): logical.retire()
        case .resolving, .refused: break
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
}
