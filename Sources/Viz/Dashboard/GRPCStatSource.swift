import GRPCCore
import GRPCNIOTransportHTTP2Posix
public import MeshAPI
import MeshGRPC

/// Asks metrics-api over one HTTP/2 connection that heals itself; `run()` must be awaited meanwhile.
public struct GRPCStatSource: StatSource {
    /// Longest wait for one answer; a browser that waits longer has been left.
    public static let timeoutMax = Duration.seconds(8)

    /// Longest pause between attempts to connect; the library's two minutes outlast a reader's patience.
    public static let reconnectMax = Duration.seconds(4)

    private let client: GRPCClient<HTTP2ClientTransport.Posix>
    private let address: String
    private let options: CallOptions

    /// Connects lazily to `address`, which is `host:port`.
    public init(address: String) throws {
        guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...])
        else {
            throw DashboardError(.badRequest, "the metrics-api address must be host:port, not \"\(address)\"")
        }
        let host = String(address[..<colon])
        self.address = address
        client = GRPCClient(
            transport: try HTTP2ClientTransport.Posix(
                target: .dns(host: host, port: port), transportSecurity: .plaintext,
                config: .defaults { $0.backoff.max = Self.reconnectMax }))
        var options = CallOptions.defaults
        options.timeout = Self.timeoutMax
        options.waitForReady = false
        self.options = options
    }

    /// Keeps the connection; returns when cancelled.
    public func run() async throws {
        try await client.runConnections()
    }

    private var viz: Linkerd2_Viz_Api.Client<HTTP2ClientTransport.Posix> { .init(wrapping: client) }
    private var history: Linkerd2_Viz_History_History.Client<HTTP2ClientTransport.Posix> {
        .init(wrapping: client)
    }

    /// Asks metrics-api for golden metrics.
    public func statSummary(
        _ request: Linkerd2_Viz_StatSummaryRequest
    ) async throws -> Linkerd2_Viz_StatSummaryResponse {
        try await explaining { try await viz.statSummary(request, options: options) }
    }

    /// Asks who talks to whom.
    public func edges(_ request: Linkerd2_Viz_EdgesRequest) async throws -> Linkerd2_Viz_EdgesResponse {
        try await explaining { try await viz.edges(request, options: options) }
    }

    /// Asks for the pods and whether they are meshed.
    public func listPods(_ request: Linkerd2_Viz_ListPodsRequest) async throws
        -> Linkerd2_Viz_ListPodsResponse
    {
        try await explaining { try await viz.listPods(request, options: options) }
    }

    /// Asks for the services.
    public func listServices(
        _ request: Linkerd2_Viz_ListServicesRequest
    ) async throws -> Linkerd2_Viz_ListServicesResponse {
        try await explaining { try await viz.listServices(request, options: options) }
    }

    /// Asks whether metrics-api and its parts work.
    public func selfCheck() async throws -> Linkerd2_Viz_SelfCheckResponse {
        try await explaining { try await viz.selfCheck(.init(), options: options) }
    }

    /// Asks for buckets over time.
    public func series(
        _ request: Linkerd2_Viz_History_SeriesRequest
    ) async throws -> Linkerd2_Viz_History_SeriesResponse {
        try await explaining { try await history.series(request, options: options) }
    }

    /// Asks for the graph of a namespace.
    public func topology(
        _ request: Linkerd2_Viz_History_TopologyRequest
    ) async throws -> Linkerd2_Viz_History_TopologyResponse {
        try await explaining { try await history.topology(request, options: options) }
    }

    /// Asks for the workloads of a namespace.
    public func workloads(
        _ request: Linkerd2_Viz_History_WorkloadsRequest
    ) async throws -> Linkerd2_Viz_History_WorkloadsResponse {
        try await explaining { try await history.workloads(request, options: options) }
    }

    /// Asks for sampled requests, added up.
    public func top(_ request: Linkerd2_Viz_History_TopRequest) async throws -> Linkerd2_Viz_History_TopResponse {
        try await explaining { try await history.top(request, options: options) }
    }

    /// Asks for the slowest and the failed among them.
    public func exemplars(
        _ request: Linkerd2_Viz_History_ExemplarsRequest
    ) async throws -> Linkerd2_Viz_History_ExemplarsResponse {
        try await explaining { try await history.exemplars(request, options: options) }
    }

    private func explaining<Answer>(_ call: () async throws -> Answer) async throws -> Answer {
        do {
            return try await call()
        } catch let error as RPCError {
            throw Self.explain(error, address: address)
        } catch let error as RuntimeError {
            throw DashboardError(.upstreamUnavailable, "metrics-api at \(address): \(error.message)")
        }
    }

    private static func explain(_ error: RPCError, address: String) -> DashboardError {
        switch error.code {
        case .invalidArgument, .failedPrecondition, .outOfRange: DashboardError(.badRequest, error.message)
        case .notFound: DashboardError(.notFound, error.message)
        case .permissionDenied, .unauthenticated: DashboardError(.forbidden, error.message)
        case .unavailable, .cancelled:
            DashboardError(.upstreamUnavailable, "metrics-api is not reachable at \(address)")
        case .deadlineExceeded:
            DashboardError(
                .upstreamTimeout, "metrics-api did not answer within \(timeoutMax.components.seconds) s")
        case .unimplemented:
            DashboardError(.upstream, "this metrics-api keeps no history: \(error.message)")
        default: DashboardError(.upstream, "metrics-api: \(error.message)")
        }
    }
}
