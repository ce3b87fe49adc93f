package import NIOCore
import NIOPosix

/// A bound, listening socket.
package struct Listener: Sendable {
    private let channel: any Channel

    /// Where it listens; the real port when it was bound with port 0.
    package let address: SocketAddress

    /// Binds and listens. Connections wait in the kernel's queue until `accept()`.
    ///
    /// - Parameters:
    ///   - loops: accepts on one of them and spreads connections over all.
    ///   - accept: sets up one accepted connection, on its loop, before it becomes active. A failed future
    ///     closes the connection.
    /// - Returns: fails with the system's error when the address cannot be bound.
    package static func bind(
        _ address: SocketAddress, loops: any EventLoopGroup, settings: SocketSettings,
        accept: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<Listener> {
        var bootstrap = ServerBootstrap(group: loops)
            .serverChannelOption(.backlog, value: settings.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.maxMessagesPerRead, value: SocketSettings.acceptsPerTurnMax)
            .serverChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.recvAllocator, value: SocketSettings.readAllocator)
            .childChannelOption(.writeBufferWaterMark, value: SocketSettings.writeQueueBytes)
            .childChannelInitializer(accept)
        for (option, value) in settings.socketOptions {
            bootstrap = bootstrap.childChannelOption(option, value: value)
        }
        return bootstrap.bind(to: address).flatMapThrowing { channel in
            guard let local = channel.localAddress else { throw ChannelError.unknownLocalAddress }
            return Listener(channel: channel, address: local)
        }
    }

    /// Begins to accept.
    package func accept() -> EventLoopFuture<Void> {
        channel.setOption(.autoRead, value: true)
    }

    /// Stops accepting; accepted connections stay.
    package func close() -> EventLoopFuture<Void> {
        let promise = channel.eventLoop.makePromise(of: Void.self)
        channel.close(promise: nil)
        channel.closeFuture.cascade(to: promise)
        return promise.futureResult
    }
}

/// Opens connections.
package enum Connector {
    /// Connects within `timeout`.
    ///
    /// - Parameter configure: adds handlers, on the loop, before the channel becomes active.
    package static func connect(
        to address: SocketAddress, on loop: any EventLoop, timeout: TimeAmount, settings: SocketSettings,
        _ configure: @escaping (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        let bound = NIOLoopBound(configure, eventLoop: loop)
        var bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.recvAllocator, value: SocketSettings.readAllocator)
            .channelOption(.writeBufferWaterMark, value: SocketSettings.writeQueueBytes)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try bound.value(channel) }
            }
        for (option, value) in settings.socketOptions {
            bootstrap = bootstrap.channelOption(option, value: value)
        }
        return bootstrap.connect(to: address)
    }
}
