// Options of the proxy's sockets, and where each default comes from.

package import NIOCore

/// Options of accepted or connecting sockets, from the configuration.
package struct SocketSettings: Sendable, Equatable {
    /// SO_KEEPALIVE with this idle time; `nil` leaves it off.
    package var keepAlive: Duration?
    /// TCP_USER_TIMEOUT; `nil` leaves the kernel's default.
    package var userTimeout: Duration?
    /// Connections the kernel keeps until they are accepted; for listeners only.
    package var backlog: Int32

    package init(keepAlive: Duration? = nil, userTimeout: Duration? = nil, backlog: Int32 = 1_024) {
        self.keepAlive = keepAlive
        self.userTimeout = userTimeout
        self.backlog = backlog
    }

    /// One read's buffer, which its connection keeps: 512 bytes hold the small messages of most, and a full read
    /// doubles it. A fixed 16 KiB held 43 MB at 1,000 connections, 2 KiB still 2 MB.
    package static var readAllocator: AdaptiveRecvByteBufferAllocator {
        AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 512, maximum: 65_536)
    }
    /// Bytes queued towards a slow peer before the other side is no longer read, and when reading starts
    /// again.
    package static let writeQueueBytes = ChannelOptions.Types.WriteBufferWaterMark(low: 32_768, high: 131_072)
    /// Connections accepted in one turn of the loop. NIO's 4 left a burst of 1,000 in the backlog for seconds, while
    /// those accepted already kept every turn long.
    package static let acceptsPerTurnMax: UInt = 64

    /// Channel options as (level, name, value) of `setsockopt`; TCP_NODELAY always.
    var socketOptions: [(option: ChannelOptions.Types.SocketOption, value: Int)] {
        var options: [(option: ChannelOptions.Types.SocketOption, value: Int)] = [
            (ChannelOptions.tcpOption(.tcp_nodelay), 1)
        ]
        if let keepAlive {
            let seconds = Int(max(1, keepAlive.components.seconds))
            options.append((ChannelOptions.socketOption(.so_keepalive), 1))
            options.append((ChannelOptions.tcpOption(.init(rawValue: 4)), seconds))  // TCP_KEEPIDLE
            options.append((ChannelOptions.tcpOption(.init(rawValue: 5)), seconds))  // TCP_KEEPINTVL
        }
        if let userTimeout {
            let milliseconds = Int(userTimeout.timeAmount.nanoseconds / 1_000_000)
            options.append((ChannelOptions.tcpOption(.init(rawValue: 18)), milliseconds))  // TCP_USER_TIMEOUT
        }
        return options
    }
}

extension Duration {
    /// The same span for event loops; clamped to what they can count.
    package var timeAmount: TimeAmount {
        let parts = components
        guard parts.seconds < Int64.max / 1_000_000_000 else { return .nanoseconds(Int64.max) }
        return .nanoseconds(parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000)
    }
}
