// How requests of one route are counted, classified, timed and retried; built once from a profile, for one event
// loop. Source: `spec/proxy.md` 3.3, 3.11, 3.12, 6.2.

import MeshMetrics
import MeshRoutes
package import NIOCore

/// One route, or what stands for the requests that match none. Loop-bound, shared by its requests.
package final class RequestRoute {
    /// `route_*`: what the client of the route sees.
    package let metrics: RequestMetrics
    /// `route_actual_*`: every attempt; `nil` inbound, where nothing is sent twice.
    package let attempts: RequestMetrics?
    /// Until the head of the answer, retries included.
    package let timeout: TimeAmount?
    let retries: RetryPlan?
    /// What taps say about it.
    let labels: [String: String]
    /// The same, ready for events; made when the first tap asks.
    private(set) lazy var tapRoute = TapRoute(labels: labels)
    private let classes: [ResponseClass]

    init(
        metrics: RequestMetrics, attempts: RequestMetrics?, classes: [ResponseClass] = [],
        timeout: TimeAmount? = nil, retries: RetryPlan? = nil, labels: [String: String] = [:]
    ) {
        self.metrics = metrics
        self.attempts = attempts
        self.classes = classes
        self.timeout = timeout
        self.retries = retries
        self.labels = labels
    }

    /// Whether a response counts as a failure, and the gRPC status to show with it: none where the route's own
    /// classes decide.
    func classify(status: Int, grpcStatus: Int?) -> (isFailure: Bool, grpcStatus: Int?) {
        if let isFailure = classes.isFailure(status: status) { return (isFailure, nil) }
        return (Classification.of(status: status, grpcStatus: grpcStatus) == .failure, grpcStatus)
    }
}

/// What it takes to retry requests of a route.
final class RetryPlan {
    /// Bytes of a request's body that are kept so that it can be sent again.
    static let bodyBytesMax = 65_536
    /// Times one request is sent again at most. Linkerd has no such bound, but then one request could spend the
    /// whole budget on an endpoint that always fails.
    static let retriesMax = 32

    let budget: SharedRetryBudget
    let retryable: Counter
    let skipped: Counter

    init(budget: SharedRetryBudget, retryable: Counter, skipped: Counter) {
        self.budget = budget
        self.retryable = retryable
        self.skipped = skipped
    }
}

/// A budget that the routes of one profile share.
final class SharedRetryBudget {
    let settings: RetryBudget.Settings
    var budget: RetryBudget

    init(_ settings: RetryBudget.Settings, loopCount: Int) {
        self.settings = settings
        budget = RetryBudget(settings, loopCount: loopCount)
    }
}

/// The routes of one logical destination on one event loop.
package final class RouteTable {
    /// Routes that one profile may have; the rest is left out, and said so.
    static let routesMax = 1_000

    private struct Entry {
        let condition: CompiledCondition
        let route: RequestRoute
    }

    private var entries: [Entry] = []
    private let fallback: RequestRoute
    private let budget: SharedRetryBudget?
    /// What could not be used, for the log.
    package private(set) var mistakes: [String] = []

    /// Compiles a profile's routes.
    ///
    /// - Parameters:
    ///   - name: the logical destination, `name:port`, for the label `dst`.
    ///   - previous: the table this one replaces, whose retry budget goes on when its settings are the same.
    package init(
        _ profile: DestinationProfile, name: String, direction: Direction, metrics: MetricsShard, loopCount: Int,
        previous: RouteTable?
    ) {
        let series = RouteSeries(direction: direction, name: name, metrics: metrics)
        fallback = RequestRoute(
            metrics: series.requests(.route, [:]),
            attempts: direction == .outbound ? series.requests(.routeActual, [:]) : nil)
        if direction == .outbound, let settings = profile.retryBudget {
            budget =
                previous?.budget?.settings == settings
                ? previous?.budget : SharedRetryBudget(settings, loopCount: loopCount)
        } else {
            budget = nil
        }
        if profile.routes.count > Self.routesMax { mistakes.append("more than \(Self.routesMax) routes") }
        for route in profile.routes.prefix(Self.routesMax) {
            do {
                let condition = try CompiledCondition(route.condition)
                entries.append(Entry(condition: condition, route: make(route, series, direction)))
            } catch {
                mistakes.append(error.text)
            }
        }
    }

    private func make(_ route: ProfileRoute, _ series: RouteSeries, _ direction: Direction) -> RequestRoute {
        let isOutbound = direction == .outbound
        var retries: RetryPlan?
        if route.isRetryable, let budget {
            retries = RetryPlan(
                budget: budget, retryable: series.retryable(route.labels, isSkipped: false),
                skipped: series.retryable(route.labels, isSkipped: true))
        }
        return RequestRoute(
            metrics: series.requests(.route, route.labels),
            attempts: isOutbound ? series.requests(.routeActual, route.labels) : nil, classes: route.classes,
            timeout: isOutbound ? route.timeoutNanoseconds.map { .nanoseconds($0) } : nil, retries: retries,
            labels: route.labels)
    }

    /// The first route whose condition holds, or what stands for none.
    ///
    /// - Parameter target: the request's target or `:path`.
    /// - Complexity: O(routes × path) table look-ups; allocates nothing once the patterns are warm.
    package func route(method: Span<UInt8>, target: Span<UInt8>) -> RequestRoute {
        guard !entries.isEmpty else { return fallback }
        let range = RequestTarget.path(of: target)
        guard !range.isEmpty else {
            let root: [UInt8] = [UInt8(ascii: "/")]
            return first(method, root.span)
        }
        return first(method, target.extracting(range))
    }

    private func first(_ method: Span<UInt8>, _ path: Span<UInt8>) -> RequestRoute {
        for entry in entries where entry.condition.matches(method: method, path: path) { return entry.route }
        return fallback
    }
}

/// Label sets of one destination's routes.
private struct RouteSeries {
    let direction: Direction
    let name: String
    let metrics: MetricsShard

    private func labels(_ route: [String: String]) -> String {
        let prefix = "direction=\"\(direction.rawValue)\",dst=\"\(ExpositionWriter.escapeLabelValue(name))\""
        return prefix
            + route.sorted { $0.key < $1.key }.map { key, value in
                ",rt_\(key)=\"\(ExpositionWriter.escapeLabelValue(value))\""
            }.joined()
    }

    func requests(_ scope: RequestScope, _ route: [String: String]) -> RequestMetrics {
        metrics.requests(labels: labels(route), scope: scope)
    }

    func retryable(_ route: [String: String], isSkipped: Bool) -> Counter {
        metrics.counter(.routeRetryable, labels: labels(route) + (isSkipped ? ",skipped=\"no_budget\"" : ""))
    }
}
