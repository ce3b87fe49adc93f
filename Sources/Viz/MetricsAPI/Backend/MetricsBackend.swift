// Where answers come from. One protocol, two implementations: the built-in rollup store, and any server that
// speaks Prometheus' query API. Questions are about objects of the cluster, never about labels or rows, so
// that both can answer them, and the same tests hold both to the same answers.

package import MeshModel
package import MeshRollup

/// A source of traffic statistics.
package protocol MetricsBackend: Sendable {
    /// What it is called in messages: `the rollup store`, `Prometheus at http://…`.
    var title: String { get }

    /// Traffic by object of the selected kind; objects without any are left out.
    func traffic(_ query: TrafficQuery) async throws -> [ObjectName: TrafficStats]

    /// Inbound traffic by root workload, in one namespace or all.
    func workloads(namespace: String, _ window: StatWindow) async throws -> [WorkloadKey: TrafficStats]

    /// Traffic between objects of one kind, or between root workloads; pairs without any are left out.
    func edges(_ query: EdgeQuery) async throws -> [EdgeTraffic]

    /// When each edge of a query last had traffic, as finely as it is known.
    func lastSeen(_ query: EdgeQuery) async throws -> [EdgeEnds: UnixTime]

    /// Traffic by route of the given profiles.
    func routes(_ query: RouteQuery) async throws -> [RouteName: TrafficStats]

    /// Traffic of the services behind an apex, as traffic splits and overrides send it there.
    func leaves(_ query: LeafQuery) async throws -> [LeafName: TrafficStats]

    /// One object or edge bucket by bucket.
    func series(_ query: SeriesQuery) async throws -> SeriesAnswer

    /// Sampled requests by who asked whom for what.
    func requests(_ query: SampleQuery) async throws -> [RequestKey: Rollup]

    /// The slowest and the failed among the sampled requests.
    func exemplars(_ filter: ExemplarFilter, _ window: StatWindow) async throws -> ExemplarLists

    /// When each pod was last scraped and its proxy started, by namespace and name.
    func scrapes() async throws -> [ObjectName: ScrapeNote]

    /// Why it cannot be talked to; `nil` when it can.
    func problem() async -> String?
}

/// Which traffic counts.
package enum TrafficFilter: Sendable, Equatable {
    /// What the selected objects received.
    case none
    /// What they sent to this end.
    case to(TrafficEnd)
    /// What this end sent to them.
    case from(TrafficEnd)

    /// The other end.
    package var end: TrafficEnd? {
        switch self {
        case .none: nil
        case .to(let end), .from(let end): end
        }
    }
}

/// A question about objects of one kind.
package struct TrafficQuery: Sendable, Equatable {
    package var selected: TrafficEnd
    package var filter: TrafficFilter
    package var window: StatWindow
    /// Whether responses and latencies are wanted.
    package var wantsRequests: Bool
    /// Whether connections and bytes are wanted.
    package var wantsTCP: Bool

    package init(
        _ selected: TrafficEnd, filter: TrafficFilter = .none, window: StatWindow, wantsRequests: Bool = true,
        wantsTCP: Bool = true
    ) {
        self.selected = selected
        self.filter = filter
        self.window = window
        self.wantsRequests = wantsRequests
        self.wantsTCP = wantsTCP
    }
}

/// A question about who talks to whom.
package struct EdgeQuery: Sendable, Equatable {
    /// The kind of both ends; `nil` for root workloads and what clients asked for outside the cluster.
    package var kind: ResourceKind?
    /// Edges that begin or end here; empty for all.
    package var namespace: String
    package var window: StatWindow

    package init(kind: ResourceKind?, namespace: String, window: StatWindow) {
        self.kind = kind
        self.namespace = namespace
        self.window = window
    }
}

/// Both ends of an edge.
package struct EdgeEnds: Sendable, Hashable, Comparable {
    package let src: WorkloadKey
    package let dst: WorkloadKey

    package init(_ src: WorkloadKey, _ dst: WorkloadKey) {
        self.src = src
        self.dst = dst
    }

    package static func < (left: EdgeEnds, right: EdgeEnds) -> Bool {
        (left.src, left.dst) < (right.src, right.dst)
    }
}

/// The traffic of one edge.
package struct EdgeTraffic: Sendable, Equatable {
    package var ends: EdgeEnds
    /// A pod at the client's end, by which its identity is found; empty when that is not known.
    package var srcPod: ObjectName?
    /// Whether all of it was encrypted between proxies.
    package var isSecured: Bool
    /// The server's identity; empty when none of it was encrypted.
    package var serverID: String
    /// Why some of it was not encrypted, in the proxy's words; empty when all was.
    package var noTLSReason: String
    package var wireProtocol: TrafficProtocol
    package var stats: TrafficStats
}

/// A question about routes.
package struct RouteQuery: Sendable, Equatable {
    /// Whose proxies are asked: servers, or with `isOutbound` clients.
    package var selected: TrafficEnd
    package var isOutbound: Bool
    /// Host names of the profiles, without ports.
    package var profiles: Set<String>
    package var window: StatWindow

    package init(selected: TrafficEnd, isOutbound: Bool, profiles: Set<String>, window: StatWindow) {
        self.selected = selected
        self.isOutbound = isOutbound
        self.profiles = profiles
        self.window = window
    }
}

/// One route of one profile.
package struct RouteName: Sendable, Hashable, Comparable {
    /// Host name of the profile, without port.
    package let profile: String
    /// Empty for what no route matches.
    package let route: String

    package init(profile: String, route: String) {
        self.profile = profile
        self.route = route
    }

    package static func < (left: RouteName, right: RouteName) -> Bool {
        (left.profile, left.route) < (right.profile, right.route)
    }
}

/// A question about the services behind an apex service.
package struct LeafQuery: Sendable, Equatable {
    package var apex: ObjectName
    package var filter: TrafficFilter
    package var window: StatWindow

    package init(apex: ObjectName, filter: TrafficFilter, window: StatWindow) {
        self.apex = apex
        self.filter = filter
        self.window = window
    }
}

/// A service that traffic for an apex went to.
package struct LeafName: Sendable, Hashable {
    package let namespace: String
    package let service: String

    package init(namespace: String, service: String) {
        self.namespace = namespace
        self.service = service
    }
}

/// A question about one object over time.
package struct SeriesQuery: Sendable, Equatable {
    package var selected: TrafficEnd
    package var filter: TrafficFilter
    package var window: StatWindow
    /// Width of a bucket; a backend may raise it to what it can tell apart.
    package var stepMilliseconds: Int64

    package init(_ selected: TrafficEnd, filter: TrafficFilter, window: StatWindow, stepMilliseconds: Int64) {
        self.selected = selected
        self.filter = filter
        self.window = window
        self.stepMilliseconds = stepMilliseconds
    }
}

/// Evenly spaced buckets.
package struct SeriesAnswer: Sendable, Equatable {
    package var start: UnixTime
    package var stepMilliseconds: Int64
    /// In time order; `nil` where nothing was scraped.
    package var buckets: [TrafficStats?]

    package init(start: UnixTime, stepMilliseconds: Int64, buckets: [TrafficStats?]) {
        self.start = start
        self.stepMilliseconds = stepMilliseconds
        self.buckets = buckets
    }
}

/// When a pod was last heard of.
package struct ScrapeNote: Sendable, Equatable {
    package var scrapedAt: UnixTime
    /// When its proxy started; `nil` when it did not say.
    package var processStart: UnixTime?

    package init(scrapedAt: UnixTime, processStart: UnixTime?) {
        self.scrapedAt = scrapedAt
        self.processStart = processStart
    }
}

/// A backend that could not answer: the server's fault or the way's, not the question's.
package struct BackendError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Quotes what was asked, as `Query failed: "…": …`.
    package let description: String

    package init(_ description: String) { self.description = description }
}
