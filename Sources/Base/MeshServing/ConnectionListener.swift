public import NIOCore
public import NIOPosix

/// A listening socket whose connections are each served in a task of their own, and which ends in peace.
///
/// An asynchronous channel that is dropped unserved ends the process: NIO takes that for a mistake. Yet NIO itself drops
/// what was accepted in the moment the listener closes. So connections arrive here as plain channels that do not read
/// yet, and become asynchronous only in the task that serves them; what is left at the end is closed.
public struct ConnectionListener: Sendable {
    /// What a bootstrap's `bind` wants for its new connections.
    public typealias Initializer = @Sendable (any Channel) -> EventLoopFuture<any Channel>

    private let server: NIOAsyncChannel<any Channel, Never>
    private let open: OpenChannels

    /// Binds a socket.
    ///
    /// - Parameters:
    ///   - bootstrap: What is special about the socket and its connections, but not whether they read by themselves.
    ///   - bind: One of the bootstrap's functions, with the initializer for its connections.
    /// - Throws: What `bind` throws.
    public init(
        _ bootstrap: sending ServerBootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1),
        bind: (sending ServerBootstrap, @escaping Initializer) async throws -> NIOAsyncChannel<any Channel, Never>
    ) async throws {
        let open = OpenChannels()
        self.open = open
        server = try await bind(bootstrap.childChannelOption(.autoRead, value: false)) { channel in
            open.add(channel)
            return channel.eventLoop.makeSucceededFuture(channel)
        }
    }

    /// Binds a TCP socket.
    public init(host: String, port: Int) async throws {
        try await self.init { try await $0.bind(host: host, port: port, childChannelInitializer: $1) }
    }

    /// The bound port, if it has one.
    public var port: Int? { server.channel.localAddress?.port }

    /// Takes no more connections; `serveEach` then ends.
    public func close() { server.channel.close(promise: nil) }

    /// Serves each connection until the calling task is cancelled or the listener closed.
    ///
    /// - Parameters:
    ///   - limit: Connections served at once; further ones are closed.
    ///   - drain: How long connections may go on after the end before their tasks are cancelled.
    ///   - open: Adds handlers to a connection, on its event loop, before it reads.
    ///   - serve: Serves it, and has to finish it, also when its task is already cancelled.
    /// - Throws: What the listener failed with.
    public func serveEach<Connection: Sendable>(
        atMost limit: Int = .max, drain: Duration = .zero,
        open configure: @escaping @Sendable (any Channel) throws -> Connection,
        serve: @escaping @Sendable (Connection) async -> Void
    ) async throws {
        // Not cancelled itself: waiting connections would be dropped, and closing the listener ends it anyway.
        let accepting = Task {
            defer { open.closeAll() }
            let active = ActiveConnections()
            try await withThrowingDiscardingTaskGroup { group in
                try await server.executeThenClose { channels in
                    for try await channel in channels {
                        guard active.enter(atMost: limit) else {
                            channel.close(promise: nil)
                            continue
                        }
                        group.addTask {
                            if let connection = try? await Self.begin(channel, configure) { await serve(connection) }
                            active.leave()
                        }
                    }
                }
                if drain > .zero { await active.waitUntilNone(atMost: drain) }
                group.cancelAll()
            }
        }
        try await withTaskCancellationHandler {
            try await accepting.value
        } onCancel: {
            close()
        }
    }

    /// Lets a connection read once its handlers are there; closes it when they cannot be.
    private static func begin<Connection: Sendable>(
        _ channel: any Channel, _ configure: @escaping @Sendable (any Channel) throws -> Connection
    ) async throws -> Connection {
        do {
            return try await channel.eventLoop.submit {
                let connection = try configure(channel)
                // A connection that has ended meanwhile shows it when it is served.
                try? channel.syncOptions?.setOption(.autoRead, value: true)
                return connection
            }.get()
        } catch {
            channel.close(promise: nil)
            throw error
        }
    }
}
