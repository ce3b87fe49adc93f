// Connections that another proxy made to this proxy's own port: mutual TLS, then a transport header that says which
// port of the workload is meant, and what the bytes are (`spec/proxy.md` 1.8). Names would make this proxy a gateway,
// which it is not: they are refused.

import Logging
import MeshMetrics
import MeshTLS
import MeshWire
import NIOCore
import ProxyCore

extension InboundLoop {
    /// Sets up a connection whose original destination is the proxy itself.
    func serveDirect(_ channel: any Channel, _ address: SocketAddress) throws {
        guard let identity = proxy.identity else {
            // Without identity nobody can be sent here, and forwarding would come back for ever.
            throw ProxyError(.loop, "inbound connection must not target port \(address.port ?? 0)")
        }
        let refuse = { [self] (tls: InboundTLS, error: ProxyError) in
            logger.debug("Direct connection refused", metadata: ["error": "\(error.message)"])
            target(address, tls, channel.remoteAddress).countTCP(error)
        }
        try accept(channel, address, identity, alpn: [TransportHeader.alpn]) { [self] tls, peer in
            do throws(ProxyError) {
                try require(tls, peer)
            } catch {
                refuse(tls, error)
                throw error
            }
            let handler = DirectHandler(timeout: config.inbound.detectTimeout) { [self] result in
                do throws(ProxyError) {
                    try serveDirect(channel, on: address, tls, result)
                } catch {
                    refuse(tls, error)
                    throw error
                }
            }
            try channel.pipeline.syncOperations.addHandler(handler)
        }
    }

    private func require(_ tls: InboundTLS, _ peer: TLSPeer?) throws(ProxyError) {
        guard tls.clientID != nil else {
            throw ProxyError(.unexpected, "direct connections must be mutually authenticated")
        }
        guard peer?.alpn == TransportHeader.alpn else {
            throw ProxyError(.unexpected, "direct connections require transport header negotiation")
        }
    }

    private func serveDirect(
        _ channel: any Channel, on address: SocketAddress, _ tls: InboundTLS,
        _ result: Result<TransportHeader, ProxyError>
    ) throws(ProxyError) {
        let header = try result.get()
        count(header, tls)
        if let name = header.name {
            throw ProxyError(.gatewayDomain, "bad gateway domain: \(name)")
        }
        guard Int(header.port) != address.port else {
            throw ProxyError(.loop, "inbound connection must not target port \(header.port)")
        }
        var local = address
        local.port = Int(header.port)
        let known: WireProtocol? =
            switch header.sessionProtocol {
            case .http1: .http1
            case .http2: .http2
            case nil: .opaque
            }
        do {
            try start(channel, target(local, tls, channel.remoteAddress), known: isOpaque(local) ? .opaque : known)
        } catch {
            throw ProxyError(.unexpected, "\(error)")
        }
    }
}

extension InboundLoop {
    private func count(_ header: TransportHeader, _ tls: InboundTLS) {
        let session =
            switch header.sessionProtocol {
            case .http1: "http/1"
            case .http2: "http/2"
            case nil: ""
            }
        let labels = [
            ("session_protocol", session), ("target_port", "\(header.port)"), ("target_name", header.name ?? ""),
            ("client_id", tls.clientID ?? ""),
        ].map { "\($0)=\"\(ExpositionWriter.escapeLabelValue($1))\"" }
        proxy.metrics.counter(.inboundTransportHeaders, labels: labels.joined(separator: ",")).increment()
    }
}

/// Reads the transport header off a connection, and steps aside.
final class DirectHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let timeout: TimeAmount
    private var decide: ((Result<TransportHeader, ProxyError>) throws -> Void)?
    private var timer: Scheduled<Void>?
    private var bytes = ByteBuffer()

    /// - Parameter decide: called once, unless the connection ends before; adds what comes next at the end of the
    ///   pipeline, or throws to have the connection closed.
    init(timeout: TimeAmount, decide: @escaping (Result<TransportHeader, ProxyError>) throws -> Void) {
        self.timeout = timeout
        self.decide = decide
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: timeout) {
            let (handler, context) = bound.value
            let error = ProxyError(.unexpected, "Reading a transport header timed out")
            handler.finish(.failure(error), context)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var received = unwrapInboundIn(data)
        if bytes.readableBytes == 0 { bytes = received } else { bytes.writeBuffer(&received) }
        guard decide != nil else { return }
        let seen = bytes
        do throws(TransportHeaderError) {
            guard let (header, byteCount) = try TransportHeader.parse(seen.readableBytesUInt8Span) else { return }
            bytes.moveReaderIndex(forwardBy: byteCount)
            finish(.success(header), context)
        } catch {
            finish(.failure(ProxyError(.unexpected, error.rawValue)), context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if decide != nil, let event = event as? ChannelEvent, event == .inputClosed {
            finish(.failure(ProxyError(.unexpected, TransportHeaderError.missing.rawValue)), context)
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

    private func finish(_ result: Result<TransportHeader, ProxyError>, _ context: ChannelHandlerContext) {
        guard let decide else { return }
        self.decide = nil
        timer?.cancel()
        timer = nil
        do {
            try decide(result)
        } catch {
            context.close(promise: nil)
            return
        }
        let rest = bytes
        bytes = ByteBuffer()
        if rest.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(rest))
            context.fireChannelReadComplete()
        }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
