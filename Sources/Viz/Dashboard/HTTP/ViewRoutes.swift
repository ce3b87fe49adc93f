import HTTPTypes
import Hummingbird
import MeshAPI
import MeshModel
import NIOCore
import ServiceLifecycle

/// Our own API: whole screens, once or live, and the series and graphs behind them.
struct ViewRoutes<Context: RequestContext>: Sendable {
    let source: any StatSource
    let composer: ViewComposer
    let hub: LiveHub

    func add(to router: Router<Context>) {
        let (source, composer, hub) = (source, composer, hub)
        router.get("/api/v1/view") { request, _ in
            Response.json(try await composer.document(try ViewQuery(QueryReader(request))))
        }
        router.get("/api/v1/topology") { request, _ in
            let query = QueryReader(request)
            let view = ViewQuery(
                screen: .topology(try query.optionalName("namespace")), window: try query.window(),
                atMilliseconds: try query.instant("at"))
            return Response.json(try await composer.document(view)["topology"] ?? .null)
        }
        router.get("/api/v1/series") { request, _ in
            Response.json(
                ViewJSON.series(try await source.series(try Self.seriesRequest(QueryReader(request)))))
        }
        router.get("/api/v1/live") { request, _ in
            let query = try ViewQuery(QueryReader(request))
            try await hub.checkCapacity(for: query)
            return Self.live(request, query, hub)
        }
    }

    /// Reads `kind`, `namespace`, `name`, `window`, `at`, `step` and the peer in `to_…` or `from_…`.
    static func seriesRequest(_ query: QueryReader) throws(DashboardError)
        -> Linkerd2_Viz_History_SeriesRequest
    {
        var request = Linkerd2_Viz_History_SeriesRequest()
        request.resource = .named(
            try query.kind("kind", default: .deployment), namespace: try query.optionalName("namespace"),
            name: try query.optionalName("name"))
        request.window = try query.window()
        request.atMs = try query.instant("at")
        if let step = query["step"] {
            guard let duration = GoDuration.parse(step), duration >= .seconds(1), duration <= .seconds(86_400)
            else {
                throw DashboardError(.badRequest, "invalid step \"\(step)\": between 1s and 1d")
            }
            request.stepSeconds = UInt32(clamping: duration.components.seconds)
        }
        if query["to_name"] != nil {
            request.toResource = try peer(query, "to", fallback: request.resource.namespace)
        } else if query["from_name"] != nil {
            request.fromResource = try peer(query, "from", fallback: request.resource.namespace)
        }
        return request
    }

    private static func peer(
        _ query: QueryReader, _ side: String, fallback: String
    ) throws(DashboardError) -> Linkerd2_Viz_Resource {
        let namespace = try query.optionalName("\(side)_namespace")
        return .named(
            try query.kind("\(side)_type", default: .deployment),
            namespace: namespace.isEmpty ? fallback : namespace,
            name: try query.optionalName("\(side)_name"))
    }

    /// An event stream that ends when its reader hangs up, the hub closes, or the server drains.
    private static func live(_ request: Request, _ query: ViewQuery, _ hub: LiveHub) -> Response {
        let headers: HTTPFields = [.contentType: "text/event-stream", .cacheControl: "no-store"]
        let body = ResponseBody { writer in
            do {
                try await request.body.consumeWithCancellationOnInboundClose { _ in
                    let viewer = try await hub.join(query)
                    do {
                        try await writer.write(ByteBuffer(string: "retry: 3000\n\n"))
                        for await event in viewer.events.cancelOnGracefulShutdown() {
                            try await writer.write(ByteBuffer(bytes: event.frame))
                        }
                    } catch {
                        await hub.leave(viewer)
                        throw error
                    }
                    await hub.leave(viewer)
                }
            } catch is CancellationError {
                // The reader hung up: there is nobody left to tell.
            }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }
}
