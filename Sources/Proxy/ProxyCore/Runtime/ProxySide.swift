package import MeshTransport
package import NIOCore

/// Inbound or outbound, as the runtime starts and stops it.
package protocol ProxySide: Sendable {
    /// Listens and serves until the listeners are closed.
    ///
    /// - Returns: the bound listeners; fails when an address cannot be bound.
    func listen() async throws -> [Listener]
}

/// Finds where an accepted connection was going. The kernel's answer in the field; tests bring their own.
package typealias OriginalDestinationSource = @Sendable (any Channel) -> SocketAddress?
