/// Traffic of one pod or workload on one route of a ServiceProfile, as its own proxy saw it.
///
/// Source: the `route_*` families, which name a route by `dst` and `rt_route` only: the other end is not known.
public struct RouteKey: Hashable, Comparable, Sendable {
    public var direction: Direction
    /// The server when inbound, the client when outbound.
    public var workload: WorkloadKey
    /// Empty in the tiers that keep whole workloads.
    public var pod: String
    /// Authority that the profile is for, with its port: `web-svc.emojivoto.svc.cluster.local:80`.
    public var dst: String
    /// Name of the route; empty for what no route of the profile matches.
    public var route: String
    /// Whether every attempt counts, retries too; else what the client saw after retries.
    public var countsAttempts: Bool

    /// A route; see the fields.
    public init(
        direction: Direction, workload: WorkloadKey, pod: String, dst: String, route: String,
        countsAttempts: Bool = false
    ) {
        self.direction = direction
        self.workload = workload
        self.pod = pod
        self.dst = dst
        self.route = route
        self.countsAttempts = countsAttempts
    }

    /// The same without its pod.
    public var rolledUp: RouteKey {
        var key = self
        key.pod = ""
        return key
    }

    /// Folded into the honest `other` of its workload: what goes past the label budget.
    public var folded: RouteKey {
        var key = self
        key.dst = WorkloadKey.other.name
        key.route = WorkloadKey.other.name
        return key
    }

    /// By workload and pod, then by the rest.
    public static func < (left: RouteKey, right: RouteKey) -> Bool {
        if left.workload != right.workload { return left.workload < right.workload }
        let leftRest = [left.pod, left.dst, left.route, left.direction.label, left.countsAttempts ? "1" : "0"]
        let rightRest = [right.pod, right.dst, right.route, right.direction.label, right.countsAttempts ? "1" : "0"]
        return leftRest.lexicographicallyPrecedes(rightRest)
    }
}
