import Hummingbird
import MeshAPI
import MeshModel
import SwiftProtobuf

/// Linkerd's own dashboard API: same paths, parameters and shapes.
struct LinkerdRoutes<Context: RequestContext>: Sendable {
    let source: any StatSource

    func add(to router: Router<Context>) {
        let source = source
        router.get("/api/version") { _, _ in Response.json(["version": .string(BuildVersion.current)]) }
        router.get("/api/tps-reports") { request, _ in
            let response = try await source.statSummary(try Self.statRequest(QueryReader(request)))
            return Response.json(LinkerdJSON.statSummary(try response.okOrThrow()))
        }
        router.get("/api/pods") { request, _ in
            let namespace = try QueryReader(request).optionalName("namespace")
            let pods = try await source.listPods(.with { $0.selector.resource.namespace = namespace })
            return Response.json(LinkerdJSON.pods(pods))
        }
        router.get("/api/services") { request, _ in
            let namespace = try QueryReader(request).optionalName("namespace")
            return Response.json(
                LinkerdJSON.services(try await source.listServices(.with { $0.namespace = namespace })))
        }
        router.get("/api/edges") { request, _ in
            let query = QueryReader(request)
            let resource = Linkerd2_Viz_Resource.named(
                try query.kind("resource_type", default: .deployment),
                namespace: try query.optionalName("namespace"))
            let response = try await source.edges(.with { $0.selector.resource = resource })
            if case .error(let error) = response.response { throw DashboardError(.badRequest, error.error) }
            return Response.json(LinkerdJSON.edges(response.ok))
        }
        router.get("/api/check") { _, _ in Response.json(LinkerdJSON.check(try await source.selfCheck())) }
    }

    /// Reads the parameters of `/api/tps-reports`.
    static func statRequest(_ query: QueryReader) throws(DashboardError) -> Linkerd2_Viz_StatSummaryRequest {
        var request = Linkerd2_Viz_StatSummaryRequest()
        let all = query.flag("all_namespaces")
        let name = try query.optionalName("resource_name")
        if all, !name.isEmpty {
            throw DashboardError(
                .badRequest, "a resource cannot be asked for by name across all namespaces")
        }
        request.selector.resource = .named(
            try query.kind("resource_type", default: .deployment),
            namespace: all ? "" : try query.optionalName("namespace"), name: name)
        request.timeWindow = try query.window()
        request.skipStats = query.flag("skip_stats")
        request.tcpStats = query.flag("tcp_stats")
        if let peer = try peer(query, "to") {
            request.toResource = peer
        } else if let peer = try peer(query, "from") {
            request.fromResource = peer
        } else {
            request.none = .init()
        }
        return request
    }

    /// The resource in `to_…` or `from_…` parameters; `nil` when none of them is given.
    private static func peer(
        _ query: QueryReader, _ side: String
    ) throws(DashboardError) -> Linkerd2_Viz_Resource? {
        guard
            query["\(side)_type"] != nil || query["\(side)_name"] != nil || query["\(side)_namespace"] != nil
        else {
            return nil
        }
        let fallback = try query.optionalName("namespace")
        let namespace = try query.optionalName("\(side)_namespace")
        return .named(
            try query.kind("\(side)_type", default: .deployment),
            namespace: namespace.isEmpty ? fallback : namespace,
            name: try query.optionalName("\(side)_name"))
    }
}
