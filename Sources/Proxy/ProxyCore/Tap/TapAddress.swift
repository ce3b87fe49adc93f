package import NIOCore

/// An address as taps compare and report it: made once for a connection, not for each request.
package struct TapAddress: Sendable, Hashable {
    /// Four or sixteen bytes in network order; none for a socket that has no address.
    package let bytes: [UInt8]
    package let port: UInt16

    /// An IPv6 address that maps an IPv4 one is that IPv4 address.
    package init(_ address: SocketAddress?) {
        bytes = address?.ipBytes ?? []
        port = UInt16(truncatingIfNeeded: address?.port ?? 0)
    }

    /// Whether this is the machine talking to itself.
    package var isLoopback: Bool {
        bytes.count == 4 ? bytes[0] == 127 : bytes.count == 16 && bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1
    }
}
