import MeshCompression
import MeshMetrics
import MeshModel
import NIOCore

/// A request to the admin port, whichever version of HTTP it came by.
struct AdminRequest: Sendable {
    var method: String
    /// Without the query.
    var path: String
    var query: String
    var body: String = ""
    var isFromLoopback: Bool
    /// The `Accept` fields, joined; empty when there are none.
    var accept: String = ""
    var acceptsGzip = false

    /// Takes a request target apart.
    init(method: String, target: String, isFromLoopback: Bool) {
        self.method = method
        path = String(target.prefix { $0 != "?" })
        query = String(target.drop { $0 != "?" }.dropFirst())
        self.isFromLoopback = isFromLoopback
    }

    /// Notes one header field; names are compared without case.
    mutating func take(name: String, value: String) {
        switch name.lowercased() {
        case "accept": accept += accept.isEmpty ? value.lowercased() : "," + value.lowercased()
        case "accept-encoding": acceptsGzip = acceptsGzip || value.lowercased().contains("gzip")
        default: break
        }
    }
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

    /// All fields, names in lower case; the length always, except where there can be none.
    var fields: [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        if !body.isEmpty { fields.append(("content-type", contentType)) }
        if status != 204 { fields.append(("content-length", "\(body.count)")) }
        return fields + extraFields
    }

    /// As HTTP/1 writes it.
    func bytes(isHead: Bool, keepsConnection: Bool) -> ByteBuffer {
        var text = "HTTP/1.1 \(status) \(Self.reasons[status] ?? "Unknown")\r\n"
        for field in fields { text += "\(field.name): \(field.value)\r\n" }
        if !keepsConnection { text += "connection: close\r\n" }
        var buffer = ByteBuffer(string: text + "\r\n")
        if !isHead { buffer.writeBytes(body) }
        return buffer
    }

    private static let reasons = [
        200: "OK", 204: "No Content", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
        405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout", 413: "Content Too Large",
        500: "Internal Server Error", 503: "Service Unavailable",
    ]
}

/// Which path answers what. Methods are only looked at where the reference does.
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
        let isOpenMetrics = request.accept.contains("application/openmetrics-text")
        do {
            var response = AdminResponse(status: 200)
            response.body = try await state.metrics.exposition(isOpenMetrics ? .openMetrics : .prometheus)
            // The reference says `text/plain` without a version, and never OpenMetrics; who asks for that by name
            // is given it.
            if isOpenMetrics { response.contentType = ExpositionFormat.openMetrics.contentType }
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
        guard !state.log.isOff else { return AdminResponse(status: 404) }
        guard request.isFromLoopback else { return localOnly }
        switch request.method {
        case "GET": return AdminResponse(status: 200, state.log.text)
        case "PUT":
            return state.log.set(request.body)
                ? AdminResponse(status: 204)
                : AdminResponse(status: 400, "not a log filter, such as warn,linkerd=debug: \(request.body)\n")
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
        guard request.method == "GET" else { return notAllowed("GET") }
        guard request.acceptsJSON else { return AdminResponse(status: 406) }
        guard !request.query.contains("=") else {
            return json(400, .object(["error": .string("query parameters take no value")]))
        }
        let names = request.query.split(separator: "&").map(String.init)
        var object: [String: JSONValue] = [:]
        if names.isEmpty {
            object = state.environment.mapValues { .string($0) }
        } else {
            for name in names { object[name] = state.environment[name].map { .string($0) } ?? JSONValue.null }
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

extension AdminRequest {
    /// Whether JSON is among what the client takes; a client that says nothing takes anything.
    fileprivate var acceptsJSON: Bool {
        guard !accept.isEmpty else { return true }
        return accept.split(separator: ",").contains { item in
            let parts = item.split(separator: ";").map { $0.filter { $0 != " " } }
            let isRefused = parts.dropFirst().contains { ["q=0", "q=0.0", "q=0.00", "q=0.000"].contains($0) }
            return !isRefused && ["*/*", "application/*", "application/json"].contains(parts.first ?? "")
        }
    }
}
