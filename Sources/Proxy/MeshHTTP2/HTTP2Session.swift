// One HTTP/2 connection without its socket: bytes in, events out, output when asked for.
//  nghttp2 does frames, HPACK, flow control and the checks of RFC 9113 section 8 (pseudo headers, forbidden
// fields, content-length). We add: streams in slots, a bound with a name for everything a peer can send, and
// credit that goes back only when the owner says so. Never here: sockets, clocks, and any decision about a
// request.
//  Reading is a pull: `receive` hands bytes over, `nextEvent` parses as far as it must. So the owner may call
// anything on this or another session while it handles an event, and memory stays bounded even if one read
// holds a thousand requests.

import CNGHTTP2
public import NIOCore

/// The owner of one nghttp2 session, server or client. One event loop only.
@safe public final class HTTP2Session {
    /// Which end of the connection this is.
    public enum Role: Sendable { case server, client }

    /// Which end this is.
    public let role: Role
    /// Holds the lists that events refer to, until the next event is asked for.
    public let headers = HTTP2Headers(byteCapacity: 0, fieldCapacity: 0)

    // SAFETY: made in init, freed in deinit. nghttp2 keeps the address of `core` as its user data.
    let session: OpaquePointer
    let core: UnsafeMutablePointer<SessionCore>
    private var input = ByteBuffer()
    /// How much of `input` was parsed. Its reader index stays, so that chunks before it can still be sliced.
    private var inputUsed = 0
    private var closingSlot = -1
    private var hasFailed = false
    private var touched: ContiguousArray<StreamSlot> = []
    private let memory: HTTP2Memory
    /// Bytes that streams may hold back of the window they share, before the connection gets credit ahead of them.
    private let heldBytesMax: Int

    /// Makes a session and queues its preface and SETTINGS.
    /// - Parameter memory: shared by the sessions of one event loop; a session alone has its own.
    public init(role: Role, limits: SessionLimits, memory: HTTP2Memory = HTTP2Memory()) {
        self.role = role
        self.memory = memory
        heldBytesMax = limits.connectionWindowBytes / 2
        let core = UnsafeMutablePointer<SessionCore>.allocate(capacity: 1)
        unsafe core.initialize(
            to: SessionCore(isServer: role == .server, limits: limits, headers: headers.storage))
        unsafe self.core = unsafe core
        unsafe self.session = unsafe makeSession(role, limits, core, memory)
        submitSettings(limits)
    }

    deinit {
        unsafe memory.giveBackAdvance(core.pointee.advancedBytes)
        unsafe nghttp2_session_del(session)
        unsafe core.deinitialize(count: 1)
        unsafe core.deallocate()
    }

    // MARK: Receiving

    /// Takes bytes from the peer. Read events until there are none before the next call.
    /// - Parameter nowNanoseconds: any steady clock; rates are measured with it.
    public func receive(_ bytes: ByteBuffer, nowNanoseconds: UInt64) {
        unsafe core.pointee.nowNanoseconds = nowNanoseconds
        input = bytes
        inputUsed = 0
    }

    /// The next event, or nil when the input is used up. Lists and chunks of the event before are invalid
    /// after it.
    public func nextEvent() -> HTTP2Event? {
        if closingSlot >= 0 {
            unsafe core.pointee.streams.giveBack(closingSlot)
            closingSlot = -1
        }
        while true {
            if let event = unsafe core.pointee.events.popFirst() {
                if case .closed(let slot, _) = event { closingSlot = slot }
                return event
            }
            dropReadHeaders()
            let isPaused = unsafe core.pointee.isPaused
            guard inputUsed < input.readableBytes || isPaused, !hasFailed else {
                if input.capacity > 0 { input = ByteBuffer() }
                inputUsed = 0
                giveBackMemory()
                return nil
            }
            unsafe memory.lendArena(to: headers.storage)
            unsafe memory.lendEvents(to: &core.pointee.events)
            feed()
        }
    }

    /// The bytes of a `data` event, shared with the buffer they came in.
    public func bytes(of chunk: BodyChunk) -> ByteBuffer {
        // The chunk lies inside the input by construction; a stale chunk gives an empty buffer.
        input.getSlice(at: chunk.offset, length: chunk.byteCount) ?? ByteBuffer()
    }

    private func feed() {
        // SAFETY: nghttp2 reads at most `count` bytes at `base + used`, and keeps no address of them. Offsets
        // of chunks count from the buffer's index 0, so that they fit `getSlice`.
        let start = input.readerIndex
        let skipped = inputUsed
        let count = input.readableBytes - skipped
        let used = unsafe input.withUnsafeReadableBytes { raw -> Int in
            // Never read: the count is 0 when there is no address.
            let empty = unsafe UnsafeRawPointer(bitPattern: 1)
            guard let base = unsafe (raw.baseAddress ?? empty)?.assumingMemoryBound(to: UInt8.self) else {
                return count
            }
            unsafe core.pointee.isPaused = false
            unsafe core.pointee.inputBase = unsafe base - start
            let used = unsafe nghttp2_session_mem_recv(session, base + skipped, count)
            unsafe core.pointee.inputBase = nil
            return used
        }
        if used < 0 {
            fail(libraryCode: Int32(used))
        } else {
            inputUsed += min(used, count)
            advanceCredit()
            if unsafe core.pointee.isFlooded { fail(libraryCode: NGHTTP2_ERR_FLOODED.rawValue) }
        }
    }

    private func fail(libraryCode: Int32) {
        hasFailed = true
        let kind: HTTP2Error.Kind
        switch libraryCode {
        case NGHTTP2_ERR_BAD_CLIENT_MAGIC.rawValue: kind = .preface
        case NGHTTP2_ERR_FLOODED.rawValue: kind = .flood
        case NGHTTP2_ERR_PROTO.rawValue: kind = .protocolViolation
        default: kind = .fatal
        }
        let code: HTTP2ErrorCode = kind == .flood ? .enhanceYourCalm : .protocolError
        if kind != .preface { unsafe _ = nghttp2_session_terminate_session(session, code.rawValue) }
        unsafe core.pointee.events.append(.failed(HTTP2Error(kind, libraryCode: libraryCode)))
    }

    /// Nothing to read and no event left: what remains is a list that is still arriving, if any.
    private func giveBackMemory() {
        unsafe memory.takeBackEvents(of: &core.pointee.events)
        if unsafe !core.pointee.isInBlock { unsafe memory.takeBackArena(of: headers.storage) }
    }

    /// Every event was handled, so every whole list was; one that is still arriving stays.
    private func dropReadHeaders() {
        if unsafe core.pointee.isInBlock {
            unsafe headers.storage.pointee.dropFields(before: core.pointee.currentFirstField)
            unsafe core.pointee.currentFirstField = 0
        } else {
            headers.removeAll()
        }
    }

    // MARK: Credit and output

    /// Lets the peer send `byteCount` more bytes: on the stream if it is still open, and on the connection.
    /// Call it when the other side has taken as many, and not before.
    public func consume(streamID: Int, byteCount: Int) {
        guard byteCount > 0 else { return }
        let id = Int32(truncatingIfNeeded: streamID)
        unsafe core.pointee.heldBytes -= byteCount
        let ahead = unsafe min(byteCount, core.pointee.advancedBytes)
        guard ahead > 0 else {
            unsafe _ = nghttp2_session_consume(session, id, byteCount)
            return
        }
        unsafe core.pointee.advancedBytes -= ahead
        memory.giveBackAdvance(ahead)
        unsafe _ = nghttp2_session_consume_stream(session, id, byteCount)
        if byteCount > ahead { unsafe _ = nghttp2_session_consume_connection(session, byteCount - ahead) }
    }

    /// Keeps streams that nobody reads from holding up the others: before what they hold is the whole of the window
    /// that all share, the connection gets credit for it, and only the streams themselves wait for theirs.
    private func advanceCredit() {
        let owed = unsafe core.pointee.heldBytes - core.pointee.advancedBytes
        guard owed > heldBytesMax else { return }
        let credit = memory.takeAdvance(owed)
        guard credit > 0 else { return }
        unsafe core.pointee.advancedBytes += credit
        unsafe _ = nghttp2_session_consume_connection(session, credit)
    }

    /// Whether `produce` would give anything.
    public var wantsWrite: Bool { unsafe nghttp2_session_want_write(session) != 0 }

    /// Both sides are done: the connection can be closed once the output is written.
    public var isFinished: Bool {
        unsafe nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
    }

    /// Gathers output, at most about `outputBytesMax` bytes, and hands it to `write` in one or a few buffers.
    /// Read events afterwards: streams close, and bytes are reported as sent.
    /// - Returns: the bytes handed over; 0 when there was nothing to send.
    public func produce(_ write: (ByteBuffer) -> Void) -> Int {
        unsafe memory.lendEvents(to: &core.pointee.events)
        unsafe core.pointee.output = memory.takeOutput()
        unsafe core.pointee.outputByteCount = 0
        let limit = unsafe core.pointee.outputBytesMax
        while unsafe core.pointee.outputByteCount < limit {
            var bytes: UnsafePointer<UInt8>?
            // SAFETY: nghttp2 lends `count` bytes until its next call; they are copied at once.
            let count = unsafe nghttp2_session_mem_send(session, &bytes)
            if count <= 0 {
                if count < 0, !hasFailed { fail(libraryCode: Int32(count)) }
                break
            }
            unsafe core.pointee.output.writeBytes(UnsafeRawBufferPointer(start: bytes, count: count))
            unsafe core.pointee.outputByteCount += count
        }
        detachPending()
        var output = ByteBuffer()
        unsafe swap(&output, &core.pointee.output)
        let total = handOver(output, write)
        memory.giveBack(output: output)
        return total
    }

    private func handOver(_ output: ByteBuffer, _ write: (ByteBuffer) -> Void) -> Int {
        let total = unsafe core.pointee.outputByteCount
        guard total > 0 else { return 0 }
        guard unsafe !core.pointee.largePieces.isEmpty else {
            write(output)
            return total
        }
        var rest = output
        for piece in unsafe core.pointee.largePieces {
            if piece.index > rest.readerIndex,
                let small = rest.readSlice(length: piece.index - rest.readerIndex)
            {
                write(small)
            }
            write(piece.bytes)
        }
        if rest.readableBytes > 0 { write(rest) }
        unsafe core.pointee.largePieces.removeAll(keepingCapacity: true)
        return total
    }

    /// Copies body bytes that could not leave out of the read buffers they came in; `produce` does it too.
    /// Call it at the end of a turn in which nothing may be written.
    public func detachPending() {
        guard !touched.isEmpty else { return }
        for slot in touched { unsafe core.pointee.streams[slot].detachPending() }
        touched.removeAll(keepingCapacity: true)
    }

    func touch(_ slot: StreamSlot) { touched.append(slot) }
}

/// Configures and makes the C session. It fails only when memory is short, where Swift's own allocations trap
/// too.
private func makeSession(
    _ role: HTTP2Session.Role, _ limits: SessionLimits, _ core: UnsafeMutablePointer<SessionCore>,
    _ memory: HTTP2Memory
) -> OpaquePointer {
    var options: OpaquePointer?
    unsafe _ = nghttp2_option_new(&options)
    let callbacks = unsafe makeSessionCallbacks()
    guard let options = unsafe options, let callbacks = unsafe callbacks else {
        preconditionFailure("out of memory")
    }
    defer { unsafe nghttp2_option_del(options) }
    defer { unsafe nghttp2_session_callbacks_del(callbacks) }
    // Credit goes back when the other side took the bytes, never by itself.
    unsafe nghttp2_option_set_no_auto_window_update(options, 1)
    unsafe nghttp2_option_set_no_closed_streams(options, 1)
    unsafe nghttp2_option_set_peer_max_concurrent_streams(
        options, UInt32(clamping: limits.assumedPeerStreamsMax))
    unsafe nghttp2_option_set_max_deflate_dynamic_table_size(options, limits.encoderTableBytesMax)
    unsafe nghttp2_option_set_max_outbound_ack(options, limits.acksQueuedMax)
    unsafe nghttp2_option_set_max_settings(options, limits.settingsEntriesMax)
    unsafe nghttp2_option_set_max_send_header_block_length(options, limits.headerListBytesMax * 2)
    // Where the library has them. Endless CONTINUATION frames cost work, not memory. Resets are counted by us, who
    // say ENHANCE_YOUR_CALM; the library, which calls them an internal error, only comes behind that.
    _ = unsafe mesh_option_set_stream_reset_rate_limit(
        options, UInt64(limits.peerResets.burst) * 2, UInt64(limits.peerResets.perSecond) * 2)
    _ = unsafe mesh_option_set_max_continuations(options, limits.continuationsMax)
    var session: OpaquePointer?
    let code = unsafe memory.withAllocator(lendsFrame: role == .server) { allocator in
        switch role {
        case .server: unsafe nghttp2_session_server_new3(&session, callbacks, core, options, allocator)
        case .client: unsafe nghttp2_session_client_new3(&session, callbacks, core, options, allocator)
        }
    }
    guard code == 0, let session = unsafe session else { preconditionFailure("out of memory") }
    return unsafe session
}
