internal import Foundation
internal import NIOCore
internal import NIOPosix

/// The agent's side of a connection to a pod's init.
actor InitClient {
    /// Why a request was not answered with success.
    struct RequestError: Error, CustomStringConvertible {
        let message: String
        /// The container's program does not exist.
        var isProgramMissing = false
        var description: String { message }
    }

    private typealias Connection = NIOAsyncChannel<ByteBuffer, ByteBuffer>
    private let connection: Connection
    private var writer: NIOAsyncChannelOutboundWriter<ByteBuffer>?
    private var nextID = 1
    private var waiting: [Int: CheckedContinuation<InitReply, any Error>] = [:]
    /// Answers that arrived before their request began to wait.
    private var early: [Int: InitReply] = [:]
    private var isClosed = false
    /// Containers of the pod as last heard.
    private(set) var containers: [String: ContainerRecord] = [:]

    private init(connection: Connection) { self.connection = connection }

    /// Connects; fails at once when nobody listens.
    static func connect(socketPath: String) async throws -> InitClient {
        let connection = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(unixDomainSocketPath: socketPath) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try Connection(wrappingChannelSynchronously: channel)
                }
            }
        return InitClient(connection: connection)
    }

    /// Serves the connection until it closes, the init having ended. `changed` is called at each piece of
    /// news, and once the connection can be used.
    func run(changed: @escaping @Sendable () -> Void) async {
        do {
            try await connection.executeThenClose { inbound, outbound in
                writer = outbound
                changed()
                var lines = ByteBuffer()
                for try await piece in inbound {
                    lines.writeImmutableBuffer(piece)
                    try receive(&lines, changed: changed)
                }
            }
        } catch {
            // A broken connection is the end of the pod, which the caller sees by our return.
        }
        isClosed = true
        writer = nil
        for continuation in waiting.values {
            continuation.resume(throwing: RequestError(message: "pod init is gone"))
        }
        waiting = [:]
        changed()
    }

    private func receive(_ lines: inout ByteBuffer, changed: () -> Void) throws {
        while let end = lines.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
            let count = end - lines.readerIndex
            let line = lines.readBytes(length: count) ?? []
            lines.moveReaderIndex(forwardBy: 1)
            let reply = try JSONDecoder().decode(InitReply.self, from: Data(line))
            if let news = reply.containers { containers = news }
            if reply.id == 0 {
                changed()
            } else if let continuation = waiting.removeValue(forKey: reply.id) {
                continuation.resume(returning: reply)
            } else {
                early[reply.id] = reply
            }
        }
        lines.discardReadBytes()
    }

    /// Sends a command and waits for its answer.
    @discardableResult
    func request(_ command: InitCommand) async throws -> InitReply {
        guard let writer, !isClosed else { throw RequestError(message: "pod init is gone") }
        let id = nextID
        nextID += 1
        var line = ByteBuffer(bytes: try JSONEncoder().encode(InitRequest(id: id, command: command)))
        line.writeInteger(UInt8(ascii: "\n"))
        try await writer.write(line)
        let reply = try await answer(to: id)
        if let message = reply.error {
            throw RequestError(message: message, isProgramMissing: reply.isProgramMissing ?? false)
        }
        return reply
    }

    private func answer(to id: Int) async throws -> InitReply {
        if let reply = early.removeValue(forKey: id) { return reply }
        guard !isClosed else { throw RequestError(message: "pod init is gone") }
        return try await withCheckedThrowingContinuation { waiting[id] = $0 }
    }
}
