// The HTTPS door: the aggregated Kubernetes API, and the same paths for whoever brings a bearer token. One request at a
// time on a connection; a tap keeps its connection until the caller leaves.
//
// Errors before authorization have their HTTP status and JSON; after it they follow Linkerd's own framing: status
// 200, a `linkerd-error` header, one framed ApiError. Source: `spec/viz.md` 3.2 and 3.3, `spec/wire.md` 8.2, 8.3.

package import Logging
import MeshAPI
import MeshModel
import MeshServing
import NIOCore
import NIOHTTP1
import NIOSSL
import SwiftProtobuf

/// Serves HTTPS.
package struct HTTPDoor: Sendable {
    /// Connections at once; further ones are closed.
    package static let connectionsMax = 512
    /// Bytes of a request's body.
    static let bodyBytesMax = 1_048_576
    /// A connection that asks nothing for so long is closed; a running tap is not idle.
    static let idleMax: TimeAmount = .seconds(90)

    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    private let host: String
    private let port: Int
    private let certificate: ServingCertificate
    private let answers: TapAnswers
    private let logger: Logger

    package init(
        host: String, port: Int, certificate: ServingCertificate, answers: TapAnswers, logger: Logger
    ) {
        self.host = host
        self.port = port
        self.certificate = certificate
        self.answers = answers
        self.logger = logger
    }

    /// Serves until cancelled.
    ///
    /// - Parameter onListening: called once with the bound port.
    package func run(onListening: @Sendable (Int) -> Void = { _ in }) async throws {
        let listener = try await ConnectionListener(host: host, port: port)
        if let port = listener.port { onListening(port) }
        try await listener.serveEach(atMost: Self.connectionsMax) { [certificate] channel in
            try Self.configure(channel, certificate)
        } serve: { connection in
            await serve(connection)
        }
    }

    private static func configure(_ channel: any Channel, _ certificate: ServingCertificate) throws -> Connection {
        guard let context = certificate.context else { throw ChannelError.operationUnsupported }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(NIOSSLServerHandler(context: context))
        try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
        return try NIOAsyncChannel(
            wrappingChannelSynchronously: channel,
            configuration: .init(
                inboundType: HTTPServerRequestPart.self, outboundType: HTTPServerResponsePart.self))
    }

    private func serve(_ connection: Connection) async {
        do {
            try await connection.executeThenClose { inbound, outbound in
                var reader = inbound.makeAsyncIterator()
                while case .head(let head)? = try await reader.next() {
                    var body = ByteBuffer()
                    var isTooLong = false
                    body: while let part = try await reader.next() {
                        switch part {
                        case .body(let bytes):
                            isTooLong = isTooLong || body.readableBytes + bytes.readableBytes > Self.bodyBytesMax
                            if !isTooLong { body.writeImmutableBuffer(bytes) }
                        case .end: break body
                        case .head: return
                        }
                    }
                    let certificate = try await peerCertificate(connection.channel)
                    let request = TapHTTPRequest(head, body: body, isTooLong: isTooLong, certificate: certificate)
                    try await answer(request, reader: &reader, to: outbound)
                    guard head.isKeepAlive, !Self.isLast(request) else { return }
                }
            }
        } catch {
            // A caller that leaves ends its tap: that is how taps end.
            logger.debug("Tap connection ended", metadata: ["error": "\(error)"])
        }
    }

    /// A refused tap may have left bytes behind that nobody reads.
    private static func isLast(_ request: TapHTTPRequest) -> Bool { request.method == "POST" && request.body == nil }

    private func peerCertificate(_ channel: any Channel) async throws -> [UInt8]? {
        try await channel.nioSSL_peerCertificate().get()?.toDERBytes()
    }

    private func answer(
        _ request: TapHTTPRequest, reader: inout NIOAsyncChannelInboundStream<HTTPServerRequestPart>.AsyncIterator,
        to outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws {
        switch await answers.answer(request) {
        case .document(let response): try await Self.write(response, for: request, to: outbound)
        case .stream(_, let run):
            var head = HTTPResponseHead(version: .http1_1, status: .ok)
            head.headers.add(name: "content-type", value: "application/octet-stream")
            head.headers.add(name: "transfer-encoding", value: "chunked")
            try await outbound.write(.head(head))
            // The end of the input is the caller's leaving; without looking for it a silent tap would stay.
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await run { events in
                        try await outbound.write(.body(.byteBuffer(try TapFraming.frames(events))))
                    }
                }
                defer { group.cancelAll() }
                while let part = try await reader.next() {
                    guard case .body = part else { return }
                }
            }
        }
    }

    private static func write(
        _ response: TapHTTPResponse, for request: TapHTTPRequest,
        to outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws {
        var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: response.status))
        head.headers.add(name: "content-type", value: response.contentType)
        head.headers.add(name: "content-length", value: String(response.body.count))
        if let marker = response.errorMarker { head.headers.add(name: "linkerd-error", value: marker) }
        if response.status == 401 { head.headers.add(name: "www-authenticate", value: "Bearer") }
        if isLast(request) { head.headers.add(name: "connection", value: "close") }
        try await outbound.write(.head(head))
        try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: response.body))))
        try await outbound.write(.end(nil))
    }
}

extension TapHTTPRequest {
    init(_ head: HTTPRequestHead, body: ByteBuffer, isTooLong: Bool, certificate: [UInt8]?) {
        self.init(
            method: head.method.rawValue, path: String(head.uri.prefix { $0 != "?" }),
            headers: head.headers.map { (name: $0.name, value: $0.value) },
            body: isTooLong ? nil : Array(body.readableBytesView), certificate: certificate)
    }
}
