// The tap port, 4190: gRPC over HTTP/2, inside mesh TLS. On the admin loop, so that encrypting and writing
// events takes nothing from the requests they tell of. Source: `spec/proxy.md` 7.1.

package import Logging
package import MeshTLS
package import MeshTransport
package import NIOCore

/// Who may tap.
package enum TapAccess: Sendable {
    /// Clients with this identity, and this machine itself when it is trusted.
    case identity(String, contexts: TLSContextCell, isLoopbackTrusted: Bool = true)
    /// Anybody who reaches the port: only where the proxy was told to do without identity.
    case anyone
}

/// The tap server.
package enum TapServer {
    /// How long a client may take for its first byte.
    static let detectTimeout = TimeAmount.seconds(1)

    /// Binds and serves until the listener is closed.
    package static func bind(
        _ address: SocketAddress, loops: any EventLoopGroup, hub: TapHub, access: TapAccess, logger: Logger
    ) -> EventLoopFuture<Listener> {
        Listener.bind(address, loops: loops, settings: SocketSettings()) { channel in
            channel.eventLoop.makeCompletedFuture {
                let peer = TapAddress(channel.remoteAddress)
                let detector = TapDetectHandler(hub: hub, access: access, isLoopback: peer.isLoopback, logger: logger)
                try channel.pipeline.syncOperations.addHandler(detector)
            }
        }
    }
}

/// Tells TLS from plaintext by the first byte, and makes the rest of the pipeline.
private final class TapDetectHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    /// First byte of a TLS record that holds a handshake, RFC 8446 section 5.1.
    private static let handshakeRecord: UInt8 = 22
    private static let handshakeTimeout = TimeAmount.seconds(10)

    private let hub: TapHub
    private let access: TapAccess
    private let isLoopback: Bool
    private let logger: Logger
    private var timer: Scheduled<Void>?

    init(hub: TapHub, access: TapAccess, isLoopback: Bool, logger: Logger) {
        self.hub = hub
        self.access = access
        self.isLoopback = isLoopback
        self.logger = logger
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: TapServer.detectTimeout) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        guard let first = bytes.readableBytesView.first else { return }
        timer?.cancel()
        do {
            try install(isTLS: first == Self.handshakeRecord, context)
            context.fireChannelRead(wrapInboundOut(bytes))
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            logger.debug("Tap connection refused", metadata: ["error": "\(error)"])
            context.close(promise: nil)
        }
    }

    typealias InboundOut = ByteBuffer

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func install(isTLS: Bool, _ context: ChannelHandlerContext) throws {
        let pipeline = context.pipeline.syncOperations
        switch access {
        case .identity(let allowed, let contexts, let isLoopbackTrusted):
            let isLoopback = isLoopback && isLoopbackTrusted
            guard isTLS else {
                let refusal = isLoopback ? nil : SeriesLabels.NoTLSReason.noTLSFromRemote.rawValue
                return try pipeline.addHandler(
                    TapServerHandler(hub: hub, access: .decided(refusal: refusal)), position: .after(self))
            }
            guard let current = contexts.current else { throw ChannelError.operationUnsupported }
            let session = try TLSSession(current.server, TLSServerOptions(alpn: ["h2"]))
            let tls = TLSHandler(session, handshakeTimeout: Self.handshakeTimeout)
            try pipeline.addHandler(tls, position: .after(self))
            try pipeline.addHandler(
                TapServerHandler(hub: hub, access: .identity(allowed, isLoopback: isLoopback)), position: .after(tls))
        case .anyone:
            guard !isTLS else { throw ChannelError.operationUnsupported }
            try pipeline.addHandler(
                TapServerHandler(hub: hub, access: .decided(refusal: nil)), position: .after(self))
        }
    }
}
