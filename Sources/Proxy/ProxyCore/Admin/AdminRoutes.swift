import MeshCompression
import MeshModel
import NIOCore

/// A request to the admin port.
struct AdminRequest: Sendable {
    let method: String
    let path: String
    let query: String
    let body: String
    let isFromLoopback: Bool
    let acceptsGzip: Bool
}

/// An answer of the admin port.
struct AdminResponse: Sendable {
    var status: Int
    var contentType = "text/plain"
    var body: [UInt8] = []
    var extraFields: [(name: String, value: String)] = []

    init(status: Int, _ text: String = "") {
        self.status = status
        body = Array(text.utf8)
    }

    func bytes(isHead: Bool, keepsConnection: Bool) -> ByteBuffer {
        var text = "HTTP/1.1 \(status) \(Self.reasons[status] ?? "Unknown")\r\n"
        if !body.isEmpty { text += "content-type: \(contentType)\r\n" }
        if status != 204 { text += "content-length: \(body.count)\r\n" }
        for field in extraFields { text += "\(field.name): \(field.value)\r\n" }
        if !keepsConnection { text += "connection: close\r\n" }
        var buffer = ByteBuffer(string: text + "\r\n")
        if !isHead { buffer.writeBytes(body) }
        return buffer
    }

    private static let reasons = [
        200: "OK", 204: "No Content", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
        405: "Method Not Allowed", 500: "Internal Server Error", 503: "Service Unavailable",
    ]
}

/// Which path answers what.
enum AdminRoutes {
    static func answer(_ request: AdminRequest, _ state: AdminState) async -> AdminResponse {
        switch request.path {
        case "/live": return AdminResponse(status: 200, "live\n")
        case "/ready":
            return state.isReady()
                ? AdminResponse(status: 200, "ready\n") : AdminResponse(status: 503, "not ready\n")
        case "/metrics": return await metrics(request, state)
        case "/proxy-log-level": return logLevel(request, state)
        case "/shutdown": return shutdown(request, state)
        case "/env.json": return environment(request, state)
        default: return AdminResponse(status: 404)
        }
    }

    private static func metrics(_ request: AdminRequest, _ state: AdminState) async -> AdminResponse {
        do {
            var response = AdminResponse(status: 200)
            response.body = try await state.metrics.exposition()
            // Label sets repeat: the fastest level already takes nine tenths off.
            if request.acceptsGzip {
                response.body = Array(buffer: try Gzip.compress(ByteBuffer(bytes: response.body), level: 1))
                response.extraFields = [("content-encoding", "gzip")]
            }
            return response
        } catch {
            return AdminResponse(status: 500)  // The loops are gone: the process is ending.
        }
    }

    private static let localOnly = AdminResponse(status: 403, "Requests are only permitted from localhost.")

    private static func logLevel(_ request: AdminRequest, _ state: AdminState) -> AdminResponse {
        guard request.isFromLoopback else { return localOnly }
        switch request.method {
        case "GET": return AdminResponse(status: 200, state.logFilter())
        case "PUT":
            return state.setLogFilter(request.body)
                ? AdminResponse(status: 204) : AdminResponse(status: 400, "not a log filter: \(request.body)")
        default: return notAllowed("GET, PUT")
        }
    }

    private static func shutdown(_ request: AdminRequest, _ state: AdminState) -> AdminResponse {
        guard state.isShutdownEnabled else {
            return AdminResponse(status: 404, "shutdown endpoint is not enabled\n")
        }
        guard request.isFromLoopback else { return localOnly }
        guard request.method == "POST" else { return notAllowed("POST") }
        state.shutdown()
        return AdminResponse(status: 200, "shutdown\n")
    }

    private static func environment(_ request: AdminRequest, _ state: AdminState) -> AdminResponse {
        guard request.method == "GET" || request.method == "HEAD" else { return notAllowed("GET") }
        guard !request.query.contains("=") else {
            return json(400, .object(["error": .string("query parameters take no value")]))
        }
        let names = request.query.split(separator: "&").map(String.init)
        var object: [String: JSONValue] = [:]
        if names.isEmpty {
            object = state.environment.mapValues { .string($0) }
        } else {
            for name in names { object[name] = state.environment[name].map { .string($0) } ?? .null }
        }
        return json(200, .object(object))
    }

    private static func json(_ status: Int, _ value: JSONValue) -> AdminResponse {
        var response = AdminResponse(status: status)
        response.contentType = "application/json"
        response.body = value.serialized()
        return response
    }

    private static func notAllowed(_ methods: String) -> AdminResponse {
        var response = AdminResponse(status: 405)
        response.extraFields = [("allow", methods)]
        return response
    }
}
