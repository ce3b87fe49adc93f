package import GRPCCore
package import MeshAPI
import MeshGRPC

/// The gRPC service `linkerd2.viz.history.History`: what the dashboard draws charts and the topology from.
package struct HistoryService: Linkerd2_Viz_History_History.SimpleServiceProtocol {
    let answers: VizAnswers
    let metrics: RPCMetrics

    package init(_ sources: VizSources) {
        answers = VizAnswers(sources)
        metrics = sources.metrics
    }

    package func series(
        request: Linkerd2_Viz_History_SeriesRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_History_SeriesResponse {
        try await metrics.counting("Series") { try await answers.series(request) }
    }

    package func topology(
        request: Linkerd2_Viz_History_TopologyRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_History_TopologyResponse {
        try await metrics.counting("Topology") { try await answers.topology(request) }
    }

    package func workloads(
        request: Linkerd2_Viz_History_WorkloadsRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_History_WorkloadsResponse {
        try await metrics.counting("Workloads") { try await answers.workloads(request) }
    }

    package func pastEdges(
        request: Linkerd2_Viz_History_PastEdgesRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_History_PastEdgesResponse {
        try await metrics.counting("PastEdges") { try await answers.pastEdges(request) }
    }

    package func compare(
        request: Linkerd2_Viz_History_CompareRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_History_CompareResponse {
        try await metrics.counting("Compare") { try await answers.compare(request) }
    }

    package func top(
        request: Linkerd2_Viz_History_TopRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_History_TopResponse {
        try await metrics.counting("Top") { try await answers.top(request) }
    }

    package func exemplars(
        request: Linkerd2_Viz_History_ExemplarsRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_History_ExemplarsResponse {
        try await metrics.counting("Exemplars") { try await answers.exemplars(request) }
    }
}
