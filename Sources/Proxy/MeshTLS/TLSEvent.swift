public import NIOCore

/// What a session learnt about its peer in the handshake.
public struct TLSPeer: Sendable, Hashable {
    /// The first DNS or URI name of the peer's verified certificate; nil when a client showed none, or one
    /// without a valid name (spec/proxy.md 9.3).
    public let identity: String?
    /// The application protocol that was agreed on.
    public let alpn: String?
    /// The server name that the client asked for.
    public let serverName: String?
    /// The version in use.
    public let version: TLSVersion
}

/// What bytes from the peer meant.
public enum TLSEvent: Sendable {
    /// The handshake is over: application bytes may be written. Comes at most once.
    case handshakeDone(TLSPeer)
    /// Application bytes, never empty.
    case plaintext(ByteBuffer)
    /// The peer sent close_notify: it sends no more, but may still read. The last event.
    case closed
    /// The session is of no use any more; an alert for the peer may wait in the output. The last event.
    case failed(TLSError)
}

/// What a client says and expects.
public struct TLSClientOptions: Sendable {
    /// The name asked for (SNI); nil sends none.
    public var serverName: String?
    /// Who the server must be: a DNS name, checked by OpenSSL, or a URI with a scheme.
    public var serverIdentity: String
    /// Protocols to offer, the preferred one first; none offers nothing.
    public var alpn: [String]

    /// - Parameter serverName: nil asks for `serverIdentity`, unless that is a URI.
    public init(serverIdentity: String, serverName: String? = nil, alpn: [String] = []) {
        self.serverIdentity = serverIdentity
        self.serverName = serverName ?? (serverIdentity.contains("://") ? nil : serverIdentity)
        self.alpn = alpn
    }
}

/// What a server agrees to.
public struct TLSServerOptions: Sendable {
    /// What to do about the name that a client asks for.
    public enum ServerNameChoice: Sendable {
        /// Go on with the session's own context.
        case accept
        /// Go on with the certificate of another context.
        case use(TLSContext)
        /// End the handshake with unrecognized_name.
        case refuse
    }

    /// Protocols spoken here, the preferred one first. None ignores what clients offer; with some, a client
    /// that offers only others is refused, and one that offers nothing is not.
    public var alpn: [String]
    /// Asked once per handshake with the client's name, nil when it sent none; nil accepts every name.
    public var chooseServerName: (@Sendable (String?) -> ServerNameChoice)?

    /// Accepts every name by default, and agrees on no protocol.
    public init(
        alpn: [String] = [], chooseServerName: (@Sendable (String?) -> ServerNameChoice)? = nil
    ) {
        self.alpn = alpn
        self.chooseServerName = chooseServerName
    }
}
