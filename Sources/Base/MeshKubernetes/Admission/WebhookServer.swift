// The HTTPS server of an admission webhook: POST of an AdmissionReview at `/`, answered by a function. Whatever
// goes wrong with one request stays with it: a bad body is a 400, and a handler that fails refuses the object
// with its words, so that the person who made it reads them.

public import Logging
internal import MeshModel
internal import MeshServing
internal import NIOCore
internal import NIOHTTP1
package import NIOSSL
internal import Synchronization

/// Serves one admission webhook.
public final class WebhookServer: Sendable {
    /// Decides about one request. What it throws refuses the object in its words.
    public typealias Handler = @Sendable (AdmissionRequest) async throws -> AdmissionDecision

    /// Bytes of a review at most; longer ones are refused with 413.
    public static let bodyBytesMax = 10 << 20
    /// Connections served at once; further ones are closed.
    public static let connectionsMax = 256
    /// A connection that sends nothing for this long is closed.
    static let idleMax: TimeAmount = .seconds(60)
    /// Time for requests in flight once the server is told to end.
    static let drainMax: Duration = .seconds(5)

    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    private let host: String
    private let port: Int
    private let certificate: @Sendable () -> NIOSSLContext?
    private let handler: Handler
    private let logger: Logger
    private let listener = Mutex<ConnectionListener?>(nil)
    private let isEnding = Mutex(false)

    /// - Parameter port: 0 lets the system choose; `run` reports the choice.
    public convenience init(
        host: String = "0.0.0.0", port: Int, certificate: ServerCertificate, logger: Logger, handler: @escaping Handler
    ) {
        self.init(host: host, port: port, context: { certificate.context }, logger: logger, handler: handler)
    }

    /// - Parameters:
    ///   - port: 0 lets the system choose; `run` reports the choice.
    ///   - context: What the next connection is accepted with; without one it is closed.
    package init(
        host: String, port: Int, context certificate: @escaping @Sendable () -> NIOSSLContext?, logger: Logger,
        handler: @escaping Handler
    ) {
        self.host = host
        self.port = port
        self.certificate = certificate
        self.handler = handler
        self.logger = logger
    }

    /// Serves until cancelled or told to end.
    ///
    /// - Parameter onListening: Called once with the bound port.
    /// - Throws: When the port cannot be bound.
    public func run(onListening: @escaping @Sendable (Int) -> Void = { _ in }) async throws {
        let listener = try await ConnectionListener(host: host, port: port)
        self.listener.withLock { $0 = listener }
        if isEnding.withLock({ $0 }) { listener.close() }
        if let port = listener.port { onListening(port) }
        try await withTaskCancellationHandler {
            try await listener.serveEach(atMost: Self.connectionsMax, drain: Self.drainMax) { [certificate] channel in
                let pipeline = channel.pipeline.syncOperations
                guard let context = certificate() else { throw ChannelError.operationUnsupported }
                try pipeline.addHandler(NIOSSLServerHandler(context: context))
                try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false, withErrorHandling: true)
                try pipeline.closeWhenSilent(for: Self.idleMax)
                return try Connection(wrappingChannelSynchronously: channel)
            } serve: { connection in
                await self.serve(connection)
            }
        } onCancel: {
            beginShutdown()
        }
    }

    /// Takes no new connections, answers what is under way, and then ends `run()`.
    public func beginShutdown() {
        isEnding.withLock { $0 = true }
        listener.withLock { $0 }?.close()
    }

    private func serve(_ connection: Connection) async {
        do {
            try await connection.executeThenClose { inbound, outbound in
                var request: HTTPRequestHead?
                var body = ByteBuffer()
                for try await part in inbound {
                    switch part {
                    case .head(let head): (request, body) = (head, ByteBuffer())
                    case .body(let piece):
                        guard body.readableBytes + piece.readableBytes <= Self.bodyBytesMax else {
                            let reply = Reply.text("the body is longer than \(Self.bodyBytesMax) bytes", status: 413)
                            try await write(reply, keepsAlive: false, to: outbound)
                            return
                        }
                        body.writeImmutableBuffer(piece)
                    case .end:
                        guard let head = request else { continue }
                        request = nil
                        let keepsAlive = head.isKeepAlive && !isEnding.withLock { $0 }
                        try await write(await respond(to: head, body: body), keepsAlive: keepsAlive, to: outbound)
                        guard keepsAlive else { return }
                    }
                }
            }
        } catch {
            logger.debug("Webhook connection failed", metadata: ["error": "\(error)"])
        }
    }

    private struct Reply {
        let status: Int
        let contentType: String
        let body: [UInt8]

        static func text(_ text: String, status: Int) -> Reply {
            Reply(status: status, contentType: "text/plain; charset=utf-8", body: Array((text + "\n").utf8))
        }
    }

    private func respond(to head: HTTPRequestHead, body: ByteBuffer) async -> Reply {
        guard head.uri.prefix(while: { $0 != "?" }) == "/" else { return .text("not found", status: 404) }
        guard head.method == .POST else { return .text("only POST is supported", status: 405) }
        let review: AdmissionReview
        do { review = try AdmissionReview(JSONValue(parsing: body.readableBytesView)) } catch {
            return .text("\(error)", status: 400)
        }
        let decision: AdmissionDecision
        do { decision = try await handler(review.request) } catch {
            logger.warning(
                "Admission failed",
                metadata: [
                    "kind": "\(review.request.kind)", "namespace": "\(review.request.namespace)", "error": "\(error)",
                ])
            decision = .denied("\(error)")
        }
        return Reply(status: 200, contentType: "application/json", body: review.answer(decision).serialized())
    }

    private func write(
        _ reply: Reply, keepsAlive: Bool, to outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws {
        var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: reply.status))
        head.headers.add(name: "content-type", value: reply.contentType)
        head.headers.add(name: "content-length", value: String(reply.body.count))
        if !keepsAlive { head.headers.add(name: "connection", value: "close") }
        try await outbound.write(.head(head))
        try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: reply.body))))
        try await outbound.write(.end(nil))
    }
}
