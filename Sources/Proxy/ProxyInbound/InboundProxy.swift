// Traffic to the workload: from the original destination to the same address, counted and cleaned on the way.
//
// The application is dialled under the pod's own address, never 127.0.0.1, so what binds only to loopback is
// not reachable (`spec/proxy.md` 4.3). Policy and routes take their places in `serve`.

package import Logging
import MeshTLS
package import MeshTransport
import MeshWire
package import NIOCore
package import ProxyCore

/// The inbound side of the proxy.
package struct InboundProxy: ProxySide {
    private let config: ProxyConfig
    private let group: any EventLoopGroup
    private let loops: LoopLocal<InboundLoop>

    /// - Parameters:
    ///   - discovery: where the routes of this workload's names come from; `nil` counts by no routes.
    ///   - originalDestination: how to find where a connection was going.
    ///   - logger: for connections that are refused, at debug.
    package init(
        config: ProxyConfig, group: any EventLoopGroup, proxyLoops: LoopLocal<ProxyLoop>,
        discovery: (any DestinationSource)? = nil,
        originalDestination: @escaping OriginalDestinationSource, logger: Logger
    ) async throws {
        self.config = config
        self.group = group
        loops = try await LoopLocal.make(on: group) { loop in
            InboundLoop(
                config: config, proxy: proxyLoops.value(on: loop) ?? ProxyLoop(loop: loop), discovery: discovery,
                originalDestination: originalDestination, logger: logger)
        }
    }

    package func listen() async throws -> [Listener] {
        try await loops.listen(on: config.inbound, group: group)
    }
}

/// Inbound on one event loop.
final class InboundLoop: ConnectionLoop {
    let config: ProxyConfig
    let proxy: ProxyLoop
    private let originalDestination: OriginalDestinationSource
    let logger: Logger
    private var targets: [TargetKey: InboundTarget] = [:]
    private var passthroughNames: Set<String> = []
    private let profiles: InboundProfiles
    private var isSweeping = false
    private var openCount = 0
    private var policy: InboundPolicy

    /// Where, how it is reached, and as whom.
    private struct TargetKey: Hashable {
        let address: SocketAddress
        let tls: InboundTLS
        /// The authorization that lets the client in; `nil` when none does.
        let authorization: String?
    }

    /// Names of other people's TLS counted apart on one loop; further ones share the label `other`.
    static let passthroughNamesMax = 100

    init(
        config: ProxyConfig, proxy: ProxyLoop, discovery: (any DestinationSource)?,
        originalDestination: @escaping OriginalDestinationSource, logger: Logger
    ) {
        profiles = InboundProfiles(config: config, loop: proxy, discovery: discovery, logger: logger)
        self.config = config
        policy = config.policy
        policy.trustsLoopback = config.trustsInboundLoopback
        self.proxy = proxy
        self.originalDestination = originalDestination
        self.logger = logger
    }

    /// Sets up an accepted connection, or throws to have it closed.
    func serve(_ channel: any Channel) throws {
        guard let address = originalDestination(channel) else {
            logger.debug("Connection without original destination dropped")
            throw ProxyError(.unexpected, "no original destination")
        }
        try check(address)
        let client = channel.remoteAddress
        guard openCount < config.inbound.connectionsMax else {
            let error = ProxyError(.loadShed, "too many connections")
            target(address, .none(.noTLSFromRemote), client).countTCP(error)
            throw error
        }
        openCount += 1
        channel.closeFuture.assumeIsolated().whenComplete { [self] _ in openCount -= 1 }
        // A connection to the proxy's own port was dialled by another proxy, which says where it goes.
        guard address.port != channel.localAddress?.port else { return try serveDirect(channel, address) }
        guard !isOpaque(address) else { return try start(channel, target(address, .none(.portSkipped), client)) }
        guard let identity = proxy.identity else {
            return try start(channel, target(address, .none(.noTLSFromRemote), client))
        }
        try accept(channel, address, identity) { [self] tls, _ in try start(channel, target(address, tls, client)) }
    }

    /// Finds out about the connection's TLS, ends it where it is meant for this proxy, and counts connections that do
    /// not get so far.
    func accept(
        _ channel: any Channel, _ address: SocketAddress, _ identity: ProxyIdentity, alpn: [String] = [],
        decided: @escaping (InboundTLS, TLSPeer?) throws -> Void
    ) throws {
        let client = channel.remoteAddress
        try MeshTLSAccept.serve(
            channel, identity: identity, timeout: config.inbound.detectTimeout, alpn: alpn,
            failed: { [self] error in
                logger.debug("Connection failed", metadata: ["error": "\(error.message)"])
                target(address, .none(.noTLSFromRemote), client).countTCP(error)
            },
            decided: { [self] tls, peer in try decided(bounded(tls), peer) })
    }

    /// Serves what the connection carries, TLS of ours already taken off.
    func start(_ channel: any Channel, _ target: InboundTarget, known: WireProtocol? = nil) throws {
        target.connectionOpened()
        channel.closeFuture.assumeIsolated().whenComplete { _ in target.connectionClosed() }
        let plan = InboundPlan(target: target, detectTimeout: config.inbound.detectTimeout)
        plan.profiles = profiles
        try AcceptedConnection.serve(channel, plan: plan, limits: config.inbound.http2, drain: proxy.drain, known: known)
    }

    /// Names in other people's ClientHellos are the caller's to choose: only so many become labels.
    private func bounded(_ tls: InboundTLS) -> InboundTLS {
        guard case .passthrough(let name) = tls, !passthroughNames.contains(name) else { return tls }
        guard passthroughNames.count < Self.passthroughNamesMax else { return .passthrough(serverName: "other") }
        passthroughNames.insert(name)
        return tls
    }

    func isOpaque(_ address: SocketAddress) -> Bool {
        config.inboundOpaquePorts.contains(address.port ?? 0)
    }

    private func check(_ address: SocketAddress) throws {
        let bytes = address.ipBytes
        if !config.inboundIPs.isEmpty, !config.inboundIPs.contains(where: { $0.ipBytes == bytes }) {
            logger.debug(
                "Connection to a foreign address refused", metadata: ["dst": "\(address.endpointText)"])
            throw ProxyError(.unauthorized, "inbound connections are not allowed on this IP address")
        }
    }

    func target(_ address: SocketAddress, _ tls: InboundTLS, _ client: SocketAddress?) -> InboundTarget {
        let authorization = policy.authorization(of: client, port: address.port ?? 0, tls)
        let key = TargetKey(address: address, tls: tls, authorization: authorization)
        if let known = targets[key] { return known }
        let made = InboundTarget(
            address: address, loop: proxy, config: config, tls: tls, authorization: authorization)
        targets[key] = made
        sweepLater()
        return made
    }

    // Anyone may connect to any port; what is not used goes.
    private func sweepLater() {
        guard !isSweeping else { return }
        isSweeping = true
        proxy.loop.assumeIsolated().scheduleTask(in: config.inbound.idleTimeout) { [self] in
            isSweeping = false
            let oldest = NIODeadline.now() - config.inbound.idleTimeout
            for (key, target) in targets {
                guard let since = target.idleSince, since <= oldest else { continue }
                targets[key] = nil
                target.retire()
            }
            if !targets.isEmpty { sweepLater() }
        }
    }
}

/// One accepted inbound connection: plan and stack in one.
final class InboundPlan: ConnectionPlan, RequestStack {
    let isOpaque: Bool
    let detectTimeout: TimeAmount
    private let target: InboundTarget
    // The last request's name and endpoint: most connections use one name for ever.
    private var knownName = ""
    private var knownEndpoint: EndpointHandle?
    private var knownRoutes: InboundRoutes?
    /// Routes of the names under which this workload is called.
    var profiles: InboundProfiles?

    init(target: InboundTarget, detectTimeout: TimeAmount) {
        self.target = target
        isOpaque = target.tls == .none(.portSkipped) || target.tls.isPassthrough
        self.detectTimeout = detectTimeout
    }

    var transport: TransportMetrics { target.source }
    var stack: any RequestStack { self }
    var direction: Direction { .inbound }
    // Only meshed clients hear what went wrong.
    var emitsInformationalHeaders: Bool { target.tls.clientID != nil }
    var accessLog: AccessLogSource? { target.accessLog }
    var taps: LoopTaps { target.taps }
    var tapLabels: [String: String] { target.tapSourceLabels }

    func route(authority: String, isGRPC: Bool) -> RouteDecision {
        target.requestDecision.increment()
        guard target.isAuthorized else {
            return .reject(ProxyError(.unauthorized, "unauthorized request on route"))
        }
        let endpoint = endpoint(named: authority)
        guard let settled = knownRoutes?.whenSettled() else { return .forward(endpoint) }
        let promise = endpoint.loop.makePromise(of: EndpointHandle.self)
        settled.assumeIsolated().whenComplete { _ in promise.assumeIsolated().succeed(endpoint) }
        return .pending(promise.futureResult)
    }

    var inFlight: InFlightLimit? { profiles?.inFlight }

    func routes(authority: String) -> RouteTable? {
        _ = endpoint(named: authority)
        return knownRoutes?.table
    }

    private func endpoint(named authority: String) -> EndpointHandle {
        if let knownEndpoint, knownName == authority, knownRoutes?.isRetired != true { return knownEndpoint }
        let endpoint = target.endpoint(named: authority)
        knownName = authority
        knownEndpoint = endpoint
        knownRoutes = profiles?.routes(named: authority)
        return endpoint
    }

    func routeOpaque() -> RouteDecision {
        target.connectionDecision().increment()
        guard target.isAuthorized else {
            return .reject(ProxyError(.unauthorized, "unauthorized connection on default/\(target.serverName)"))
        }
        return .forward(target.namelessEndpoint())
    }

    func detected(_ result: DetectionResult) { target.detections(result).increment() }
    func failed(with error: ProxyError) { target.countHTTP(error) }
    func connectionFailed(with error: ProxyError) { target.countTCP(error) }
}
