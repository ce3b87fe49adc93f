// Traffic from the workload: from the original destination, through discovery, to an endpoint.
//
// Routes, splits, retries, time-outs and mesh TLS take their places between `OutboundDestination` and
// `Balancer`.

package import Logging
package import MeshTransport
import MeshWire
package import NIOCore
package import ProxyCore

/// The outbound side of the proxy.
package struct OutboundProxy: ProxySide {
    private let config: ProxyConfig
    private let group: any EventLoopGroup
    private let loops: LoopLocal<OutboundLoop>

    /// - Parameters:
    ///   - discovery: `nil` forwards everything to where it was going.
    ///   - originalDestination: how to find where a connection was going.
    package init(
        config: ProxyConfig, group: any EventLoopGroup, proxyLoops: LoopLocal<ProxyLoop>,
        discovery: (any DestinationSource)?, originalDestination: @escaping OriginalDestinationSource,
        logger: Logger
    ) async throws {
        self.config = config
        self.group = group
        loops = try await LoopLocal.make(on: group) { loop in
            OutboundLoop(
                config: config, proxy: proxyLoops.value(on: loop) ?? ProxyLoop(loop: loop),
                discovery: discovery,
                originalDestination: originalDestination, logger: logger)
        }
    }

    package func listen() async throws -> [Listener] {
        try await loops.listen(on: config.outbound, group: group)
    }
}

/// Outbound on one event loop.
final class OutboundLoop: ConnectionLoop {
    private let settings: OutboundSettings
    private let proxy: ProxyLoop
    private let discovery: (any DestinationSource)?
    private let originalDestination: OriginalDestinationSource
    private let logger: Logger
    private let allowsLoopback: Bool
    private let isIngress: Bool
    private let inFlight: InFlightLimit
    private var destinations: [SocketAddress: OutboundDestination] = [:]
    private var named: [String: OutboundDestination] = [:]
    private var isSweeping = false
    private var openCount = 0

    init(
        config: ProxyConfig, proxy: ProxyLoop, discovery: (any DestinationSource)?,
        originalDestination: @escaping OriginalDestinationSource, logger: Logger
    ) {
        settings = OutboundSettings(config, logger: logger)
        inFlight = InFlightLimit(max: config.outbound.inFlightMax, loopCount: config.coreCount)
        self.proxy = proxy
        self.discovery = discovery
        self.originalDestination = originalDestination
        self.logger = logger
        allowsLoopback = config.allowsOutboundLoopback
        isIngress = config.isIngress
    }

    /// Sets up an accepted connection, or throws to have it closed.
    func serve(_ channel: any Channel) throws {
        guard let address = originalDestination(channel) else {
            logger.debug("Connection without original destination dropped")
            throw ProxyError(.unexpected, "no original destination")
        }
        // Nothing is redirected from loopback: such a destination is this proxy, or a mistake.
        if address.isLoopback, !allowsLoopback {
            throw ProxyError(.loop, "Outbound proxy cannot initiate connections on the loopback interface")
        }
        guard openCount < settings.side.connectionsMax else {
            let error = ProxyError(.loadShed, "too many connections")
            let labels = "\(SeriesLabels.target(address)),error=\"\(error.kind.response.metricLabel)\""
            proxy.metrics.counter(.outboundTCPErrors, labels: labels).increment()
            throw error
        }
        openCount += 1
        channel.closeFuture.assumeIsolated().whenComplete { [self] _ in openCount -= 1 }
        let destination = destination(for: address)
        destination.connectionOpened()
        channel.closeFuture.assumeIsolated().whenComplete { _ in destination.connectionClosed() }
        guard let resolved = destination.whenResolved() else { return try start(channel, destination) }
        // Whether bytes may be looked at is not known yet.
        try channel.syncOptions?.setOption(.autoRead, value: false)
        resolved.assumeIsolated().whenComplete { [self] result in
            do {
                try result.get()
                try start(channel, destination)
                try channel.syncOptions?.setOption(.autoRead, value: true)
            } catch {
                destination.count(
                    error as? ProxyError ?? ProxyError(.unexpected, "closed"), .outboundTCPErrors)
                channel.close(promise: nil)
            }
        }
    }

    private func start(_ channel: any Channel, _ destination: OutboundDestination) throws {
        let plan = OutboundPlan(
            destination: destination, settings: settings, inFlight: inFlight, ingress: isIngress ? self : nil)
        destination.count(.outboundProtocols, "protocol", plan.isOpaque ? "opaq" : "detect")
        try AcceptedConnection.serve(channel, plan: plan, limits: settings.side.http2, drain: proxy.drain)
    }

    private func destination(for address: SocketAddress) -> OutboundDestination {
        if let known = destinations[address] { return known }
        let made = OutboundDestination(
            .address(address), loop: proxy, settings: settings, discovery: discovery)
        destinations[address] = made
        sweepLater()
        return made
    }

    /// The destination that an ingress names for one request, apart from where its connection was going.
    func destination(named authority: Authority) -> OutboundDestination {
        let path = authority.path(defaultPort: 80)
        if let known = named[path] { return known }
        let made = OutboundDestination(
            .name(authority), loop: proxy, settings: settings, discovery: discovery)
        named[path] = made
        sweepLater()
        return made
    }

    private func sweepLater() {
        guard !isSweeping else { return }
        isSweeping = true
        proxy.loop.assumeIsolated().scheduleTask(in: settings.side.idleTimeout) { [self] in
            isSweeping = false
            let oldest = NIODeadline.now() - settings.side.idleTimeout
            for (address, destination) in destinations {
                guard let since = destination.idleSince, since <= oldest else { continue }
                destinations[address] = nil
                destination.retire()
            }
            for (path, destination) in named {
                guard let since = destination.idleSince, since <= oldest else { continue }
                named[path] = nil
                destination.retire()
            }
            if !destinations.isEmpty || !named.isEmpty { sweepLater() }
        }
    }
}

/// One accepted outbound connection: plan and stack in one.
final class OutboundPlan: ConnectionPlan, RequestStack {
    let inFlight: InFlightLimit?
    private let destination: OutboundDestination
    private let settings: OutboundSettings
    /// Where destinations by name are found, for an ingress; its requests go where they say, each by itself.
    private let ingress: OutboundLoop?
    // The last name that a request gave: most connections use one for ever.
    private var knownName = ""
    private var knownDestination: OutboundDestination?

    init(
        destination: OutboundDestination, settings: OutboundSettings, inFlight: InFlightLimit?, ingress: OutboundLoop?
    ) {
        self.destination = destination
        self.settings = settings
        self.inFlight = inFlight
        self.ingress = ingress
    }

    var transport: TransportMetrics { destination.source }
    var stack: any RequestStack { self }
    var direction: Direction { .outbound }
    // An ingress speaks HTTP wherever its connections go.
    var isOpaque: Bool { ingress == nil && destination.isOpaque }
    var requestName: RequestName { ingress == nil ? .authority : .override }
    var detectTimeout: TimeAmount { settings.side.detectTimeout }
    var emitsInformationalHeaders: Bool { settings.emitsHeaders }
    var taps: LoopTaps { destination.taps }
    // The application speaks plainly to its own proxy.
    var tapLabels: [String: String] { ["tls": SeriesLabels.NoTLSReason.loopback.rawValue] }

    func route(authority: String, isGRPC: Bool) -> RouteDecision {
        guard ingress != nil, !authority.isEmpty else { return destination.choose() }
        guard let named = destination(of: authority) else {
            return .reject(ProxyError(.malformedRequest, "invalid l5d-dst-override"))
        }
        named.used()
        return named.chooseWhenResolved()
    }

    func routes(authority: String) -> RouteTable? {
        destination(of: authority)?.routes
    }

    func reroute(authority: String, avoiding failed: EndpointHandle?) -> EndpointHandle? {
        destination(of: authority)?.chooseReady(avoiding: failed)
    }

    private func destination(of authority: String) -> OutboundDestination? {
        guard let ingress, !authority.isEmpty else { return destination }
        if authority == knownName, let knownDestination, !knownDestination.isRetired { return knownDestination }
        knownName = authority
        knownDestination = Authority(authority).map { ingress.destination(named: $0) }
        return knownDestination
    }

    func routeOpaque() -> RouteDecision { destination.choose() }

    func detected(_ result: DetectionResult) { destination.count(.outboundDetections, "result", result.rawValue) }
    func failed(with error: ProxyError) { destination.count(error, .outboundHTTPErrors) }
    func connectionFailed(with error: ProxyError) { destination.count(error, .outboundTCPErrors) }
}
