import MeshServing
import NIOCore
import NIOHTTP1

/// What a connection turned out to speak.
enum VizProtocol: Sendable {
    case http1
    /// Bytes that open with HTTP/2's preface, for the gRPC server.
    case http2

    /// Time for the bytes that decide.
    private static let waitMax: TimeAmount = .seconds(10)
    /// Bytes held while nobody serves the connection yet.
    private static let heldBytesMax = 1 << 20
    /// A client over HTTP/1.1 that sends nothing for this long is closed; gRPC has keep-alives of its own.
    private static let idleMax: TimeAmount = .seconds(75)
    private static let preface = Array("PRI".utf8)

    /// Tells the protocol of a connection by its first bytes; on its event loop.
    ///
    /// HTTP/2 with prior knowledge opens with `PRI * HTTP/2.0` (RFC 9113 section 3.4); no HTTP/1.1 method begins with
    /// `PRI`, so three bytes decide.
    static func detect(_ channel: any Channel) throws -> EventLoopFuture<VizProtocol> {
        try FirstBytesHandler.add(to: channel, heldBytesMax: heldBytesMax, patience: waitMax) { bytes in
            let seen = bytes.prefix(preface.count)
            guard preface.starts(with: seen) else { return .http1 }
            return seen.count == preface.count ? .http2 : nil
        }
    }

    /// Prepares the pipeline of a connection that speaks HTTP/1.1 and hands on what was held; on its event loop.
    static func http1(_ channel: any Channel) throws -> NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart> {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
        try pipeline.closeWhenSilent(for: idleMax)
        let wrapped = try NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>(
            wrappingChannelSynchronously: channel)
        FirstBytesHandler<VizProtocol>.release(channel)
        return wrapped
    }

    /// The same for one whose bytes are passed on as they are.
    static func http2(_ channel: any Channel) throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
        let wrapped = try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
        FirstBytesHandler<VizProtocol>.release(channel)
        return wrapped
    }
}
