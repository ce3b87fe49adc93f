import MeshTLS
import MeshTestPKI
import NIOCore
import NIOEmbedded
import Testing

/// Behind the TLS handler: keeps what comes, in order.
private final class Recorder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    var text = ""
    var established: [TLSPeer] = []
    var errors: [TLSError] = []
    var isInputClosed = false
    var isInactive = false
    var readsCompleted = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        text += String(buffer: unwrapInboundIn(data))
    }
    func channelReadComplete(context: ChannelHandlerContext) { readsCompleted += 1 }
    func channelInactive(context: ChannelHandlerContext) { isInactive = true }
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? TLSError { errors.append(error) }
    }
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSEstablished { established.append(event.peer) }
        if let event = event as? ChannelEvent, event == .inputClosed { isInputClosed = true }
    }
}

/// In front of the TLS handler: counts what reaches the socket.
private final class Socket: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    var writes = 0
    var flushes = 0
    var reads = 0
    var closes: [CloseMode] = []

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        writes += 1
        context.write(data, promise: promise)
    }
    func flush(context: ChannelHandlerContext) {
        flushes += 1
        context.flush()
    }
    func read(context: ChannelHandlerContext) {
        reads += 1
        context.read()
    }
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        closes.append(mode)
        // The embedded channel knows no half-close.
        if mode == .all { context.close(mode: mode, promise: promise) } else { promise?.succeed() }
    }
}

/// One end: an embedded channel with the handler between socket and recorder.
private struct End {
    let channel: EmbeddedChannel
    let socket = Socket()
    let recorder = Recorder()

    init(_ session: TLSSession, timeout: TimeAmount = .seconds(10), allowsHalf: Bool = true) throws {
        channel = EmbeddedChannel()
        channel.allowRemoteHalfClosure = allowsHalf
        let handler = TLSHandler(session, handshakeTimeout: timeout)
        for handler in [socket, handler, recorder] as [any ChannelHandler] {
            try channel.pipeline.syncOperations.addHandler(handler)
        }
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    func write(_ text: String) -> EventLoopFuture<Void> { channel.writeAndFlush(ByteBuffer(string: text)) }

    /// Carries what this end wrote to another, in chunks.
    func carry(to other: End, chunkBytes: Int = .max) throws -> Bool {
        var isMoved = false
        while var wire = try channel.readOutbound(as: ByteBuffer.self) {
            isMoved = isMoved || wire.readableBytes > 0
            while wire.readableBytes > 0,
                let chunk = wire.readSlice(length: min(chunkBytes, wire.readableBytes))
            {
                // A failed session throws its error here; the recorder has it too.
                if other.channel.isActive { _ = try? other.channel.writeInbound(chunk) }
            }
        }
        return isMoved
    }
}

@Suite("TLS in a pipeline", .timeLimit(.minutes(1))) struct HandlerTests {
    let mesh: TestMesh

    init() throws { mesh = try TestMesh.shared.get() }

    private func ends(
        timeout: TimeAmount = .seconds(10), allowsHalf: Bool = true,
        _ options: TLSClientOptions = TLSClientOptions(serverIdentity: TestMesh.web)
    ) throws -> (client: End, server: End) {
        let client = try End(TLSSession(mesh.client, options), timeout: timeout, allowsHalf: allowsHalf)
        let server = try End(
            TLSSession(mesh.server, TLSServerOptions()), timeout: timeout, allowsHalf: allowsHalf)
        return (client, server)
    }

    private func pump(_ client: End, _ server: End, chunkBytes: Int = .max) throws {
        while true {
            let up = try client.carry(to: server, chunkBytes: chunkBytes)
            let down = try server.carry(to: client, chunkBytes: chunkBytes)
            if !up, !down { return }
        }
    }

    @Test("One event tells who is there, and early writes leave after it", arguments: [Int.max, 100, 1])
    func establishes(chunkBytes: Int) throws {
        let (client, server) = try ends()
        let early = client.write("early")
        try pump(client, server, chunkBytes: chunkBytes)
        try early.wait()
        #expect(client.recorder.established.map(\.identity) == [TestMesh.web])
        #expect(server.recorder.established.map(\.identity) == [TestMesh.bot])
        #expect(server.recorder.text == "early")
        try server.write("answer").wait()
        try pump(client, server, chunkBytes: chunkBytes)
        #expect(client.recorder.text == "answer")
    }

    @Test("Writes of one flush reach the socket as one, and each promise is kept")
    func gathers() throws {
        let (client, server) = try ends()
        try pump(client, server)
        let (writes, flushes) = (client.socket.writes, client.socket.flushes)
        let promises = ["a", "", "b", "c"].map { client.channel.write(ByteBuffer(string: $0)) }
        #expect(client.socket.writes == writes)
        client.channel.flush()
        #expect(client.socket.writes == writes + 1 && client.socket.flushes == flushes + 1)
        for promise in promises { try promise.wait() }
        try client.write("").wait()
        try pump(client, server)
        #expect(server.recorder.text == "abc")
    }

    @Test("Writes behind the last flush wait for the next one")
    func unflushed() throws {
        let (client, server) = try ends()
        _ = client.write("flushed ")
        _ = client.channel.write(ByteBuffer(string: "later"))
        try pump(client, server)
        #expect(server.recorder.text == "flushed ")
        client.channel.flush()
        try pump(client, server)
        #expect(server.recorder.text == "flushed later")
    }

    @Test("A read that gives no whole record is asked for again, and one that gives bytes is not")
    func readsAgain() throws {
        let (client, server) = try ends()
        try pump(client, server)
        _ = client.write("0123456789")
        var wire = try #require(try client.channel.readOutbound(as: ByteBuffer.self))
        server.channel.read()
        var reads = server.socket.reads
        let torn = wire.readSlice(length: 7)
        try server.channel.writeInbound(try #require(torn))
        #expect(server.socket.reads == reads + 1)
        reads = server.socket.reads
        try server.channel.writeInbound(wire)
        #expect(server.recorder.text == "0123456789")
        #expect(server.socket.reads == reads)
    }

    @Test("close_notify becomes the end of the input, and closing the output sends it")
    func halfClose() throws {
        let (client, server) = try ends()
        _ = client.write("bye")
        client.channel.close(mode: .output, promise: nil)  // Before the handshake is over.
        #expect(client.socket.closes.isEmpty)
        try pump(client, server)
        #expect(client.socket.closes == [.output])
        #expect(server.recorder.text == "bye" && server.recorder.isInputClosed)
        #expect(throws: ChannelError.self) { try client.write("more").wait() }
        // What FIN says then is known already.
        server.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        try server.write("still here").wait()
        server.channel.close(mode: .output, promise: nil)
        try pump(client, server)
        #expect(client.recorder.text == "still here" && client.recorder.isInputClosed)
        #expect(client.recorder.errors.isEmpty && server.recorder.errors.isEmpty)
    }

    @Test("Where half-close is not allowed, close_notify closes the channel")
    func fullClose() throws {
        let (client, server) = try ends(allowsHalf: false)
        try pump(client, server)
        client.channel.close(promise: nil)
        try pump(client, server)
        #expect(!server.channel.isActive && server.recorder.isInactive)
        #expect(server.recorder.errors.isEmpty && client.recorder.errors.isEmpty)
    }

    @Test("An end without close_notify is an error before the channel is gone", arguments: [true, false])
    func truncated(hasEvent: Bool) throws {
        let (client, server) = try ends()
        try pump(client, server)
        if hasEvent {
            server.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            #expect(!server.channel.isActive)
        } else {
            server.channel.pipeline.fireChannelInactive()
        }
        #expect(server.recorder.errors.map(\.kind) == [.truncated])
        #expect(server.recorder.isInactive)
        _ = client
    }

    @Test("A refused peer fails waiting writes with the same error, and hears the alert")
    func refuses() throws {
        let (client, server) = try ends(TLSClientOptions(serverIdentity: "other.ns"))
        let early = client.write("secret")
        try pump(client, server)
        #expect(client.recorder.errors.map(\.kind) == [.identityMismatch])
        #expect(!client.channel.isActive)
        #expect(throws: TLSError.self) { try early.wait() }
        #expect(server.recorder.errors.map(\.kind) == [.peerAlert])
        #expect(server.recorder.text.isEmpty && server.recorder.established.isEmpty)
    }

    @Test("A handshake that takes too long is given up; one that is over is not")
    func timeout() throws {
        let (client, server) = try ends(timeout: .seconds(3))
        client.channel.embeddedEventLoop.advanceTime(by: .seconds(2))
        #expect(client.recorder.errors.isEmpty)
        client.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(client.recorder.errors.map(\.kind) == [.handshakeTimeout])
        #expect(!client.channel.isActive)
        let (other, peer) = try ends(timeout: .seconds(3))
        try pump(other, peer)
        other.channel.embeddedEventLoop.advanceTime(by: .seconds(10))
        #expect(other.recorder.errors.isEmpty && other.channel.isActive)
        _ = server
    }

    @Test("What is kept for before the handshake has a bound")
    func earlyBound() throws {
        let (client, _) = try ends()
        let chunk = ByteBuffer(repeating: 0, count: 65_536)
        var written = 0
        while client.channel.isActive, written <= 2 * TLSHandler.earlyBytesMax {
            client.channel.write(chunk, promise: nil)
            written += chunk.readableBytes
        }
        #expect(written == TLSHandler.earlyBytesMax + chunk.readableBytes)
        #expect(client.recorder.errors.map(\.kind) == [.earlyWritesOverflow])
    }

    @Test("Plaintext at a TLS port is an error of its own kind")
    func plaintext() throws {
        let (_, server) = try ends()
        _ = try? server.channel.writeInbound(ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"))
        #expect(server.recorder.errors.map(\.kind) == [.notTLS])
        #expect(!server.channel.isActive)
    }
}
