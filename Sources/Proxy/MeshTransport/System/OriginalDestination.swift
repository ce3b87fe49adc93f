// Where a redirected connection was going before iptables sent it to the proxy.

import CMeshLinux
import Glibc
package import NIOCore

/// Finds a connection's original destination.
package enum OriginalDestination {
    /// Asks the kernel's connection tracking about an accepted channel. On its loop.
    /// - Returns: `nil` when netfilter does not know the connection, or it is no internet socket. IPv4-mapped
    ///   addresses come back as IPv4.
    package static func ofKernel(_ channel: any Channel) -> SocketAddress? {
        // A closed channel has no descriptor any more; it has no destination either.
        let descriptor: NIOBSDSocket.Handle? =
            try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
                of: NIOBSDSocket.Handle.self
            ) { $0 }
        guard let descriptor else { return nil }
        var storage = sockaddr_storage()
        // SAFETY: `storage` outlives the call, which writes at most its size; the descriptor belongs to the
        // channel and stays open while its loop runs this.
        guard unsafe mesh_original_destination(descriptor, &storage) == 0 else { return nil }
        return unsafe withUnsafePointer(to: &storage) { pointer in
            unsafe address(pointer)
        }
    }

    private static func address(_ storage: UnsafePointer<sockaddr_storage>) -> SocketAddress? {
        // SAFETY: every socket address may be read through the type its family names; sockaddr_storage is big
        // enough.
        switch unsafe CInt(storage.pointee.ss_family) {
        case AF_INET:
            return unsafe storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                unsafe SocketAddress($0.pointee)
            }
        case AF_INET6:
            return unsafe storage.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                unsafe SocketAddress($0.pointee)
            }
        default: return nil
        }
    }
}
