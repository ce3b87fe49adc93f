// The first look at an accepted connection: mesh TLS for this proxy ends here, other TLS passes untouched,
// everything else goes on in plaintext (`spec/proxy.md` 1.5).

package import MeshTLS
import MeshTransport
import MeshWire
package import NIOCore

/// What the first bytes of an accepted connection, and its handshake, have shown.
package enum InboundTLS: Hashable, Sendable {
    /// Plaintext, or not looked at.
    case none(SeriesLabels.NoTLSReason)
    /// Ended here; the client's identity, when it showed a certificate with one.
    case mesh(clientID: String?)
    /// Somebody else's, asked for by this name: passed through.
    case passthrough(serverName: String)

    /// The client's identity, proven.
    package var clientID: String? {
        if case .mesh(let id) = self { return id }
        return nil
    }

    /// Whether TLS ended here.
    package var isMesh: Bool {
        if case .mesh = self { return true }
        return false
    }

    /// Whether the bytes are ciphertext that is not ours to look into.
    package var isPassthrough: Bool {
        if case .passthrough = self { return true }
        return false
    }

    /// What taps say: `tls` as `true` or why not, with its companion.
    package var tapLabels: [String: String] {
        switch self {
        case .none(let reason): ["tls": reason.rawValue]
        case .mesh(let id): id.map { ["tls": "true", "client_id": $0] } ?? ["tls": "true"]
        case .passthrough(let name): ["tls": "passthru", "sni": name]
        }
    }

    /// Rendered labels: `tls` with its companion.
    package var labels: String {
        switch self {
        case .none(let reason): SeriesLabels.noTLS(reason)
        case .mesh(let id): SeriesLabels.tls("client_id", id ?? "")
        case .passthrough(let name): SeriesLabels.passthrough(name)
        }
    }
}

/// Finds out about TLS, and ends it where it is meant for this proxy.
package enum MeshTLSAccept {
    /// Watches the first bytes of an accepted connection.
    ///
    /// - Parameters:
    ///   - timeout: how long the first bytes may take, and the handshake after them.
    ///   - alpn: protocols spoken under TLS that is meant for this proxy.
    ///   - failed: told once when the connection ends before anything is decided; it closes by itself.
    ///   - decided: told once; installs the handlers for what comes next at the end of the pipeline. With TLS
    ///     of ours, what they see is plaintext, and `peer` is how it was agreed.
    package static func serve(
        _ channel: any Channel, identity: ProxyIdentity, timeout: TimeAmount, alpn: [String] = [],
        failed: @escaping (ProxyError) -> Void,
        decided: @escaping (InboundTLS, _ peer: TLSPeer?) throws -> Void
    ) throws {
        let detector = TLSDetectHandler(serverName: identity.serverName, timeout: timeout) {
            result, context in
            switch result {
            case .plaintext: try decided(.none(.noTLSFromRemote), nil)
            case .foreign(let name): try decided(.passthrough(serverName: name), nil)
            case .timedOut: failed(ProxyError(.tlsDetectTimedOut, "TLS detection timed out"))
            case .own:
                guard let pair = identity.contexts.current else {
                    throw ProxyError(.unexpected, "no certificate yet")
                }
                let session = try TLSSession(pair.server, TLSServerOptions(alpn: alpn))
                let wait = TLSWait { result, context in
                    ended(result, context, failed: failed, decided: decided)
                }
                let handlers: [any ChannelHandler] = [TLSHandler(session, handshakeTimeout: timeout), wait]
                try context.pipeline.syncOperations.addHandlers(handlers, position: .after(context.handler))
            }
        }
        try channel.pipeline.syncOperations.addHandler(detector)
    }

    private static func ended(
        _ result: Result<TLSPeer, any Error>, _ context: ChannelHandlerContext,
        failed: (ProxyError) -> Void, decided: (InboundTLS, TLSPeer?) throws -> Void
    ) {
        switch result {
        case .success(let peer):
            do {
                try decided(.mesh(clientID: peer.identity), peer)
            } catch {
                context.close(promise: nil)
            }
        case .failure(let error):
            failed(ProxyError(.connectFailed, "TLS handshake failed: \(TLSWait.reason(error))"))
            context.close(promise: nil)
        }
    }
}

/// Holds the first bytes of a connection until they show whether it is TLS, and whose.
final class TLSDetectHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// What was found.
    enum Detection: Equatable { case own, foreign(String), plaintext, timedOut }

    private let serverName: String
    private let timeout: TimeAmount
    private var decide: ((Detection, ChannelHandlerContext) throws -> Void)?
    private var timer: Scheduled<Void>?
    private var bytes = ByteBuffer()

    /// - Parameter decide: adds what comes next, behind this handler; called at most once.
    init(
        serverName: String, timeout: TimeAmount,
        decide: @escaping (Detection, ChannelHandlerContext) throws -> Void
    ) {
        self.serverName = serverName
        self.timeout = timeout
        self.decide = decide
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: timeout) {
            let (handler, context) = bound.value
            handler.finish(.timedOut, context)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var received = unwrapInboundIn(data)
        if bytes.readableBytes == 0 { bytes = received } else { bytes.writeBuffer(&received) }
        let seen = bytes
        switch ClientHello.peek(seen.readableBytesUInt8Span) {
        case .incomplete where bytes.readableBytes < ClientHello.bytesMax: break
        case .incomplete, .notTLS: finish(.plaintext, context)
        case .serverName(let name): finish(name == serverName ? .own : .foreign(name), context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            // No more will come: what is there is all there is to go by.
            bytes.readableBytes > 0 ? finish(.plaintext, context, isEnd: true) : context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        decide = nil
        context.fireChannelInactive()
    }

    private func finish(_ detection: Detection, _ context: ChannelHandlerContext, isEnd: Bool = false) {
        guard let decide else { return }
        self.decide = nil
        timer?.cancel()
        timer = nil
        do {
            try decide(detection, context)
        } catch {
            context.close(promise: nil)
            return
        }
        guard detection != .timedOut else {
            context.close(promise: nil)
            return
        }
        let held = bytes
        bytes = ByteBuffer()
        if held.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(held))
            context.fireChannelReadComplete()
        }
        if isEnd { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
