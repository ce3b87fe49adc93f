// The C side of a session: a BIO over the owner's buffers, and the callbacks of the handshake.
//  SAFETY, for the whole file: OpenSSL calls back only inside calls that `TLSSession` makes, on the session's
// event loop. The BIO's data and slot 0 of the SSL's extra data hold the address of the session's
// `SessionCore`, which lives longer than both.

import COpenSSL
import NIOCore

/// The state that OpenSSL's callbacks touch, at one address for the life of its `TLSSession`.
@unsafe struct SessionCore {
    /// Ciphertext of the peer, lent by `TLSSession` while it calls OpenSSL.
    var input: UnsafeRawPointer?
    var inputCount = 0
    var inputUsed = 0
    /// Ciphertext for the peer, until the owner takes it.
    var output = ByteBuffer()
    /// Our protocols, each with its length before it, as RFC 7301 section 3.1 writes them.
    var alpnList: [UInt8] = []
    var chooseServerName: (@Sendable (String?) -> TLSServerOptions.ServerNameChoice)?
    /// The URI that the server's certificate must name.
    var expectedURI: String?
    var isALPNMismatch = false
    var isServerNameRefused = false

    mutating func read(_ target: UnsafeMutablePointer<CChar>, _ count: Int) -> Int {
        let taken = unsafe min(count, inputCount - inputUsed)
        guard taken > 0, let source = unsafe input else { return 0 }
        unsafe UnsafeMutableRawPointer(target).copyMemory(from: source + inputUsed, byteCount: taken)
        unsafe inputUsed += taken
        return taken
    }
}

/// What `BIO_clear_retry_flags`, a macro, clears.
private let retryFlags = BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_IO_SPECIAL | BIO_FLAGS_SHOULD_RETRY

/// The BIO method that all sessions share.
///
/// `@unchecked Sendable`: filled once before anyone sees it, and only read afterwards.
@safe struct BufferBIO: @unchecked Sendable {
    private static let shared = BufferBIO()
    // SAFETY: lives as long as the process.
    private let method: OpaquePointer?

    /// A BIO over a core; nil when memory is short. The caller frees it, or gives it to an SSL that does.
    static func make(_ core: UnsafeMutablePointer<SessionCore>) -> OpaquePointer? {
        guard let method = unsafe shared.method, let bio = unsafe BIO_new(method) else { return nil }
        unsafe BIO_set_data(bio, core)
        unsafe BIO_set_init(bio, 1)
        return unsafe bio
    }

    private init() {
        let method = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "mesh buffers")
        unsafe self.method = method
        unsafe BIO_meth_set_read_ex(method) { bio, target, count, taken in
            guard let core = unsafe BIO_get_data(bio)?.assumingMemoryBound(to: SessionCore.self),
                let target = unsafe target, let taken = unsafe taken
            else { return 0 }
            unsafe BIO_clear_flags(bio, retryFlags)
            unsafe taken.pointee = unsafe core.pointee.read(target, count)
            if unsafe taken.pointee > 0 { return 1 }
            unsafe BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
            return 0
        }
        unsafe BIO_meth_set_write_ex(method) { bio, source, count, written in
            guard let core = unsafe BIO_get_data(bio)?.assumingMemoryBound(to: SessionCore.self),
                let written = unsafe written
            else { return 0 }
            unsafe BIO_clear_flags(bio, retryFlags)
            unsafe core.pointee.output.writeBytes(UnsafeRawBufferPointer(start: source, count: count))
            unsafe written.pointee = count
            return 1
        }
        unsafe BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
    }
}

/// Sets the callbacks of a context; they find their session by the SSL.
func setCallbacks(_ context: OpaquePointer, _ role: TLSContext.Role) {
    // Without SSL_VERIFY_FAIL_IF_NO_PEER_CERT: servers take clients that show no certificate.
    unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER) { isGood, store in
        guard isGood == 1, unsafe X509_STORE_CTX_get_error_depth(store) == 0 else { return isGood }
        let index = SSL_get_ex_data_X509_STORE_CTX_idx()
        guard let ssl = unsafe X509_STORE_CTX_get_ex_data(store, index),
            let core = unsafe core(OpaquePointer(ssl)), let uri = unsafe core.pointee.expectedURI
        else { return 1 }
        if unsafe leafNames(store).contains(.uri(uri)) { return 1 }
        unsafe X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH)
        return 0
    }
    guard role == .server else { return }
    unsafe mesh_ctx_set_server_name_callback(context) { ssl, alert, _ in
        guard let ssl = unsafe ssl, let core = unsafe core(ssl),
            let choose = unsafe core.pointee.chooseServerName
        else { return SSL_TLSEXT_ERR_OK }
        switch choose(unsafe serverName(ssl)) {
        case .accept: return SSL_TLSEXT_ERR_OK
        case .use(let other):
            // SAFETY: the SSL takes a reference of the other context.
            return unsafe SSL_set_SSL_CTX(ssl, other.context) == nil
                ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_OK
        case .refuse:
            unsafe core.pointee.isServerNameRefused = true
            unsafe alert?.pointee = SSL_AD_UNRECOGNIZED_NAME
            return SSL_TLSEXT_ERR_ALERT_FATAL
        }
    }
    let select: SSL_CTX_alpn_select_cb_func = { ssl, chosen, chosenCount, offer, offerCount, _ in
        guard let ssl = unsafe ssl, let core = unsafe core(ssl), let offer = unsafe offer,
            unsafe !core.pointee.alpnList.isEmpty
        else { return SSL_TLSEXT_ERR_NOACK }
        let offered = unsafe UnsafeBufferPointer(start: offer, count: Int(offerCount))
        guard let range = unsafe commonProtocol(core.pointee.alpnList, offered) else {
            unsafe core.pointee.isALPNMismatch = true
            return SSL_TLSEXT_ERR_ALERT_FATAL
        }
        // SAFETY: OpenSSL copies the choice before it lets go of the offer, into which this points.
        unsafe chosen?.pointee = offer + range.lowerBound
        unsafe chosenCount?.pointee = UInt8(truncatingIfNeeded: range.count)
        return SSL_TLSEXT_ERR_OK
    }
    unsafe SSL_CTX_set_alpn_select_cb(context, select, nil)
}

/// The name that a client asked for, valid or not; the caller compares it.
func serverName(_ ssl: OpaquePointer) -> String? {
    // SAFETY: OpenSSL ends the name with a zero, refuses names with one inside, and keeps it for the session.
    unsafe SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name).map { unsafe String(cString: $0) }
}

private func core(_ ssl: OpaquePointer) -> UnsafeMutablePointer<SessionCore>? {
    unsafe SSL_get_ex_data(ssl, 0)?.assumingMemoryBound(to: SessionCore.self)
}

private func leafNames(_ store: OpaquePointer?) -> [Certificate.Name] {
    // SAFETY: takes a reference, which the certificate's owner gives back.
    guard let x509 = unsafe X509_STORE_CTX_get_current_cert(store), unsafe X509_up_ref(x509) == 1 else {
        return []
    }
    // A certificate without usable times has no names for us either.
    return (try? unsafe Certificate(adopting: x509))?.names ?? []
}

/// Where in the offer the first of our protocols lies that the peer offers too.
private func commonProtocol(_ ours: [UInt8], _ offer: UnsafeBufferPointer<UInt8>) -> Range<Int>? {
    var own = 0
    while own < ours.count {
        let ownEnd = own + 1 + Int(ours[own])
        var at = 0
        while at < offer.count {
            let end = unsafe at + 1 + Int(offer[at])
            guard end <= offer.count else { break }
            if unsafe offer[at..<end].elementsEqual(ours[own..<ownEnd]) { return (at + 1)..<end }
            at = end
        }
        own = ownEnd
    }
    return nil
}
