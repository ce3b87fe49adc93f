import GRPCCore
package import MeshAPI
import MeshModel

/// The answers of `linkerd2.viz.Api` and of its history extension: one implementation under every framing.
///
/// A question at fault is answered with the error arm set where the message has one; a backend that cannot
/// answer, and a fault where there is no such arm, is a status.
package struct VizAnswers: Sendable {
    let sources: VizSources

    package init(_ sources: VizSources) { self.sources = sources }

    private var history: HistoryAnswers {
        HistoryAnswers(index: sources.index(), backend: sources.backend, now: sources.now())
    }

    private var samples: TopLister { TopLister(backend: sources.backend, now: sources.now()) }

    package func statSummary(
        _ request: Linkerd2_Viz_StatSummaryRequest
    ) async throws -> Linkerd2_Viz_StatSummaryResponse {
        let summarizer = StatSummarizer(
            index: sources.index(), backend: sources.backend, clusterDomain: sources.clusterDomain,
            now: sources.now())
        var response = Linkerd2_Viz_StatSummaryResponse()
        do {
            response.ok.statTables = try await summarizer.tables(request)
        } catch {
            response.error = try Self.answer(error, about: request.selector.resource)
        }
        return response
    }

    package func edges(_ request: Linkerd2_Viz_EdgesRequest) async throws -> Linkerd2_Viz_EdgesResponse {
        let lister = EdgeLister(index: sources.index(), backend: sources.backend, now: sources.now())
        var response = Linkerd2_Viz_EdgesResponse()
        do {
            response.ok.edges = try await lister.edges(request)
        } catch {
            response.error = try Self.answer(error, about: request.selector.resource)
        }
        return response
    }

    package func topRoutes(_ request: Linkerd2_Viz_TopRoutesRequest) async throws -> Linkerd2_Viz_TopRoutesResponse {
        let lister = RouteLister(
            index: sources.index(), backend: sources.backend, clusterDomain: sources.clusterDomain,
            now: sources.now())
        var response = Linkerd2_Viz_TopRoutesResponse()
        do {
            response.ok.routes = try await lister.tables(request)
        } catch {
            response.error = try Self.answer(error, about: request.selector.resource)
        }
        return response
    }

    /// Why there are no rows of gateways; sent beside the empty table.
    package static let gatewaysReason = "no gateways: multicluster's service mirror does not run in this mesh"
    /// Why there are no rows per policy object; sent as the status.
    package static let authzReason = "authorization statistics per policy object are not collected yet"

    /// There are no multicluster gateways before the service mirror: an empty table is the truth.
    package func gateways(_ request: Linkerd2_Viz_GatewaysRequest) async throws -> Linkerd2_Viz_GatewaysResponse {
        var response = Linkerd2_Viz_GatewaysResponse()
        response.ok.gatewaysTable = Linkerd2_Viz_GatewaysTable()
        return response
    }

    package func authz(_ request: Linkerd2_Viz_AuthzRequest) async throws -> Linkerd2_Viz_AuthzResponse {
        throw RPCError(code: .unimplemented, message: Self.authzReason)
    }

    package func listPods(_ request: Linkerd2_Viz_ListPodsRequest) async throws -> Linkerd2_Viz_ListPodsResponse {
        var response = Linkerd2_Viz_ListPodsResponse()
        response.pods = try await PodLister(sources).pods(request)
        return response
    }

    package func listServices(
        _ request: Linkerd2_Viz_ListServicesRequest
    ) async throws -> Linkerd2_Viz_ListServicesResponse {
        let all = try Self.mapped { () throws(StatError) in try LabelQuery("") }
        let objects = sources.index().objects(.service, namespace: request.namespace, name: "", matching: all)
        var response = Linkerd2_Viz_ListServicesResponse()
        response.services = objects.sorted { ($0.namespace, $0.name) < ($1.namespace, $1.name) }.map { object in
            var service = Linkerd2_Viz_Service()
            service.name = object.name
            service.namespace = object.namespace
            return service
        }
        return response
    }

    package func selfCheck(
        _ request: Linkerd2_Viz_SelfCheckRequest
    ) async throws -> Linkerd2_Viz_SelfCheckResponse {
        var kubernetes = Linkerd2_Viz_CheckResult()
        kubernetes.subsystemName = "kubernetes"
        kubernetes.checkDescription = "linkerd viz can talk to Kubernetes"
        if !sources.isSynced() {
            kubernetes.status = .error
            kubernetes.friendlyMessageToUser =
                "Error calling the Kubernetes API: pods have not been listed yet"
        }
        // Clients ask for a result by this name; without an external server the store stands where it stood.
        var backend = Linkerd2_Viz_CheckResult()
        backend.subsystemName = "prometheus"
        backend.checkDescription = "linkerd viz can talk to Prometheus"
        if let problem = await sources.backend.problem() {
            backend.status = .error
            backend.friendlyMessageToUser = "Error calling Prometheus from the control plane: \(problem)"
        }
        var response = Linkerd2_Viz_SelfCheckResponse()
        response.results = [kubernetes, backend]
        return response
    }

    package func series(
        _ request: Linkerd2_Viz_History_SeriesRequest
    ) async throws -> Linkerd2_Viz_History_SeriesResponse {
        try await Self.status { try await history.series(request) }
    }

    package func topology(
        _ request: Linkerd2_Viz_History_TopologyRequest
    ) async throws -> Linkerd2_Viz_History_TopologyResponse {
        try await Self.status { try await history.topology(request) }
    }

    package func workloads(
        _ request: Linkerd2_Viz_History_WorkloadsRequest
    ) async throws -> Linkerd2_Viz_History_WorkloadsResponse {
        try await Self.status { try await history.workloads(request) }
    }

    package func pastEdges(
        _ request: Linkerd2_Viz_History_PastEdgesRequest
    ) async throws -> Linkerd2_Viz_History_PastEdgesResponse {
        try await Self.status { try await history.pastEdges(request) }
    }

    package func compare(
        _ request: Linkerd2_Viz_History_CompareRequest
    ) async throws -> Linkerd2_Viz_History_CompareResponse {
        try await Self.status { try await history.compare(request) }
    }

    package func top(_ request: Linkerd2_Viz_History_TopRequest) async throws -> Linkerd2_Viz_History_TopResponse {
        try await Self.status { try await samples.top(request) }
    }

    package func exemplars(
        _ request: Linkerd2_Viz_History_ExemplarsRequest
    ) async throws -> Linkerd2_Viz_History_ExemplarsResponse {
        try await Self.status { try await samples.exemplars(request) }
    }

    private static func status<Value>(_ body: () async throws -> Value) async throws -> Value {
        do { return try await body() } catch let error as StatError {
            throw RPCError(code: .invalidArgument, message: error.message)
        } catch {
            throw RPCError(code: .unavailable, message: "\(error)")
        }
    }

    /// A question at fault becomes the error arm; anything else is thrown on as a gRPC status.
    private static func answer(
        _ error: any Error, about resource: Linkerd2_Viz_Resource
    ) throws -> Linkerd2_Viz_ResourceError {
        guard let error = error as? StatError else {
            throw RPCError(code: .unknown, message: "\(error)")
        }
        var answer = Linkerd2_Viz_ResourceError()
        answer.resource = resource
        answer.error = error.message
        return answer
    }

    /// Turns a question's error into a gRPC status, for RPCs without an error arm.
    static func mapped<Value>(_ body: () throws(StatError) -> Value) throws(RPCError) -> Value {
        do { return try body() } catch { throw RPCError(code: .invalidArgument, message: error.message) }
    }
}
