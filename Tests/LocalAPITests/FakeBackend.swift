import Foundation
import MeshModel
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// A program inside the cluster that answers by TLS: an aggregated API, or a webhook. It records what it is asked.
final class FakeBackend: Sendable {
    struct Request: Sendable {
        let head: HTTPRequestHead
        let body: String
        /// Whether the caller showed a certificate that the configuration accepted.
        let hasCertificate: Bool
        var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }
    }

    /// What to do about a request.
    enum Reply: Sendable {
        case json(JSONValue, status: Int = 200)
        /// Sends pieces as they come, until the caller hangs up.
        case pieces(AsyncStream<String>)
        /// Closes the connection.
        case hangUp
        /// Says nothing.
        case silence
    }

    typealias Handler = @Sendable (Request) -> Reply
    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    private let recorded = Mutex<[Request]>([])
    private let hangUps = Mutex(0)
    private let open = Mutex<[any Channel]>([])

    var requests: [Request] { recorded.withLock { $0 } }
    /// Connections that the other side closed while pieces were sent.
    var hangUpCount: Int { hangUps.withLock { $0 } }

    /// Serves on a port of its own while `body` runs.
    static func run<T: Sendable>(
        _ configuration: TLSConfiguration, answering handler: @escaping Handler,
        _ body: @escaping @Sendable (FakeBackend, Int) async throws -> T
    ) async throws -> T {
        let context = try NIOSSLContext(configuration: configuration)
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withPipeliningAssistance: false)
                    return try Connection(wrappingChannelSynchronously: channel)
                }
            }
        let backend = FakeBackend()
        let port = server.channel.localAddress?.port ?? 0
        // The accepting task is never cancelled: connections that wait in its sequence would be dropped unserved, which
        // NIO takes for a mistake. Closing the listener ends it instead.
        let accepting = Task {
            try await withThrowingDiscardingTaskGroup { connections in
                try await server.executeThenClose { inbound in
                    for try await connection in inbound {
                        backend.open.withLock { $0.append(connection.channel) }
                        connections.addTask { await backend.serve(connection, handler) }
                    }
                }
            }
        }
        let result: Result<T, any Error>
        do { result = .success(try await body(backend, port)) } catch { result = .failure(error) }
        server.channel.close(promise: nil)
        for channel in backend.open.withLock({ $0 }) { channel.close(promise: nil) }
        try await accepting.value
        return try result.get()
    }

    private func serve(_ connection: Connection, _ handler: Handler) async {
        // A caller that leaves, or does not like our certificate, ends its connection only.
        try? await connection.executeThenClose { inbound, outbound in
            var head: HTTPRequestHead?
            var body = ""
            for try await part in inbound {
                switch part {
                case .head(let given): (head, body) = (given, "")
                case .body(let piece): body += String(buffer: piece)
                case .end:
                    guard let head else { return }
                    let certificate = try await connection.channel.nioSSL_peerCertificate().get()
                    let request = Request(head: head, body: body, hasCertificate: certificate != nil)
                    recorded.withLock { $0.append(request) }
                    guard try await answer(handler(request), connection.channel, outbound) else { return }
                }
            }
        }
    }

    private func answer(
        _ reply: Reply, _ channel: any Channel, _ outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws -> Bool {
        switch reply {
        case .json(let value, let status):
            let bytes = ByteBuffer(bytes: value.serialized())
            let headers: HTTPHeaders = [
                "Content-Type": "application/json", "Content-Length": "\(bytes.readableBytes)", "X-Backend": "yes",
            ]
            try await outbound.write(.head(.init(version: .http1_1, status: .init(statusCode: status), headers: headers)))
            try await outbound.write(.body(.byteBuffer(bytes)))
            try await outbound.write(.end(nil))
            return true
        case .pieces(let pieces):
            channel.closeFuture.whenComplete { _ in self.hangUps.withLock { $0 += 1 } }
            try await outbound.write(
                .head(.init(version: .http1_1, status: .ok, headers: ["Transfer-Encoding": "chunked"])))
            for await piece in pieces { try await outbound.write(.body(.byteBuffer(ByteBuffer(string: piece)))) }
            try await outbound.write(.end(nil))
            return true
        case .hangUp: return false
        case .silence:
            try await channel.closeFuture.get()
            return false
        }
    }
}

extension TestCluster {
    /// A Service of a namespace, which is made too, with one endpoint on this machine.
    func makeService(_ name: String, namespace: String, port: Int) async throws {
        try await makeNamespace(namespace)
        _ = try await call(
            .POST, "/api/v1/namespaces/\(namespace)/services",
            ["metadata": ["name": .string(name)], "spec": ["ports": [["name": "https", "port": 443]]]])
        _ = try await call(
            .POST, "/api/v1/namespaces/\(namespace)/endpoints",
            [
                "metadata": ["name": .string(name)],
                "subsets": [
                    [
                        "addresses": [["ip": "127.0.0.1"]],
                        "ports": [["name": "https", "port": .int(Int64(port))]],
                    ]
                ],
            ])
    }
}
