import MeshTLS
import MeshTestPKI
import NIOCore

/// Two sessions with a wire between them that a test can tear.
struct SessionPair {
    /// What one side saw.
    struct Side {
        let session: TLSSession
        var peer: TLSPeer?
        var plaintext = ByteBuffer()
        var isClosed = false
        var error: TLSError?

        init(_ session: TLSSession) { self.session = session }

        mutating func drain() {
            while let event = session.nextEvent() {
                switch event {
                case .handshakeDone(let peer): self.peer = peer
                case .plaintext(let bytes): plaintext.writeImmutableBuffer(bytes)
                case .closed: isClosed = true
                case .failed(let error): self.error = error
                }
            }
        }
    }

    var client: Side
    var server: Side

    init(
        client context: TLSContext,
        _ clientOptions: TLSClientOptions = TLSClientOptions(serverIdentity: TestMesh.web),
        server serverContext: TLSContext, _ serverOptions: TLSServerOptions = TLSServerOptions()
    ) throws {
        client = Side(try TLSSession(context, clientOptions))
        server = Side(try TLSSession(serverContext, serverOptions))
    }

    /// Carries bytes both ways until both are silent.
    ///
    /// - Parameter bend: may change what is on the wire; `true` for bytes of the client.
    mutating func pump(_ bend: (ByteBuffer, Bool) -> ByteBuffer = { bytes, _ in bytes }) {
        while true {
            client.drain()
            server.drain()
            let up = client.session.takeOutput()
            let down = server.session.takeOutput()
            if let up { server.session.receive(bend(up, true)) }
            if let down { client.session.receive(bend(down, false)) }
            if up == nil, down == nil { return }
        }
    }

    /// A pair of the shared mesh after its handshake.
    static func established() throws -> SessionPair {
        let mesh = try TestMesh.shared.get()
        var pair = try SessionPair(client: mesh.client, server: mesh.server)
        pair.pump()
        return pair
    }
}
