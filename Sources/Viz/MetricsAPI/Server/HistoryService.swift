package import GRPCCore
package import MeshAPI
import MeshGRPC

/// The gRPC service `linkerd2.viz.history.History`: what the dashboard draws charts and the topology from.
package struct HistoryService: Linkerd2_Viz_History_History.SimpleServiceProtocol {
    let sources: VizSources

    package init(_ sources: VizSources) { self.sources = sources }

    private var answers: HistoryAnswers {
        HistoryAnswers(index: sources.index(), store: sources.store, now: sources.now())
    }

    package func series(
        request: Linkerd2_Viz_History_SeriesRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_History_SeriesResponse {
        do { return try await answers.series(request) } catch { throw Self.status(error) }
    }

    package func topology(
        request: Linkerd2_Viz_History_TopologyRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_History_TopologyResponse {
        do { return try await answers.topology(request) } catch { throw Self.status(error) }
    }

    package func workloads(
        request: Linkerd2_Viz_History_WorkloadsRequest, context: ServerContext
    ) async throws -> Linkerd2_Viz_History_WorkloadsResponse {
        do { return try await answers.workloads(request) } catch { throw Self.status(error) }
    }

    private static func status(_ error: any Error) -> RPCError {
        if let error = error as? StatError { return RPCError(code: .invalidArgument, message: error.message) }
        return RPCError(code: .unavailable, message: "the rollup store cannot be read: \(error)")
    }
}
