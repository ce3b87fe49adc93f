public import MeshAPI

/// Where the numbers come from: metrics-api in production, a dictionary in tests.
///
/// Every method throws `DashboardError`, whose kind says which HTTP status the reader sees.
public protocol StatSource: Sendable {
    /// Golden metrics of one or many resources.
    func statSummary(_ request: Linkerd2_Viz_StatSummaryRequest) async throws
        -> Linkerd2_Viz_StatSummaryResponse
    /// Who talks to whom, with identities.
    func edges(_ request: Linkerd2_Viz_EdgesRequest) async throws -> Linkerd2_Viz_EdgesResponse
    /// Pods with the state of their proxy.
    func listPods(_ request: Linkerd2_Viz_ListPodsRequest) async throws -> Linkerd2_Viz_ListPodsResponse
    /// Services of a namespace, or of all.
    func listServices(_ request: Linkerd2_Viz_ListServicesRequest) async throws
        -> Linkerd2_Viz_ListServicesResponse
    /// Whether metrics-api can do its work.
    func selfCheck() async throws -> Linkerd2_Viz_SelfCheckResponse
    /// Traffic of a resource over time.
    func series(_ request: Linkerd2_Viz_History_SeriesRequest) async throws
        -> Linkerd2_Viz_History_SeriesResponse
    /// Workloads and the traffic between them.
    func topology(_ request: Linkerd2_Viz_History_TopologyRequest) async throws
        -> Linkerd2_Viz_History_TopologyResponse
    /// Workloads with their totals.
    func workloads(_ request: Linkerd2_Viz_History_WorkloadsRequest) async throws
        -> Linkerd2_Viz_History_WorkloadsResponse
    /// Sampled requests, added up.
    func top(_ request: Linkerd2_Viz_History_TopRequest) async throws -> Linkerd2_Viz_History_TopResponse
    /// The slowest and the failed among them.
    func exemplars(_ request: Linkerd2_Viz_History_ExemplarsRequest) async throws
        -> Linkerd2_Viz_History_ExemplarsResponse
}

/// A failure that the reader is told about, as `{"error": message}` under the kind's status.
public struct DashboardError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A closed set, so that a kind can label a metric.
    public enum Kind: String, Sendable, CaseIterable {
        case badRequest = "bad_request"
        case forbidden
        case notFound = "not_found"
        case tooManyViewers = "too_many_viewers"
        case upstream
        case upstreamUnavailable = "upstream_unavailable"
        case upstreamTimeout = "upstream_timeout"
    }

    /// What went wrong, coarsely.
    public let kind: Kind
    /// What went wrong, in words for a person.
    public let message: String

    /// An error of `kind` explained by `message`.
    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// HTTP status code of the kind.
    public var statusCode: Int {
        switch kind {
        case .badRequest: 400
        case .forbidden: 403
        case .notFound: 404
        case .upstream: 500
        case .tooManyViewers, .upstreamUnavailable: 503
        case .upstreamTimeout: 504
        }
    }

    public var description: String { "\(kind.rawValue): \(message)" }
}
