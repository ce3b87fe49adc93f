import MeshModel
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// An API server that answers reviews from a table of tokens and keeps the Events it is sent.
final class FakeReviews: Sendable {
    /// What a token review with a token answers.
    struct Answer: Sendable {
        var status = 201
        var review: JSONValue
        /// What the same token gets without an audience.
        var withoutAudience: JSONValue?
    }

    private struct State {
        var answers: [String: Answer] = [:]
        var isAllowed = true
        var reviews: [JSONValue] = []
        var events: [JSONValue] = []
    }

    private let state = Mutex(State())

    /// The token is good for an account.
    func accept(_ token: String, username: String) {
        answer(token, .init(review: Self.accepted(username)))
    }

    static func accepted(_ username: String) -> JSONValue {
        ["authenticated": true, "audiences": ["identity.l5d.io"], "user": ["username": .string(username)]]
    }

    func answer(_ token: String, _ answer: Answer) { state.withLock { $0.answers[token] = answer } }
    func forbid() { state.withLock { $0.isAllowed = false } }

    /// The `spec` of every token review, in order.
    var reviews: [JSONValue] { state.withLock { $0.reviews } }
    /// Every Event, in order.
    var events: [JSONValue] { state.withLock { $0.events } }

    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    /// Runs the server while `body` runs; `body` gets its URL.
    static func run(_ body: @escaping @Sendable (FakeReviews, String) async throws -> Void) async throws {
        let fake = FakeReviews()
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    return try Connection(wrappingChannelSynchronously: channel)
                }
            }
        try await server.executeThenClose { connections in
            let port = server.channel.localAddress?.port ?? 0
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await withThrowingDiscardingTaskGroup { group in
                        for try await connection in connections {
                            group.addTask { try? await fake.serve(connection) }  // A lost client is fine.
                        }
                    }
                }
                try await body(fake, "http://127.0.0.1:\(port)")
                group.cancelAll()
            }
        }
    }

    private func serve(_ connection: Connection) async throws {
        try await connection.executeThenClose { inbound, outbound in
            var head: HTTPRequestHead?
            var body = ByteBuffer()
            for try await part in inbound {
                switch part {
                case .head(let received):
                    head = received
                    body.clear()
                case .body(var piece): body.writeBuffer(&piece)
                case .end:
                    guard let head else { continue }
                    let document = try JSONValue(parsing: body.readableBytesView)
                    let (status, answer) = respond(to: head.uri, document)
                    let bytes = answer.serialized()
                    var response = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status))
                    response.headers.add(name: "content-length", value: String(bytes.count))
                    try await outbound.write(.head(response))
                    try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: bytes))))
                    try await outbound.write(.end(nil))
                }
            }
        }
    }

    private func respond(to path: String, _ document: JSONValue) -> (Int, JSONValue) {
        var answered = document
        return state.withLock { state in
            if path.hasSuffix("/events") {
                state.events.append(document)
                return (201, document)
            }
            if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" {
                let isTokenReview =
                    document.value(at: ["spec", "resourceAttributes", "resource"]) == "tokenreviews"
                answered["status"] = ["allowed": .bool(state.isAllowed && isTokenReview)]
                return (201, answered)
            }
            guard path == "/apis/authentication.k8s.io/v1/tokenreviews", let spec = document["spec"] else {
                return (
                    404, ["kind": "Status", "code": 404, "reason": "NotFound", "message": "no such path"]
                )
            }
            state.reviews.append(spec)
            guard let answer = state.answers[spec["token"]?.stringValue ?? ""] else {
                answered["status"] = ["authenticated": false, "user": [:]]
                return (201, answered)
            }
            if answer.status != 201 {
                return (
                    answer.status,
                    ["kind": "Status", "code": .int(Int64(answer.status)), "message": "broken"]
                )
            }
            let isPlain = spec["audiences"] == nil
            answered["status"] = isPlain ? answer.withoutAudience ?? answer.review : answer.review
            return (201, answered)
        }
    }
}
