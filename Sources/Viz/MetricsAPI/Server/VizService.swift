package import GRPCCore
package import MeshAPI
import MeshGRPC

/// The gRPC service `linkerd2.viz.Api`, as Linkerd's CLI and dashboard call it.
package struct VizService: Linkerd2_Viz_Api.SimpleServiceProtocol {
    /// Metadata that says why an answer is empty.
    static let reasonKey = "l5d-viz-reason"

    let answers: VizAnswers
    let metrics: RPCMetrics

    package init(_ sources: VizSources) {
        answers = VizAnswers(sources)
        metrics = sources.metrics
    }

    package func statSummary(
        request: Linkerd2_Viz_StatSummaryRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_StatSummaryResponse {
        try await metrics.counting("StatSummary") { try await answers.statSummary(request) }
    }

    package func edges(
        request: Linkerd2_Viz_EdgesRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_EdgesResponse {
        try await metrics.counting("Edges") { try await answers.edges(request) }
    }

    package func gateways(
        request: Linkerd2_Viz_GatewaysRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_GatewaysResponse {
        try await metrics.counting("Gateways") { try await answers.gateways(request) }
    }

    /// The table, with the reason why it is empty in the metadata.
    package func gateways(
        request: ServerRequest<Linkerd2_Viz_GatewaysRequest>, context: ServerContext
    ) async throws -> ServerResponse<Linkerd2_Viz_GatewaysResponse> {
        let message = try await gateways(request: request.message, context: context)
        return ServerResponse(message: message, metadata: [Self.reasonKey: "\(VizAnswers.gatewaysReason)"])
    }

    package func topRoutes(
        request: Linkerd2_Viz_TopRoutesRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_TopRoutesResponse {
        try await metrics.counting("TopRoutes") { try await answers.topRoutes(request) }
    }

    package func authz(
        request: Linkerd2_Viz_AuthzRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_AuthzResponse {
        try await metrics.counting("Authz") { try await answers.authz(request) }
    }

    package func listPods(
        request: Linkerd2_Viz_ListPodsRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_ListPodsResponse {
        try await metrics.counting("ListPods") { try await answers.listPods(request) }
    }

    package func listServices(
        request: Linkerd2_Viz_ListServicesRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_ListServicesResponse {
        try await metrics.counting("ListServices") { try await answers.listServices(request) }
    }

    package func selfCheck(
        request: Linkerd2_Viz_SelfCheckRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_SelfCheckResponse {
        try await metrics.counting("SelfCheck") { try await answers.selfCheck(request) }
    }
}
