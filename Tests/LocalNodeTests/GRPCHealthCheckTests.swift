import LocalNode
import NIOCore
import NIOPosix
import Testing

@Suite("gRPC health checks", .timeLimit(.minutes(1))) struct GRPCHealthCheckTests {
    private static func frame(_ type: UInt8, _ flags: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [0, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF), type, flags, 0, 0, 0, 1] + payload
    }

    private static let settings = frame(4, 0, [])
    private static let head = frame(1, 4, [0x88])
    private static let trailers = frame(1, 5, [0x88])
    private static func message(_ body: [UInt8]) -> [UInt8] { [0, 0, 0, 0, UInt8(body.count)] + body }

    @Test(
        "The message decides, in whatever pieces it comes",
        arguments: [
            ([8, 1], GRPCHealthCheck.Outcome.serving),
            ([8, 2], .failed("service unhealthy (responded with \"NOT_SERVING\")")),
            ([], .failed("service unhealthy (responded with \"UNKNOWN\")")),
        ])
    func decides(body: [UInt8], expected: GRPCHealthCheck.Outcome) {
        let answer = Self.settings + Self.head + Self.frame(0, 0, Self.message(body)) + Self.trailers
        var whole = GRPCHealthCheck()
        #expect(whole.received(answer) == expected)
        for size in 1..<answer.count {
            var check = GRPCHealthCheck()
            var outcome = GRPCHealthCheck.Outcome.pending
            for start in stride(from: 0, to: answer.count, by: size) where outcome == .pending {
                outcome = check.received(answer[start..<min(start + size, answer.count)])
            }
            #expect(outcome == expected, "pieces of \(size)")
        }
    }

    @Test("Failed calls, resets and nonsense are failures in words")
    func fails() {
        func outcome(_ bytes: [UInt8]) -> GRPCHealthCheck.Outcome {
            var check = GRPCHealthCheck()
            return check.received(Self.settings + bytes)
        }
        #expect(outcome(Self.trailers) == .failed("the server does not serve the health protocol"))
        #expect(outcome(Self.frame(3, 0, [0, 0, 0, 7])) == .failed("the call was reset"))
        #expect(outcome(Self.frame(7, 0, [])) == .failed("the server is going away"))
        #expect(outcome(Self.frame(0, 1, [0, 0, 0, 0, 9, 8])) == .failed("the answer ended early"))
        #expect(outcome(Self.frame(0, 9, [200])) == .failed("the answer is malformed"))
        #expect(outcome([0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 1]) == .failed("the answer is too long"))
        #expect(outcome(Self.frame(0, 9, [2] + Self.message([8, 1]) + [0, 0])) == .serving)
        #expect(outcome(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)) == .failed("the answer is too long"))
    }

    @Test("Settings are acknowledged, and the request opens as HTTP/2 does")
    func converses() {
        var check = GRPCHealthCheck()
        #expect(check.received(Self.settings) == .pending)
        #expect(check.outgoing == [0, 0, 0, 4, 1, 0, 0, 0, 0])
        let request = GRPCHealthCheck.request(service: "shop", authority: "10.0.0.1:80")
        #expect(request.starts(with: Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)))
        #expect(Array(request.suffix(20)) == [0, 0, 11, 0, 1, 0, 0, 0, 1] + Self.message([0x0A, 4] + Array("shop".utf8)))
    }

    @Test("Over a socket: one that serves, one that hangs up, one that is not there")
    func overSockets() async throws {
        let answer = Self.settings + Self.head + Self.frame(0, 0, Self.message([8, 1])) + Self.trailers
        let prober = Prober()
        for (reply, expected) in [(answer, nil as String?), ([], "no answer")] {
            let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Answering(reply))
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let port = try #require(server.localAddress?.port)
            let failure = await prober.failure(
                ofHealthCheck: "", address: "127.0.0.1", port: port, timeoutSeconds: 5)
            #expect((failure == nil) == (expected == nil))
            if let expected { #expect(failure?.contains(expected) == true || failure?.contains("dial") == true) }
            try await server.close()
            let gone = await prober.failure(ofHealthCheck: "", address: "127.0.0.1", port: port, timeoutSeconds: 5)
            #expect(gone?.hasPrefix("dial tcp 127.0.0.1:\(port)") == true)
        }
        await prober.shutdown()
    }
}

/// Answers the first bytes of a connection with its own, or hangs up when it has none.
private final class Answering: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let reply: [UInt8]

    init(_ reply: [UInt8]) { self.reply = reply }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if reply.isEmpty {
            context.close(promise: nil)
        } else {
            context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(bytes: reply)), promise: nil)
        }
    }
}
