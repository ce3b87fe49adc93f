package import NIOCore

/// Windows, bounds and keep-alive of HTTP connections, from the configuration; all but one are HTTP/2's.
package struct HTTP2Limits: Sendable, Equatable {
    /// Bytes in flight per stream.
    package var streamWindowBytes: Int = 65_535
    /// Bytes in flight per connection.
    package var connectionWindowBytes: Int = 1_048_576
    /// Streams open at once on one accepted connection.
    package var concurrentStreamsMax: Int = 1_000
    /// Size of one request's header list as HPACK counts it.
    package var headerListBytesMax: Int = 65_536
    /// Resets per connection, theirs or forced by them, before it is told ENHANCE_YOUR_CALM.
    package var resetStreamsMax: Int = 1_000
    /// Ping an idle connection this often; `nil` sends none.
    package var keepAliveInterval: TimeAmount?
    /// Close when a ping is not answered in time.
    package var keepAliveTimeout: TimeAmount = .seconds(3)

    /// How long an HTTP/1 head may take from its first byte to its last.
    package var headTimeout: TimeAmount = .seconds(60)

    package init() {}
}
