// What rollups are kept by, in five families. Objects answer `stat` without a filter; edges answer `--to`,
// `--from`, services, traffic splits and the topology; routes answer `routes`; arrivals tell who called, under
// which name and how secured; requests are a sample, by what was asked. They are apart because objects are few and
// asked for all the time, and because each counts the same requests: families are never summed with one another.

/// Which side of a proxy traffic was seen on.
public enum Direction: UInt8, Sendable, Hashable, CaseIterable {
    case inbound = 0
    case outbound = 1

    /// The metric label's value.
    public var label: String { self == .inbound ? "inbound" : "outbound" }
}

/// A workload by its canonical kind (`deployment`, `statefulset`, `job` …) and name.
public struct WorkloadKey: Hashable, Comparable, Sendable {
    public var namespace: String
    /// Canonical singular kind; empty when unknown (traffic to somewhere outside the cluster).
    public var kind: String
    public var name: String

    /// A workload; all parts may be empty.
    public init(namespace: String, kind: String, name: String) {
        self.namespace = namespace
        self.kind = kind
        self.name = name
    }

    /// No workload: traffic whose other end discovery did not name.
    public static let unknown = WorkloadKey(namespace: "", kind: "", name: "")

    /// Where the tail beyond a label budget goes.
    public static let other = WorkloadKey(namespace: "", kind: "other", name: "other")

    /// By namespace, kind and name.
    public static func < (left: WorkloadKey, right: WorkloadKey) -> Bool {
        (left.namespace, left.kind, left.name) < (right.namespace, right.kind, right.name)
    }
}

/// Everything one pod, or one workload, received or sent.
public struct TrafficKey: Hashable, Comparable, Sendable {
    public var direction: Direction
    public var workload: WorkloadKey
    /// Empty in the tiers that keep whole workloads.
    public var pod: String

    /// The traffic of `pod` of `workload` in one direction.
    public init(direction: Direction, workload: WorkloadKey, pod: String) {
        self.direction = direction
        self.workload = workload
        self.pod = pod
    }

    /// The same without its pod.
    public var rolledUp: TrafficKey { TrafficKey(direction: direction, workload: workload, pod: "") }

    /// By workload, pod and direction.
    public static func < (left: TrafficKey, right: TrafficKey) -> Bool {
        (left.workload, left.pod, left.direction.rawValue) < (
            right.workload, right.pod, right.direction.rawValue
        )
    }
}

/// Traffic from one pod or workload to another, as its client's proxy saw it.
public struct EdgeKey: Hashable, Comparable, Sendable {
    public var src: WorkloadKey
    /// Empty in the tiers that keep whole workloads.
    public var srcPod: String
    /// `unknown` when discovery named no workload; its namespace is the endpoint's.
    public var dst: WorkloadKey
    /// Empty in the tiers that keep whole workloads, and for unknown endpoints.
    public var dstPod: String
    /// Name of the service the client asked for, in `dst.namespace`; empty when none.
    public var service: String
    /// The authority the client asked for, which tells ports and the apex of a traffic split apart; an address
    /// when there is neither an authority nor a service. Bounded by the label budget.
    public var authority: String
    /// The proxy's `tls` label: `true`, `no_identity`, `disabled` …
    public var tls: String
    /// The server's identity when `tls` is `true`, else the reason why there is none.
    public var tlsDetail: String

    /// An edge; see the fields.
    public init(
        src: WorkloadKey, srcPod: String, dst: WorkloadKey, dstPod: String = "", service: String = "",
        authority: String = "", tls: String = "", tlsDetail: String = ""
    ) {
        self.src = src
        self.srcPod = srcPod
        self.dst = dst
        self.dstPod = dstPod
        self.service = service
        self.authority = authority
        self.tls = tls
        self.tlsDetail = tlsDetail
    }

    /// Whether the proxies encrypted it.
    public var isSecured: Bool { tls == "true" }

    /// The same between workloads, without pods.
    public var rolledUp: EdgeKey {
        var key = self
        key.srcPod = ""
        key.dstPod = ""
        return key
    }

    /// Folded into the honest `other` of its source: what goes past the label budget.
    public var folded: EdgeKey { EdgeKey(src: src, srcPod: srcPod, dst: .other) }

    /// By source and destination, then by the rest.
    public static func < (left: EdgeKey, right: EdgeKey) -> Bool {
        if left.src != right.src { return left.src < right.src }
        if left.dst != right.dst { return left.dst < right.dst }
        let leftRest = [left.srcPod, left.dstPod, left.service, left.authority, left.tls, left.tlsDetail]
        let rightRest = [
            right.srcPod, right.dstPod, right.service, right.authority, right.tls, right.tlsDetail,
        ]
        return leftRest.lexicographicallyPrecedes(rightRest)
    }
}

/// A key of any kind; what a store row belongs to.
public enum RollupKey: Hashable, Sendable {
    case object(TrafficKey)
    case edge(EdgeKey)
    case route(RouteKey)
    case arrival(ArrivalKey)
    case request(RequestKey)

    /// The same at the granularity of the coarser tiers.
    public var rolledUp: RollupKey {
        switch self {
        case .object(let key): .object(key.rolledUp)
        case .edge(let key): .edge(key.rolledUp)
        case .route(let key): .route(key.rolledUp)
        case .arrival(let key): .arrival(key.rolledUp)
        case .request: self
        }
    }

    /// Whether it names a pod, and so lives only in the finest tier.
    public var namesPod: Bool {
        switch self {
        case .object(let key): !key.pod.isEmpty
        case .edge(let key): !key.srcPod.isEmpty || !key.dstPod.isEmpty
        case .route(let key): !key.pod.isEmpty
        case .arrival(let key): !key.pod.isEmpty
        case .request: false
        }
    }

    /// Which table of records it is in.
    public var family: KeyFamily {
        switch self {
        case .object: .objects
        case .edge: .edges
        case .route: .routes
        case .arrival: .arrivals
        case .request: .requests
        }
    }
}

/// The kinds of records; the raw value is stored.
public enum KeyFamily: UInt8, Sendable, Hashable, CaseIterable {
    case objects = 0
    case edges = 1
    case routes = 2
    case arrivals = 3
    case requests = 4
}
