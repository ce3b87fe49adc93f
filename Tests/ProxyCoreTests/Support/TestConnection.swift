import NIOCore
import NIOPosix
import Synchronization

/// What a test waited for did not happen in time.
struct DeadlineError: Error, CustomStringConvertible {
    let description: String
}

/// Waits until `condition` holds, or fails after a deadline that no healthy run comes near.
func eventually(
    _ what: String, within deadline: Duration = .seconds(10), _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + deadline
    while ContinuousClock.now < end {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(3))
    }
    throw DeadlineError(description: "not in time: \(what)")
}

/// A raw TCP connection, client or server side, that a test reads and writes by hand.
final class TestConnection: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var isInputClosed = false
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let connection: TestConnection
        init(_ connection: TestConnection) { self.connection = connection }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            connection.state.withLock { $0.bytes += buffer.readableBytesView }
        }
        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if let event = event as? ChannelEvent, event == .inputClosed {
                connection.state.withLock { $0.isInputClosed = true }
            }
        }
        func channelInactive(context: ChannelHandlerContext) {
            connection.state.withLock { $0.isInputClosed = true }
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    let channel: any Channel
    private let state = Mutex(State())

    /// Adopts a channel; on its loop, before it is active.
    init(adopting channel: any Channel) throws {
        self.channel = channel
        try channel.pipeline.syncOperations.addHandler(Collector(self))
    }

    static func connect(to address: SocketAddress, on group: any EventLoopGroup) async throws
        -> TestConnection
    {
        let made = Mutex<TestConnection?>(nil)
        _ = try await ClientBootstrap(group: group)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let connection = try TestConnection(adopting: channel)
                    made.withLock { $0 = connection }
                }
            }
            .connect(to: address).get()
        guard let connection = made.withLock({ $0 }) else {
            throw DeadlineError(description: "no connection")
        }
        return connection
    }

    func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text)).get()
    }

    /// Queues so many bytes; the future completes when the socket took them all.
    func sendLater(count: Int) -> EventLoopFuture<Void> {
        let promise = channel.eventLoop.makePromise(of: Void.self)
        channel.writeAndFlush(ByteBuffer(repeating: 0x61, count: count), promise: promise)
        return promise.futureResult
    }

    /// Everything received and not yet taken.
    var received: String { state.withLock { String(decoding: $0.bytes, as: UTF8.self) } }
    var receivedBytes: [UInt8] { state.withLock { $0.bytes } }
    var receivedCount: Int { state.withLock { $0.bytes.count } }
    var isInputClosed: Bool { state.withLock { $0.isInputClosed } }

    /// Takes bytes up to and with `marker`.
    func take(through marker: String) async throws -> String {
        let needle = Array(marker.utf8)
        var taken = ""
        try await eventually("\(marker.debugDescription) in \(received.debugDescription)") {
            state.withLock { state in
                guard let end = state.bytes.end(of: needle) else { return false }
                taken = String(decoding: state.bytes[..<end], as: UTF8.self)
                state.bytes.removeFirst(end)
                return true
            }
        }
        return taken
    }

    /// Takes one message head with its empty line.
    func takeHead() async throws -> String { try await take(through: "\r\n\r\n") }

    /// Takes exactly so many bytes.
    func take(count: Int) async throws -> String {
        var taken = ""
        try await eventually("\(count) bytes") {
            state.withLock { state in
                guard state.bytes.count >= count else { return false }
                taken = String(decoding: state.bytes[..<count], as: UTF8.self)
                state.bytes.removeFirst(count)
                return true
            }
        }
        return taken
    }

    /// Takes everything until the other side ends.
    func takeToEnd() async throws -> String {
        try await eventually("end of input") { isInputClosed }
        return state.withLock { state in
            defer { state.bytes = [] }
            return String(decoding: state.bytes, as: UTF8.self)
        }
    }

    func closeOutput() async throws { try await channel.close(mode: .output).get() }

    func close() async {
        // Closing what is closed already is what the test wanted.
        try? await channel.close().get()
    }

    func setReading(_ isReading: Bool) async throws {
        try await channel.setOption(.autoRead, value: isReading).get()
    }
}

extension Array where Element == UInt8 {
    fileprivate func end(of needle: [UInt8]) -> Int? {
        guard count >= needle.count else { return nil }
        for start in 0...(count - needle.count) where Array(self[start..<start + needle.count]) == needle {
            return start + needle.count
        }
        return nil
    }
}

/// A TCP server whose connections a test serves by hand.
final class ScriptedServer: Sendable {
    typealias Serve = @Sendable (TestConnection) async throws -> Void

    /// What the accepting loop and the test share.
    private final class Inbox: Sendable {
        let waiting = Mutex<[TestConnection]>([])
        let acceptedCount = Mutex(0)
    }

    let address: SocketAddress
    private let listener: any Channel
    private let inbox: Inbox

    private init(listener: any Channel, address: SocketAddress, inbox: Inbox) {
        self.listener = listener
        self.address = address
        self.inbox = inbox
    }

    /// Starts listening; `serve` runs in a task for each connection, or the test takes them with `next()`.
    static func start(
        on group: any EventLoopGroup, host: String = "127.0.0.1", serve: Serve? = nil
    ) async throws -> ScriptedServer {
        let inbox = Inbox()
        let listener = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let connection = try TestConnection(adopting: channel)
                    inbox.acceptedCount.withLock { $0 += 1 }
                    guard let serve else { return inbox.waiting.withLock { $0.append(connection) } }
                    // A script that the proxy cuts short is part of many tests.
                    Task { try? await serve(connection) }
                }
            }
            .bind(host: host, port: 0).get()
        guard let address = listener.localAddress else { throw DeadlineError(description: "no address") }
        return ScriptedServer(listener: listener, address: address, inbox: inbox)
    }

    /// A server that answers every request without a body with `response`.
    static func answering(
        _ response: String, on group: any EventLoopGroup, host: String = "127.0.0.1"
    ) async throws -> ScriptedServer {
        try await start(on: group, host: host) { connection in
            while true {
                _ = try await connection.takeHead()
                try await connection.send(response)
            }
        }
    }

    /// Connections accepted so far.
    var acceptedCount: Int { inbox.acceptedCount.withLock { $0 } }

    /// The next connection that came and was not taken.
    func next() async throws -> TestConnection {
        var taken: TestConnection?
        try await eventually("a connection") {
            taken = inbox.waiting.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            return taken != nil
        }
        guard let taken else { throw DeadlineError(description: "no connection") }
        return taken
    }

    /// The next connection that came and was not taken, if there is one within a moment.
    func nextOrNone() async throws -> TestConnection? {
        for _ in 0..<50 {
            if let taken = inbox.waiting.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return taken }
            try await Task.sleep(for: .milliseconds(2))
        }
        return nil
    }

    func stop() async {
        // Stopping twice is fine.
        try? await listener.close().get()
    }
}
