internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// The cluster's names, replaced whole when services change.
final class ClusterNames: Sendable {
    private let zone: Mutex<DNSZone>

    init(clusterDomain: String) { zone = Mutex(DNSZone(clusterDomain: clusterDomain)) }

    func replace(_ fresh: DNSZone) { zone.withLock { $0 = fresh } }

    /// The message that answers the message `bytes`; `nil` when it deserves none.
    func answer(_ bytes: [UInt8], isStream: Bool) -> [UInt8]? {
        let query: DNSQuery
        do {
            query = try DNSQuery(parsing: bytes)
        } catch .isAnswer {
            return nil  // Answering answers makes loops.
        } catch {
            return Self.formatError(for: bytes)
        }
        guard query.opcode == 0, query.recordClass == 1 else {
            return DNSAnswer(code: .refused).encoded(for: query, bytesMax: .max)
        }
        var answer = zone.withLock { $0 }.answer(name: query.name, type: query.type)
        answer.answers.shuffle()  // The poor man's balancing that headless clients expect.
        return answer.encoded(for: query, bytesMax: isStream ? 65_535 : query.answerBytesMax)
    }

    private static func formatError(for bytes: [UInt8]) -> [UInt8]? {
        guard bytes.count >= 2 else { return nil }
        return [bytes[0], bytes[1], 0x80, DNSAnswer.Code.formatError.rawValue]
            + [UInt8](repeating: 0, count: 8)
    }
}

/// Cluster DNS by UDP and TCP. Nothing is forwarded: a name outside the cluster does not exist.
struct DNSServer: Sendable {
    let address: String
    let port: Int
    let names: ClusterNames
    let logger: Logger

    /// Serves until cancelled.
    func run() async throws {
        let names = names
        let group = MultiThreadedEventLoopGroup.singleton
        let datagrams = try await DatagramBootstrap(group: group)
            .channelOption(.socketOption(.so_reuseaddr), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DNSDatagramHandler(names: names))
                }
            }
            .bind(host: address, port: port).get()
        let streams = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DNSStreamHandler(names: names))
                }
            }
            .bind(host: address, port: port).get()
        logger.info("Cluster DNS listens", metadata: ["address": "\(address):\(port)"])
        try await withTaskCancellationHandler {
            try await datagrams.closeFuture.get()
            try await streams.closeFuture.get()
        } onCancel: {
            datagrams.close(promise: nil)
            streams.close(promise: nil)
        }
    }
}

private final class DNSDatagramHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>
    private let names: ClusterNames

    init(names: ClusterNames) { self.names = names }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        guard let answer = names.answer(Array(envelope.data.readableBytesView), isStream: false) else {
            return
        }
        let reply = AddressedEnvelope(remoteAddress: envelope.remoteAddress, data: ByteBuffer(bytes: answer))
        context.writeAndFlush(wrapOutboundOut(reply), promise: nil)
    }

    /// One client's unreachable port must not end the service for all.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

/// Messages behind a two-byte length, RFC 1035 section 4.2.2.
private final class DNSStreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let names: ClusterNames
    private var input = ByteBuffer()

    init(names: ClusterNames) { self.names = names }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        input.writeImmutableBuffer(unwrapInboundIn(data))
        while let message = input.readLengthPrefixedSlice(as: UInt16.self) {
            guard let answer = names.answer(Array(message.readableBytesView), isStream: true) else {
                continue
            }
            var reply = ByteBuffer()
            reply.writeInteger(UInt16(clamping: answer.count))
            reply.writeBytes(answer)
            context.writeAndFlush(wrapOutboundOut(reply), promise: nil)
        }
        input.discardReadBytes()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
