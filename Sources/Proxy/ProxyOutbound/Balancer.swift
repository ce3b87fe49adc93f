// The endpoints of one logical destination on one event loop, and the choice among them: power of two choices
// by peak EWMA latency times queue. When none is ready, requests wait, bounded, and fail fast when that
// lasts.

import MeshBalance
import NIOCore
import ProxyCore

/// Chooses endpoints of one destination. Bound to its loop.
final class Balancer {
    /// How often waiting requests look for an endpoint whose back-off has ended.
    private static let recheckInterval = TimeAmount.milliseconds(50)

    private let loop: ProxyLoop
    private let config: OutboundSettings
    private let name: DestinationName
    private var endpoints: [SocketAddress: Known] = [:]
    private var handles: [EndpointHandle] = []
    private var waiters: [Waiter] = []
    private var firstWaiter = 0
    private var isChecking = false
    private var isFailingFast = false

    private struct Known {
        let discovered: DiscoveredEndpoint
        let handle: EndpointHandle
    }

    private struct Waiter {
        let promise: EventLoopPromise<EndpointHandle>
        let deadline: NIODeadline
    }

    init(name: DestinationName, loop: ProxyLoop, config: OutboundSettings) {
        self.name = name
        self.loop = loop
        self.config = config
    }

    /// Whether a request would go out at once.
    var hasReadyEndpoint: Bool { handles.contains { $0.isReady } }

    /// An endpoint that is ready now, another one than `failed`; `nil` when there is none.
    func chooseReady(avoiding failed: EndpointHandle?) -> EndpointHandle? {
        if let endpoint = pick(), endpoint !== failed { return endpoint }
        return handles.first { $0.isReady && $0 !== failed }
    }

    /// Chooses an endpoint for one request or connection.
    func choose() -> RouteDecision {
        if let endpoint = pick() {
            isFailingFast = false
            return .forward(endpoint)
        }
        let scope = name.isLogical ? "HTTP Balancer" : "HTTP Logical"
        guard !isFailingFast else { return .reject(ProxyError(.failFast, "\(scope) service in fail-fast")) }
        guard waiters.count - firstWaiter < config.side.queueMax else {
            return .reject(ProxyError(.loadShed, "service unavailable"))
        }
        let promise = loop.loop.makePromise(of: EndpointHandle.self)
        waiters.append(Waiter(promise: promise, deadline: .now() + config.side.failFastTimeout))
        checkLater()
        return .pending(promise.futureResult)
    }

    /// Takes a change of the endpoint set.
    func update(_ update: EndpointsUpdate) {
        switch update {
        case .replace(let added):
            let kept = Set(added.map(\.address))
            for address in endpoints.keys where !kept.contains(address) { remove(address) }
            for endpoint in added { add(endpoint) }
        case .add(let added):
            for endpoint in added { add(endpoint) }
        case .remove(let addresses):
            for address in addresses { remove(address) }
        case .noEndpoints, .rejected:
            for address in Array(endpoints.keys) { remove(address) }
        }
        handles = endpoints.values.map(\.handle)
        if !handles.isEmpty { isFailingFast = false }
        serveWaiters()
    }

    /// Ends everything: waiting requests fail, idle connections close.
    func retire() {
        for known in endpoints.values { known.handle.retire() }
        endpoints.removeAll()
        handles.removeAll()
        let waiting = waiters[firstWaiter...]
        waiters.removeAll()
        firstWaiter = 0
        for waiter in waiting { waiter.promise.fail(ProxyError(.failFast, "service in fail-fast")) }
    }

    private func pick() -> EndpointHandle? {
        let now = NIODeadline.now().uptimeNanoseconds
        guard
            let index = P2C.choose(
                among: handles.count, using: &loop.random,
                cost: { handles[$0].isReady ? handles[$0].load.cost(at: now) : .infinity })
        else { return nil }
        if handles[index].isReady { return handles[index] }
        return handles.first { $0.isReady }
    }

    private func add(_ discovered: DiscoveredEndpoint) {
        if let known = endpoints[discovered.address] {
            guard known.discovered != discovered else { return }
            known.handle.retire()
        }
        let handle = config.endpoint(discovered, name: name, loop: loop)
        endpoints[discovered.address] = Known(discovered: discovered, handle: handle)
    }

    private func remove(_ address: SocketAddress) {
        endpoints.removeValue(forKey: address)?.handle.retire()
    }

    private func serveWaiters() {
        while firstWaiter < waiters.count, let endpoint = pick() {
            waiters[firstWaiter].promise.assumeIsolated().succeed(endpoint)
            firstWaiter += 1
        }
        let now = NIODeadline.now()
        while firstWaiter < waiters.count, waiters[firstWaiter].deadline <= now {
            isFailingFast = true
            waiters[firstWaiter].promise.fail(ProxyError(.failFast, "HTTP Balancer service in fail-fast"))
            firstWaiter += 1
        }
        if firstWaiter == waiters.count {
            waiters.removeAll()
            firstWaiter = 0
        }
    }

    private func checkLater() {
        guard !isChecking else { return }
        isChecking = true
        loop.loop.assumeIsolated().scheduleTask(in: Self.recheckInterval) { [self] in
            isChecking = false
            serveWaiters()
            if !waiters.isEmpty { checkLater() }
        }
    }
}
