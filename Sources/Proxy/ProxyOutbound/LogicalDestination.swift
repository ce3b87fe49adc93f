// A Service as requests see it, on one event loop: its routes, and the legs among which its traffic is split,
// each with a balancer of its own. Profiles replace one another while requests run; what they have in common, such
// as the endpoints of a leg that stays, goes on undisturbed.

import Logging
import MeshRoutes
import MeshWire
import NIOCore
import ProxyCore

/// One logical destination. Bound to its loop.
final class LogicalDestination {
    /// Legs that a split may have; the rest is left out, and said so.
    static let legsMax = 100

    private struct Leg {
        let path: String
        let balancer: Balancer
        let watch: any Cancellable
    }

    let name: DestinationName
    private let loop: ProxyLoop
    private let settings: OutboundSettings
    private let discovery: any DestinationSource
    private var legs: [Leg] = []
    private var split = WeightedSplit(weights: [1])
    /// `nil` when nobody wrote routes for the destination.
    private(set) var routes: RouteTable?

    init(
        name: DestinationName, profile: DestinationProfile, loop: ProxyLoop, settings: OutboundSettings,
        discovery: any DestinationSource
    ) {
        self.name = name
        self.loop = loop
        self.settings = settings
        self.discovery = discovery
        update(profile)
    }

    /// Takes a new profile.
    func update(_ profile: DestinationProfile) {
        updateRoutes(profile)
        updateLegs(profile)
    }

    /// Chooses an endpoint for one request or connection.
    func choose() -> RouteDecision {
        guard let leg = chooseLeg() else {
            return .reject(ProxyError(.failFast, "HTTP Logical service in fail-fast"))
        }
        return leg.balancer.choose()
    }

    /// An endpoint that is ready now, without waiting for one.
    func chooseReady(avoiding failed: EndpointHandle?) -> EndpointHandle? {
        guard let leg = chooseLeg() else { return nil }
        return leg.balancer.chooseReady(avoiding: failed)
    }

    /// The destination is given up: waiting requests fail, idle connections close.
    func retire() {
        for leg in legs { Self.end(leg) }
        legs.removeAll()
        split = WeightedSplit(weights: [])  // Whoever still asks finds no leg.
    }

    private func chooseLeg() -> Leg? {
        if legs.count == 1 { return legs[0] }
        return split.choose(using: &loop.random) { legs[$0].balancer.hasReadyEndpoint }.map { legs[$0] }
    }

    private func updateRoutes(_ profile: DestinationProfile) {
        guard profile.isServiceProfile, let canonical = name.canonical else {
            routes = nil
            return
        }
        let table = RouteTable(
            profile, name: canonical, direction: .outbound, metrics: loop.metrics, loopCount: settings.loopCount,
            previous: routes)
        for mistake in table.mistakes {
            settings.logger.warning(
                "Route ignored; its requests count as the next one's",
                metadata: ["dst": "\(canonical)", "reason": "\(mistake)"])
        }
        routes = table
    }

    private func updateLegs(_ profile: DestinationProfile) {
        var wanted = profile.overrides.filter { $0.weight > 0 }.compactMap { leg in
            Authority(leg.authority).map {
                WeightedAuthority(authority: $0.path(defaultPort: name.authority?.port ?? 80), weight: leg.weight)
            }
        }
        if wanted.count > Self.legsMax {
            settings.logger.warning(
                "Split with too many legs; the rest gets nothing", metadata: ["max": "\(Self.legsMax)"])
            wanted.removeLast(wanted.count - Self.legsMax)
        }
        // Weights that are all zero, and no split at all, mean the destination itself.
        if wanted.isEmpty, let canonical = name.canonical {
            wanted = [WeightedAuthority(authority: canonical, weight: 1)]
        }
        var remaining: [String: Leg] = [:]
        for leg in legs { remaining[leg.path] = leg }
        // A name listed twice has one balancer, and both weights.
        var known: [String: Leg] = [:]
        legs = wanted.map { leg in
            let made = known[leg.authority] ?? remaining.removeValue(forKey: leg.authority) ?? start(leg.authority)
            known[leg.authority] = made
            return made
        }
        split = WeightedSplit(weights: wanted.map(\.weight))
        for leg in remaining.values { Self.end(leg) }
    }

    private func start(_ path: String) -> Leg {
        let balancer = Balancer(name: name, loop: loop, config: settings)
        let bound = NIOLoopBound(WeakBalancer(balancer), eventLoop: loop.loop)
        let watch = discovery.watchEndpoints(path: path, on: loop.loop) { bound.value.balancer?.update($0) }
        return Leg(path: path, balancer: balancer, watch: watch)
    }

    private static func end(_ leg: Leg) {
        leg.watch.cancel()
        leg.balancer.retire()
    }

    private final class WeakBalancer {
        weak var balancer: Balancer?
        init(_ balancer: Balancer) { self.balancer = balancer }
    }
}
