// One endpoint as one event loop sees it: its counters, its load, its pooled connections.

package import MeshBalance
package import MeshTLS
package import MeshTransport
package import MeshWire
package import NIOCore

/// A connection owner that an endpoint keeps, such as its one HTTP/2 client connection.
package protocol EndpointClient: AnyObject {
    /// The endpoint left discovery: start nothing new, finish what runs, then close.
    func retire()
}

/// An endpoint and its label set on one event loop. Not `Sendable`: it never leaves its loop.
package final class EndpointHandle {
    /// Where to connect.
    package let address: SocketAddress
    /// The loop that everything here belongs to.
    package let loop: any EventLoop
    /// Request counters of this endpoint, labels already bound.
    package let metrics: RequestMetrics
    /// Counters of the sockets towards this endpoint (`peer="dst"`).
    package let transport: TransportMetrics
    /// In-flight requests and peak EWMA latency, for the balancer.
    package let load: LoadTracker
    /// Idle HTTP/1 connections.
    package let http1: HTTP1Pool
    /// The one HTTP/2 connection of this endpoint, kept by the HTTP/2 client.
    package var http2: (any EndpointClient)?
    /// `l5d-dst-canonical` to set on requests, `name:port`; `nil` when the destination has no logical name.
    package let canonicalName: String?
    /// `l5d-client-id` to set on requests: who the peer proved to be.
    package let clientID: String?
    /// Requests of HTTP/1 go there over HTTP/2, as far as they can.
    package let carriesHTTP1: Bool
    /// Pings on HTTP/2 connections to it; `nil` sends none.
    let keepAlive: DiscoveredEndpoint.KeepAlive?
    /// Names requests that name nothing themselves, where they must have a name: the logical one, or the address.
    let defaultAuthority: [UInt8]
    /// Whole lines to add to HTTP/1 requests.
    let requestAdditions: ByteBuffer?
    /// How long one connection attempt may take.
    package let connectTimeout: TimeAmount
    /// Whether discovery dropped this endpoint; nothing new may start on it, no connection may be pooled.
    package private(set) var isRetired = false

    /// What taps say about this endpoint: discovery's labels without `dst_`, and `tls`.
    package let tapLabels: [String: String]
    /// The same, ready for events; made when the first tap asks.
    private(set) lazy var tapDestination = TapDestination(address: address, labels: tapLabels)

    private let gate: ConnectGate
    private let tls: EndpointTLS?
    /// Who the endpoint proves to be; `nil` in plaintext.
    package var serverIdentity: String? { tls?.options.serverIdentity }
    /// Set where failures in a row take the endpoint out of the balancer.
    var accrual: FailureAccrual?

    package init(
        address: SocketAddress, loop: any EventLoop, metrics: RequestMetrics, transport: TransportMetrics,
        settings: EndpointSettings, canonicalName: String? = nil, clientID: String? = nil,
        tls: EndpointTLS? = nil, carriesHTTP1: Bool = false, tapLabels: [String: String] = [:],
        keepAlive: DiscoveredEndpoint.KeepAlive? = nil
    ) {
        self.address = address
        self.loop = loop
        self.metrics = metrics
        self.transport = transport
        self.load = LoadTracker(at: NIODeadline.now().uptimeNanoseconds)
        self.http1 = HTTP1Pool(
            idleTimeout: settings.poolIdleTimeout, idleMax: settings.poolIdleMax, loop: loop)
        self.canonicalName = canonicalName
        self.clientID = clientID
        self.tls = tls
        self.tapLabels = tapLabels
        let additions =
            (canonicalName.map { "l5d-dst-canonical: \($0)\r\n" } ?? "")
            + (clientID.map { "l5d-client-id: \($0)\r\n" } ?? "")
        self.requestAdditions = additions.isEmpty ? nil : ByteBuffer(string: additions)
        self.carriesHTTP1 = carriesHTTP1
        self.keepAlive = keepAlive
        self.defaultAuthority = Array((canonicalName ?? address.endpointText).utf8)
        self.connectTimeout = settings.connect.timeout
        self.gate = ConnectGate(settings: settings.connect)
        accrual = settings.accrual.map { FailureAccrual($0, seed: .random(in: 1...UInt64.max)) }
    }

    /// Whether the balancer may choose this endpoint: not retired, not waiting after a failed connect, and not shut
    /// after failures in a row.
    package var isReady: Bool {
        guard !isRetired, gate.isOpen else { return false }
        return accrual?.isOpen(at: NIODeadline.now().uptimeNanoseconds) ?? true
    }

    /// Opens one connection to the endpoint on `loop`, counting it in `transport`.
    ///
    /// - Parameters:
    ///   - session: what the connection will carry, for the transport header if one is sent; `nil` for opaque bytes.
    ///   - configure: adds handlers; runs on the loop, before the channel becomes active or, with TLS,
    ///   when the handshake is over, so that what they see is plaintext. The last handler must call
    ///   `transport.closed(errno:)` once, from `channelInactive`.
    /// - Returns: an active channel, or a failure whose error is a `ProxyError` (`connectFailed`,
    ///   `connectTimedOut`). A failure closes the endpoint for its back-off; `isReady` says so.
    package func connect(
        carrying session: TransportHeader.SessionProtocol?, _ configure: @escaping (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        var header = tls?.direct?.header
        if tls?.direct?.isOpaque == false { header?.sessionProtocol = session }
        return gate.connect(
            to: tls?.direct?.address ?? address, on: loop, transport: transport,
            tls: tls.map { ($0, header) }, configure)
    }

    /// Discovery removed the endpoint: idle connections close now, busy ones when their work is done.
    package func retire() {
        guard !isRetired else { return }
        isRetired = true
        http1.retire()
        http2?.retire()
    }
}

/// Connections that open with a transport header, as far as the endpoint's proxy agrees to it.
package struct DirectTransport: Sendable, Equatable {
    /// Where to connect.
    package var address: SocketAddress
    /// What the header says, the session's protocol apart.
    package var header: TransportHeader
    /// Never says what the connection carries.
    package var isOpaque: Bool

    package init(address: SocketAddress, header: TransportHeader, isOpaque: Bool) {
        self.address = address
        self.header = header
        self.isOpaque = isOpaque
    }
}

/// Mesh TLS towards one endpoint.
package struct EndpointTLS: Sendable {
    /// What connections are made with.
    package let contexts: TLSContextCell
    /// Who the endpoint must be, and what is asked of it.
    package let options: TLSClientOptions
    /// Dial the endpoint's proxy by its own port, and say where it goes.
    package let direct: DirectTransport?

    package init(contexts: TLSContextCell, options: TLSClientOptions, direct: DirectTransport? = nil) {
        self.contexts = contexts
        var options = options
        if direct != nil { options.alpn = [TransportHeader.alpn] }
        self.options = options
        self.direct = direct
    }
}

/// Bounds and time-outs of connections to endpoints, from the configuration.
package struct EndpointSettings: Sendable, Equatable {
    /// Connect time-out, back-off and socket options.
    package var connect: ConnectSettings
    /// How long a pooled HTTP/1 connection may idle. Shorter than any usual server's own limit.
    package var poolIdleTimeout: TimeAmount
    /// Idle HTTP/1 connections kept per endpoint and loop; beyond it they close.
    package var poolIdleMax: Int
    /// When failures in a row take an endpoint out; `nil` never does, until a policy says so.
    package var accrual: FailureAccrual.Settings?

    package init(connect: ConnectSettings, poolIdleTimeout: TimeAmount, poolIdleMax: Int) {
        self.connect = connect
        self.poolIdleTimeout = poolIdleTimeout
        self.poolIdleMax = poolIdleMax
    }
}
