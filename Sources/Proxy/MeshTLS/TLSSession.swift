// One TLS connection without its socket: bytes in, events out, output when asked for.
//
// OpenSSL does records, handshake and verification. We add: a BIO that reads the received buffer where it lies
// and appends to the output, with no copy between them that OpenSSL does not need for its record; the peer's
// identity; and a closed set of failures. Never here: sockets, clocks, time-outs.
//
// Reading is a pull, as in `HTTP2Session`: `receive` hands bytes over, `nextEvent` works as far as it must.
// Records leave as full as they can, up to 16 KiB: inside a cluster the round trips that smaller first records
// would save are too short to matter.

import COpenSSL
public import NIOCore

/// The owner of one SSL, server or client. One event loop only.
@safe public final class TLSSession {
    /// Plaintext bytes in a full record (RFC 8446 section 5.1).
    public static let recordBytesMax = 16_384
    /// Bytes that a record may add: header, type or nonce, and tag.
    private static let recordOverheadBytes = 32
    /// By as much a peer's record may be longer than its plaintext (RFC 5246 section 6.2.3), with its header.
    private static let expansionBytesMax = 2_048 + 5

    private enum Phase { case handshake, established, ended }

    /// Which end this is.
    public let role: TLSContext.Role
    /// What is known about the peer, once the handshake is over.
    public private(set) var peer: TLSPeer?

    // SAFETY: made in init, freed in deinit. OpenSSL keeps the address of `core`.
    private let ssl: OpaquePointer
    private let core: UnsafeMutablePointer<SessionCore>
    private var phase = Phase.handshake
    private var hasStarted = false
    private var isOutputClosed = false
    private var isTransportEnded = false
    private var input = ByteBuffer()
    /// Ciphertext that OpenSSL took and did not give plaintext for yet: the beginning of a record.
    private var heldBytes = 0
    /// The last event, when plaintext must come before it.
    private var lastEvent: TLSEvent?

    /// A session of a client.
    ///
    /// - Throws: `library` when memory is short, or a name or protocol cannot be used.
    public convenience init(_ context: TLSContext, _ options: TLSClientOptions) throws(TLSError) {
        precondition(context.role == .client, "a client needs a client's context")
        try self.init(context: context, alpn: options.alpn)
        let isURI = options.serverIdentity.contains("://")
        let isSet = isURI ? expect(uri: options.serverIdentity) : expect(host: options.serverIdentity)
        var isNamed = true
        if let name = options.serverName { isNamed = unsafe mesh_ssl_set_server_name(ssl, name) == 1 }
        Library.clearErrors()
        guard isSet, isNamed, offerALPN() else { throw TLSError(.library) }
        unsafe SSL_set_connect_state(ssl)
    }

    /// A session of a server.
    ///
    /// - Throws: `library` when memory is short, or a protocol cannot be used.
    public convenience init(_ context: TLSContext, _ options: TLSServerOptions) throws(TLSError) {
        precondition(context.role == .server, "a server needs a server's context")
        try self.init(context: context, alpn: options.alpn)
        unsafe core.pointee.chooseServerName = options.chooseServerName
        unsafe SSL_set_accept_state(ssl)
    }

    private init(context: TLSContext, alpn: [String]) throws(TLSError) {
        guard let list = alpnList(alpn) else { throw TLSError(.library) }
        let core = UnsafeMutablePointer<SessionCore>.allocate(capacity: 1)
        unsafe core.initialize(to: SessionCore())
        let newSSL = unsafe SSL_new(context.context)
        guard let ssl = unsafe newSSL, let bio = unsafe BufferBIO.make(core) else {
            unsafe SSL_free(newSSL)
            unsafe core.deinitialize(count: 1)
            unsafe core.deallocate()
            Library.clearErrors()
            throw TLSError(.library)
        }
        unsafe core.pointee.alpnList = list
        // SAFETY: one BIO for both directions; the SSL owns the one reference, and frees it with itself.
        unsafe SSL_set_bio(ssl, bio, bio)
        unsafe _ = SSL_set_ex_data(ssl, 0, core)
        role = context.role
        unsafe self.ssl = ssl
        unsafe self.core = core  // Last, so that deinit never sees a half-built session.
    }

    deinit {
        unsafe SSL_free(ssl)
        unsafe core.deinitialize(count: 1)
        unsafe core.deallocate()
    }

    // MARK: Receiving

    /// Takes bytes from the peer. Read events until there are none before the next call.
    public func receive(_ bytes: ByteBuffer) {
        if input.readableBytes == 0 {
            input = bytes
        } else {
            input.writeImmutableBuffer(bytes)
        }
    }

    /// The peer's transport ended: without close_notify before it, that is a failure. Read events afterwards.
    public func receiveEnd() { isTransportEnded = true }

    /// The next event, or nil when nothing can happen before more bytes come. The first call of a client
    /// makes its first flight.
    public func nextEvent() -> TLSEvent? {
        if let lastEvent, phase != .ended { return end(with: lastEvent) }
        switch phase {
        case .handshake:
            if let event = shakeHands() { return event }
            return isTransportEnded ? end(with: .failed(TLSError(.closedInHandshake))) : nil
        case .established:
            if let event = decrypt() { return event }
            return isTransportEnded ? end(with: .failed(TLSError(.truncated))) : nil
        case .ended: return nil
        }
    }

    private func shakeHands() -> TLSEvent? {
        guard !hasStarted || input.readableBytes > 0 else { return nil }
        if !hasStarted, role == .server, input.readableBytes == 0 { return nil }
        hasStarted = true
        let code = withInput { unsafe SSL_do_handshake(ssl) }
        guard code == 1 else {
            guard let event = outcome(of: code) else { return nil }
            if case .closed = event { return end(with: .failed(TLSError(.closedInHandshake))) }
            return end(with: event)
        }
        phase = .established
        let peer = describePeer()
        self.peer = peer
        return .handshakeDone(peer)
    }

    /// All plaintext that the input holds, in one buffer: it is never longer than the ciphertext it came in.
    private func decrypt() -> TLSEvent? {
        let pending = Int(unsafe SSL_pending(ssl))
        guard input.readableBytes + pending > 0 else { return nil }
        var plaintext = ByteBuffer()
        plaintext.reserveCapacity(heldBytes + input.readableBytes + pending)
        heldBytes = min(heldBytes + input.readableBytes, Self.recordBytesMax + Self.expansionBytesMax)
        let code = withInput { readAll(into: &plaintext) }
        let event = code > 0 ? nil : outcome(of: code)
        guard plaintext.readableBytes > 0 else { return event.map { end(with: $0) } }
        lastEvent = event
        return .plaintext(plaintext)
    }

    /// Reads until OpenSSL has no more, or the space is full; gives its last answer.
    private func readAll(into plaintext: inout ByteBuffer) -> Int32 {
        var code: Int32 = 1
        unsafe plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: 1) { space in
            var total = 0
            while total < space.count {
                var count = 0
                // SAFETY: OpenSSL writes at most the space that is left, and keeps no address of it.
                code = unsafe SSL_read_ex(
                    ssl, space.baseAddress.map { unsafe $0 + total }, space.count - total, &count)
                guard code == 1 else { break }
                total += count
                guard unsafe SSL_pending(ssl) == 0 else { continue }
                // OpenSSL reads record by record, so this is where one ends.
                heldBytes = unsafe core.pointee.inputCount - core.pointee.inputUsed
                if heldBytes == 0 { break }
            }
            return total
        }
        return code
    }

    /// What a call that gave no result means: nil to wait for more.
    private func outcome(of code: Int32) -> TLSEvent? {
        switch unsafe SSL_get_error(ssl, code) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return nil
        case SSL_ERROR_ZERO_RETURN: return .closed
        default:
            let verifyCode = Int(unsafe SSL_get_verify_result(ssl))
            let error = TLSError.takeFromQueue(verifyCode: verifyCode, isEstablished: phase == .established)
            if unsafe core.pointee.isServerNameRefused { return .failed(error.renamed(.serverNameRefused)) }
            if unsafe core.pointee.isALPNMismatch { return .failed(error.renamed(.alpnMismatch)) }
            return .failed(error)
        }
    }

    private func end(with event: TLSEvent) -> TLSEvent {
        phase = .ended
        lastEvent = nil
        input = ByteBuffer()
        if case .failed = event { isOutputClosed = true }
        return event
    }

    /// Lends the input to OpenSSL during `body`, and drops what it took.
    private func withInput(_ body: () -> Int32) -> Int32 {
        ERR_clear_error()
        let code = unsafe input.withUnsafeReadableBytes { bytes in
            // SAFETY: the address is withdrawn before the closure ends.
            unsafe core.pointee.input = bytes.baseAddress
            unsafe core.pointee.inputCount = bytes.count
            unsafe core.pointee.inputUsed = 0
            let code = body()
            unsafe core.pointee.input = nil
            return code
        }
        input.moveReaderIndex(forwardBy: unsafe core.pointee.inputUsed)
        unsafe core.pointee.inputCount = 0
        unsafe core.pointee.inputUsed = 0
        if input.readableBytes == 0 { input = ByteBuffer() }
        return code
    }

    // MARK: Sending

    /// Whether application bytes may be written.
    public var canWrite: Bool { peer != nil && !isOutputClosed }

    /// Encrypts pieces, in order, into records as full as they can be. Small pieces share records.
    ///
    /// - Throws: when `canWrite` is false, or OpenSSL fails; the session is then of no more use.
    public func write(_ pieces: some Collection<ByteBuffer>) throws(TLSError) {
        guard canWrite else { throw TLSError(.library) }
        let total = pieces.reduce(0) { $0 + $1.readableBytes }
        guard total > 0 else { return }
        let records = total / Self.recordBytesMax + 1
        unsafe core.pointee.output.reserveCapacity(
            minimumWritableBytes: total + records * Self.recordOverheadBytes)
        if pieces.count == 1, let piece = pieces.first {
            try encrypt(piece)
            return
        }
        var gathered = ByteBuffer()
        gathered.reserveCapacity(min(total, Self.recordBytesMax))
        for var piece in pieces {
            while piece.readableBytes > 0 {
                if gathered.readableBytes == 0, piece.readableBytes >= Self.recordBytesMax {
                    let whole = piece.readableBytes / Self.recordBytesMax * Self.recordBytesMax
                    if let records = piece.readSlice(length: whole) { try encrypt(records) }
                    continue
                }
                let room = min(Self.recordBytesMax - gathered.readableBytes, piece.readableBytes)
                if let part = piece.readSlice(length: room) { gathered.writeImmutableBuffer(part) }
                if gathered.readableBytes == Self.recordBytesMax {
                    try encrypt(gathered)
                    gathered.clear()
                }
            }
        }
        try encrypt(gathered)
    }

    private func encrypt(_ bytes: ByteBuffer) throws(TLSError) {
        guard bytes.readableBytes > 0 else { return }
        ERR_clear_error()
        var written = 0
        // SAFETY: OpenSSL reads the bytes during the call only. The BIO takes everything, so either all of
        // them are written or the session has failed.
        let code = unsafe bytes.withUnsafeReadableBytes { raw in
            unsafe SSL_write_ex(ssl, raw.baseAddress, raw.count, &written)
        }
        guard code == 1, written == bytes.readableBytes else {
            isOutputClosed = true
            throw TLSError.takeFromQueue(verifyCode: 0, isEstablished: true)
        }
    }

    /// Says that no more will be written (close_notify). Reading goes on. Idempotent.
    public func closeOutput() {
        guard canWrite else { return }
        isOutputClosed = true
        ERR_clear_error()
        unsafe _ = SSL_shutdown(ssl)
        Library.clearErrors()
    }

    /// The bytes to send to the peer, if there are any. Ask after every event and every write.
    public func takeOutput() -> ByteBuffer? {
        guard unsafe core.pointee.output.readableBytes > 0 else { return nil }
        let output = unsafe core.pointee.output
        unsafe core.pointee.output = ByteBuffer()
        return output
    }
}

// MARK: - Setting up, and looking at the peer

extension TLSSession {
    private func expect(uri: String) -> Bool {
        unsafe core.pointee.expectedURI = uri
        return true
    }

    private func expect(host: String) -> Bool {
        guard isDNSName(host) else { return false }
        unsafe SSL_set_hostflags(ssl, UInt32(hostCheckFlags))
        return unsafe SSL_set1_host(ssl, host) == 1
    }

    private func offerALPN() -> Bool {
        let list = unsafe core.pointee.alpnList
        guard !list.isEmpty else { return true }
        // "SSL_set_alpn_protos() return 0 on success, and non-0 on failure", its manual.
        return unsafe SSL_set_alpn_protos(ssl, list, UInt32(list.count)) == 0
    }

    private func describePeer() -> TLSPeer {
        var protocolName: UnsafePointer<UInt8>?
        var protocolCount: UInt32 = 0
        unsafe SSL_get0_alpn_selected(ssl, &protocolName, &protocolCount)
        // SAFETY: OpenSSL keeps the name for the life of the session; it is copied here.
        let alpn = unsafe protocolName.map { start in
            unsafe String(
                decoding: UnsafeBufferPointer(start: start, count: Int(protocolCount)), as: UTF8.self)
        }
        return TLSPeer(
            identity: peerIdentity(), alpn: alpn, serverName: unsafe MeshTLS.serverName(ssl),
            version: unsafe SSL_version(ssl) == TLS1_3_VERSION ? .tls13 : .tls12)
    }

    private func peerIdentity() -> String? {
        // SAFETY: the reference that OpenSSL hands out goes to the certificate's owner.
        guard let x509 = unsafe SSL_get1_peer_certificate(ssl) else { return nil }
        // OpenSSL has read and checked its times already.
        return (try? unsafe Certificate(adopting: x509))?.identity
    }
}

extension TLSError {
    fileprivate func renamed(_ kind: Kind) -> TLSError {
        TLSError(kind, alert: alert, libraryCode: libraryCode)
    }
}

/// Protocols as RFC 7301 writes them; nil when one cannot be written, being empty or longer than 255 bytes.
private func alpnList(_ names: [String]) -> [UInt8]? {
    var list: [UInt8] = []
    for name in names {
        guard let count = UInt8(exactly: name.utf8.count), count > 0 else { return nil }
        list.append(count)
        list.append(contentsOf: name.utf8)
    }
    return list.count <= Int(UInt16.max) ? list : nil
}
