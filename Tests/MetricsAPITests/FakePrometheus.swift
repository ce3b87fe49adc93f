import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// A server that answers every query alike and remembers how it was asked.
final class FakePrometheus: Sendable {
    struct Asked: Sendable {
        let uri: String
        let headers: [String: String]
        let body: String
    }

    private let state = Mutex((status: 200, body: #"{"status":"success","data":{"resultType":"vector","result":[]}}"#, asked: [Asked]()))

    var asked: [Asked] { state.withLock { $0.asked } }

    /// What is answered from now on.
    func answer(_ status: Int, _ body: String) { state.withLock { ($0.status, $0.body) = (status, body) } }

    /// Runs the server while `body` runs.
    ///
    /// - Parameter tls: Serves HTTPS.
    static func run(
        tls: TLSConfiguration? = nil, _ body: (FakePrometheus, _ port: Int) async throws -> Void
    ) async throws {
        let fake = FakePrometheus()
        let context = try tls.map { try NIOSSLContext(configuration: $0) }
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let context { try pipeline.addHandler(NIOSSLServerHandler(context: context)) }
                    try pipeline.configureHTTPServerPipeline()
                    return try NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>(
                        wrappingChannelSynchronously: channel)
                }
            }
        try await server.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { group in
                group.addTask {
                    await withDiscardingTaskGroup { inner in
                        do {
                            for try await connection in connections {
                                // A client that breaks off is what some tests are about.
                                inner.addTask { try? await fake.serve(connection) }
                            }
                        } catch { inner.cancelAll() }  // The test is over.
                    }
                }
                try await body(fake, server.channel.localAddress?.port ?? 0)
                group.cancelAll()
            }
        }
    }

    private func serve(_ connection: NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>) async throws {
        try await connection.executeThenClose { inbound, outbound in
            var head: HTTPRequestHead?
            var body = ""
            for try await part in inbound {
                switch part {
                case .head(let new): (head, body) = (new, "")
                case .body(let bytes): body += String(buffer: bytes)
                case .end:
                    guard let request = head else { continue }
                    let headers = Dictionary(
                        request.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { $1 })
                    let (status, answer) = state.withLock { state in
                        state.asked.append(Asked(uri: request.uri, headers: headers, body: body))
                        return (state.status, state.body)
                    }
                    var response = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status))
                    response.headers.add(name: "content-length", value: "\(answer.utf8.count)")
                    try await outbound.write(.head(response))
                    try await outbound.write(.body(.byteBuffer(ByteBuffer(string: answer))))
                    try await outbound.write(.end(nil))
                }
            }
        }
    }
}
