import Hummingbird
import MeshAPI
import MeshModel

/// What samples of live requests tell about any window: the past of top, and the requests behind a spike.
struct SampleRoutes<Context: RequestContext>: Sendable {
    let source: any StatSource
    /// Whether single requests are shown: only where live ones are.
    let showsRequests: Bool

    func add(to router: Router<Context>) {
        let (source, showsRequests) = (source, showsRequests)
        router.get("/api/v1/top") { request, _ in
            Response.json(SampleJSON.top(try await source.top(try Self.topRequest(QueryReader(request)))))
        }
        router.get("/api/v1/exemplars") { request, _ in
            guard showsRequests else {
                throw DashboardError(.forbidden, "this dashboard shows no single requests; linkerd viz exemplars does")
            }
            return Response.json(
                SampleJSON.exemplars(try await source.exemplars(try Self.exemplarsRequest(QueryReader(request)))))
        }
    }

    /// Reads `kind`, `namespace`, `name`, `window`, `at`, the peer in `to_…`, `method` and `path`.
    static func topRequest(_ query: QueryReader) throws(DashboardError) -> Linkerd2_Viz_History_TopRequest {
        var request = Linkerd2_Viz_History_TopRequest()
        request.resource = try resource(query)
        if let to = try peer(query, request.resource) { request.toResource = to }
        request.window = try query.window()
        request.atMs = try query.instant("at")
        request.method = query["method"]?.uppercased() ?? ""
        request.path = query["path"] ?? ""
        return request
    }

    /// Reads the same without `method` and `path`, and `limit`.
    static func exemplarsRequest(_ query: QueryReader) throws(DashboardError) -> Linkerd2_Viz_History_ExemplarsRequest {
        var request = Linkerd2_Viz_History_ExemplarsRequest()
        request.resource = try resource(query)
        if let to = try peer(query, request.resource) { request.toResource = to }
        request.window = try query.window()
        request.atMs = try query.instant("at")
        if let text = query["limit"] {
            guard let limit = UInt32(text), (1...100).contains(limit) else {
                throw DashboardError(.badRequest, "invalid limit \"\(text)\": between 1 and 100")
            }
            request.limit = limit
        }
        return request
    }

    private static func resource(_ query: QueryReader) throws(DashboardError) -> Linkerd2_Viz_Resource {
        .named(
            try query.kind("kind", default: .deployment), namespace: try query.optionalName("namespace"),
            name: try query.optionalName("name"))
    }

    private static func peer(
        _ query: QueryReader, _ own: Linkerd2_Viz_Resource
    ) throws(DashboardError) -> Linkerd2_Viz_Resource? {
        guard query["to_name"] != nil else { return nil }
        let namespace = try query.optionalName("to_namespace")
        return .named(
            try query.kind("to_type", default: .deployment), namespace: namespace.isEmpty ? own.namespace : namespace,
            name: try query.optionalName("to_name"))
    }
}
