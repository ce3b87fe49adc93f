package import MeshTransport
package import NIOCore

/// Inbound or outbound, as the runtime starts and stops it.
package protocol ProxySide: Sendable {
    /// Listens and serves until the listeners are closed.
    ///
    /// - Returns: the bound listeners; fails when an address cannot be bound.
    func listen() async throws -> [Listener]
}

/// One side on one event loop.
package protocol ConnectionLoop: AnyObject {
    /// Sets up an accepted connection, or throws to have it closed.
    func serve(_ channel: any Channel) throws
}

extension LoopLocal where Value: ConnectionLoop {
    /// Listens on every address; each connection is served by the loop that accepts it.
    package func listen(
        on side: ProxyConfig.Side, group: any EventLoopGroup
    ) async throws -> [Listener] {
        var listeners: [Listener] = []
        for address in side.listenAddresses {
            let bound = Listener.bind(address, loops: group, settings: side.accept) { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let loop = value(on: channel.eventLoop) else { throw ChannelError.operationUnsupported }
                    try loop.serve(channel)
                }
            }
            listeners.append(try await bound.get())
        }
        return listeners
    }
}

/// Finds where an accepted connection was going. The kernel's answer in the field; tests bring their own.
package typealias OriginalDestinationSource = @Sendable (any Channel) -> SocketAddress?
