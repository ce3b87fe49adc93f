/// Counters of the sockets that share one label set, on one event loop: `tcp_open_total`,
/// `tcp_open_connections`, `tcp_close_total`, `tcp_read_bytes_total`, `tcp_write_bytes_total`.
///
/// Integer adds only. Read and written are seen from this socket: bytes that came from it, bytes put into it.
package final class TransportMetrics {
    /// The labels, rendered as `a="b",c="d"`, without braces.
    package let labels: String
    package private(set) var openTotal: UInt64 = 0
    package private(set) var closeTotal: UInt64 = 0
    package private(set) var readBytes: UInt64 = 0
    package private(set) var writeBytes: UInt64 = 0
    /// Closes by `errno`; 0 is a clean close. A handful of entries, so a plain array.
    package private(set) var closes: [(errno: CInt, count: UInt64)] = []

    package init(labels: String) {
        self.labels = labels
    }

    /// Sockets open now.
    package var openCount: UInt64 { openTotal - closeTotal }

    /// Counts a socket accepted or connected.
    package func opened() { openTotal &+= 1 }

    /// Counts a socket closed. Call once for each `opened`.
    /// - Parameter errno: the system error that ended it; 0 when it ended cleanly.
    package func closed(errno: CInt) {
        closeTotal &+= 1
        if let index = closes.firstIndex(where: { $0.errno == errno }) {
            closes[index].count &+= 1
        } else {
            closes.append((errno, 1))
        }
    }

    /// Counts bytes that came from the socket.
    @inlinable package func read(_ bytes: Int) { addRead(UInt64(truncatingIfNeeded: bytes)) }

    /// Counts bytes put into the socket.
    @inlinable package func wrote(_ bytes: Int) { addWritten(UInt64(truncatingIfNeeded: bytes)) }

    @usableFromInline package func addRead(_ bytes: UInt64) { readBytes &+= bytes }
    @usableFromInline package func addWritten(_ bytes: UInt64) { writeBytes &+= bytes }
}
