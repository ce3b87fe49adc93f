package import MeshTransport
package import NIOCore

/// What every handler that serves an accepted connection is built from. Loop-bound.
///
/// After protocol detection ProxyCore installs exactly one handler on the channel: HTTP/1, HTTP/2, or opaque
/// forwarding. It gets the bytes already read through an ordinary `channelRead`. It must call
/// `transport.read(_:)` and `transport.wrote(_:)` with byte counts, and `transport.closed(errno:)` once from
/// `channelInactive`; opens were counted when the connection was accepted. It registers with `drain`.
package protocol ConnectionServer: ChannelInboundHandler, RemovableChannelHandler, DrainableConnection {
    init(stack: any RequestStack, transport: TransportMetrics, limits: HTTP2Limits, drain: DrainState)
}
