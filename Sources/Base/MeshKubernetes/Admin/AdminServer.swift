// The admin port of a controller: health, readiness and metrics over HTTP/1.1. It is not for traffic:
// few connections, small answers, each rendered on demand.

public import Logging
internal import MeshMetrics
internal import MeshServing
internal import NIOCore
internal import NIOHTTP1

/// An answer of the admin port.
public struct AdminResponse: Sendable, Equatable {
    public let status: Int
    public let contentType: String
    public let body: [UInt8]

    public init(status: Int, contentType: String, body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    /// Plain text.
    public static func text(_ text: String, status: Int = 200) -> AdminResponse {
        AdminResponse(status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
    }

    /// Prometheus exposition text.
    public static func metrics(_ body: [UInt8]) -> AdminResponse {
        AdminResponse(status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", body: body)
    }
}

/// A small HTTP/1.1 server for `/ping`, `/live`, `/ready`, `/metrics` and the like.
public struct AdminServer: Sendable {
    /// Renders the answer for one path.
    public typealias Route = @Sendable () async -> AdminResponse

    /// Connections served at once; further ones are closed.
    public static let connectionsMax = 64
    /// A connection that sends nothing for this long is closed.
    static let idleMax: TimeAmount = .seconds(60)

    private let host: String
    private let port: Int
    private let routes: [String: Route]
    private let logger: Logger

    /// - Parameters:
    ///   - port: 0 lets the system choose; `run` reports the choice.
    ///   - routes: Exact paths (without query) and what they answer; any other path is 404.
    public init(host: String = "0.0.0.0", port: Int, routes: [String: Route], logger: Logger) {
        self.host = host
        self.port = port
        self.routes = routes
        self.logger = logger
    }

    /// The usual routes of a controller.
    ///
    /// - Parameters:
    ///   - isReady: `/ready` answers 503 until this is true.
    ///   - metrics: the controller's own families; those of the process follow them.
    public static func standardRoutes(
        isReady: @escaping @Sendable () -> Bool, metrics: @escaping @Sendable () -> [UInt8]
    ) -> [String: Route] {
        [
            "/ping": { .text("pong\n") },
            "/live": { .text("ok\n") },
            "/ready": { isReady() ? .text("ok\n") : .text("not ready\n", status: 503) },
            "/metrics": { .metrics(metrics() + ProcessStatistics.exposition()) },
        ]
    }

    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    /// Serves until the task is cancelled.
    ///
    /// - Parameter onListening: Called once with the bound port.
    /// - Throws: When the port cannot be bound.
    public func run(onListening: @Sendable (Int) -> Void = { _ in }) async throws {
        let listener = try await ConnectionListener(host: host, port: port)
        if let port = listener.port { onListening(port) }
        try await listener.serveEach(atMost: Self.connectionsMax) { channel in
            try channel.syncOptions?.setOption(.maxMessagesPerRead, value: 1)
            let pipeline = channel.pipeline.syncOperations
            try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
            try pipeline.closeWhenSilent(for: Self.idleMax)
            return try Connection(wrappingChannelSynchronously: channel)
        } serve: { connection in
            await serve(connection)
        }
    }

    private func serve(_ connection: Connection) async {
        do {
            try await connection.executeThenClose { inbound, outbound in
                var request: HTTPRequestHead?
                for try await part in inbound {
                    switch part {
                    case .head(let head): request = head
                    case .body: continue  // Nothing here takes a body.
                    case .end:
                        guard let head = request else { continue }
                        request = nil
                        let response = await respond(to: head)
                        try await write(response, for: head, to: outbound)
                        guard head.isKeepAlive else { return }
                    }
                }
            }
        } catch {
            logger.debug("Admin connection failed", metadata: ["error": "\(error)"])
        }
    }

    private func respond(to head: HTTPRequestHead) async -> AdminResponse {
        guard head.method == .GET || head.method == .HEAD else {
            return .text("method not allowed\n", status: 405)
        }
        let path = head.uri.prefix { $0 != "?" }
        guard let route = routes[String(path)] else { return .text("not found\n", status: 404) }
        return await route()
    }

    private func write(
        _ response: AdminResponse, for request: HTTPRequestHead,
        to outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws {
        var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: response.status))
        head.headers.add(name: "content-type", value: response.contentType)
        head.headers.add(name: "content-length", value: String(response.body.count))
        if !request.isKeepAlive { head.headers.add(name: "connection", value: "close") }
        try await outbound.write(.head(head))
        if request.method != .HEAD {
            try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: response.body))))
        }
        try await outbound.write(.end(nil))
    }
}
