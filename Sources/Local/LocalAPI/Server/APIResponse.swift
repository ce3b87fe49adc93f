import MeshModel
import NIOCore
import NIOHTTP1
import Synchronization

/// What a request is answered with.
enum APIResponse: Sendable {
    /// A whole answer.
    case full(status: Int, headers: [(String, String)], body: ByteBuffer)
    /// An answer that is written as it comes about. What it throws before it has started becomes the answer.
    case stream(@Sendable (ResponseStream) async throws -> Void)

    static func json(_ value: JSONValue, status: Int = 200, warnings: [String] = []) -> APIResponse {
        bytes(ByteBuffer(bytes: value.serialized()), status: status, warnings: warnings)
    }

    static func text(_ text: String, status: Int = 200) -> APIResponse {
        bytes(ByteBuffer(string: text), status: status, contentType: "text/plain; charset=utf-8")
    }

    static func bytes(
        _ body: ByteBuffer, status: Int = 200, warnings: [String] = [],
        contentType: String = "application/json"
    ) -> APIResponse {
        var headers = [("Content-Type", contentType)]
        for warning in warnings {
            // Texts of webhooks come from elsewhere and must not be able to end the header.
            let line = String(warning.map { $0.isNewline || ($0.asciiValue ?? 32) < 32 ? " " : $0 })
            let quoted = line.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            headers.append(("Warning", "299 - \"\(quoted)\""))
        }
        return .full(status: status, headers: headers, body: body)
    }

    static func failure(_ error: StatusError) -> APIResponse {
        var headers = [("Content-Type", "application/json")]
        if error.code == 503 || error.code == 429 { headers.append(("Retry-After", "1")) }
        return .full(
            status: error.code, headers: headers, body: ByteBuffer(bytes: error.document.serialized()))
    }
}

/// The body of an answer that is written piece by piece. Writing waits while the client does not read.
final class ResponseStream: Sendable {
    private let request: HTTPRequestHead
    private let keepsAlive: Bool
    private let outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    private let channel: any Channel
    private let startedStatus = Mutex(0)

    init(
        request: HTTPRequestHead, keepsAlive: Bool,
        outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>,
        channel: any Channel
    ) {
        self.request = request
        self.keepsAlive = keepsAlive
        self.outbound = outbound
        self.channel = channel
    }

    /// Whether the head has been sent.
    var isStarted: Bool { status != 0 }
    /// The status that was sent; 0 before that.
    var status: Int { startedStatus.withLock { $0 } }

    /// Sends the head; to be called once, first. Without a `Content-Length` the body goes in chunks.
    func start(status: Int = 200, headers: [(String, String)]) async throws {
        startedStatus.withLock { $0 = status }
        var answer = HTTPResponseHead(version: request.version, status: .init(statusCode: status))
        for (name, value) in headers { answer.headers.add(name: name, value: value) }
        if !answer.headers.contains(name: "Content-Length") {
            answer.headers.add(name: "Transfer-Encoding", value: "chunked")
        }
        if !keepsAlive { answer.headers.replaceOrAdd(name: "Connection", value: "close") }
        try await outbound.write(.head(answer))
    }

    /// Sends one piece.
    ///
    /// - Throws: when the client has gone.
    func write(_ piece: ByteBuffer) async throws {
        try await outbound.write(.body(.byteBuffer(piece)))
    }

    /// Calls `body` when the client hangs up, at once if it already has.
    func onHangUp(_ body: @escaping @Sendable () -> Void) {
        channel.closeFuture.whenComplete { _ in body() }
    }

    /// Whether the client is still there.
    var isOpen: Bool { channel.isActive }
}
