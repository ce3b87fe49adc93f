// The C side of a session: thin functions that find the core and the stream, and nothing else.
//  SAFETY, for the whole file: nghttp2 calls back only inside calls that `HTTP2Session` makes, on the
// session's event loop, and hands back the user data that the session gave: the address of its `SessionCore`,
// which lives as long as the session. Frames, names, values and data are valid until the callback returns.

import CNGHTTP2

private typealias Core = UnsafeMutablePointer<SessionCore>

@inline(__always)
private func core(_ userData: UnsafeMutableRawPointer?) -> Core? {
    unsafe userData?.assumingMemoryBound(to: SessionCore.self)
}

/// Streams carry their slot plus one, so that "no slot" is nil. Frames of one stream follow one another, so the last
/// answer often spares a look into nghttp2's table, which is cold in the cache.
@inline(__always)
private func slot(_ session: OpaquePointer?, _ streamID: Int32, _ core: Core) -> Int? {
    let last = unsafe core.pointee.lastSlot
    if unsafe core.pointee.streams.isLive(last, id: streamID) { return last }
    guard let raw = unsafe nghttp2_session_get_stream_user_data(session, streamID) else { return nil }
    let found = Int(bitPattern: raw) - 1
    unsafe core.pointee.lastSlot = found
    return found
}

/// Builds the callback table of one session; the caller frees it once the session has copied it.
func makeSessionCallbacks() -> OpaquePointer? {
    var table: OpaquePointer?
    guard unsafe nghttp2_session_callbacks_new(&table) == 0, let table = unsafe table else { return nil }
    unsafe setReceiveCallbacks(table)
    unsafe nghttp2_session_callbacks_set_on_stream_close_callback(table) {
        session, streamID, code, userData in
        guard let core = unsafe core(userData), let slot = unsafe slot(session, streamID, core) else { return 0 }
        unsafe core.pointee.closed(slot: slot, code: code)
        return 0
    }
    unsafe nghttp2_session_callbacks_set_send_data_callback(table) {
        _, _, frameHeader, count, source, userData in
        guard let core = unsafe core(userData), let frameHeader = unsafe frameHeader,
            let source = unsafe source
        else {
            return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
        }
        unsafe core.pointee.sendBody(slot: Int(source.pointee.fd), frameHeader: frameHeader, count: count)
        return 0
    }
    return unsafe table
}

private func setReceiveCallbacks(_ table: OpaquePointer) {
    unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(table) { session, frame, userData in
        guard let core = unsafe core(userData), let frame = unsafe frame else { return 0 }
        let streamID = unsafe frame.pointee.hd.stream_id
        if unsafe core.pointee.isServer, unsafe frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST {
            let slot = unsafe core.pointee.streams.take(id: streamID)
            let tag = unsafe UnsafeMutableRawPointer(bitPattern: slot + 1)
            unsafe _ = nghttp2_session_set_stream_user_data(session, streamID, tag)
            unsafe core.pointee.lastSlot = slot
            unsafe core.pointee.beginBlock(slot: slot)
        } else if let slot = unsafe slot(session, streamID, core) {
            unsafe core.pointee.beginBlock(slot: slot)
        }
        return 0
    }
    unsafe nghttp2_session_callbacks_set_on_header_callback(table) {
        _, _, name, nameCount, value, valueCount, flags, userData in
        guard let core = unsafe core(userData), let name = unsafe name, let value = unsafe value,
            unsafe core.pointee.isInBlock
        else { return 0 }
        let goesOn = unsafe core.pointee.receiveField(name, nameCount, value, valueCount, flags: flags)
        return goesOn ? 0 : NGHTTP2_ERR_PAUSE.rawValue
    }
    unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(table) {
        session, _, streamID, data, count, userData in
        guard let core = unsafe core(userData), let slot = unsafe slot(session, streamID, core),
            let data = unsafe data,
            let base = unsafe core.pointee.inputBase, count > 0
        else { return 0 }
        unsafe core.pointee.heldBytes += count
        unsafe core.pointee.events.append(.data(slot, BodyChunk(offset: data - base, byteCount: count)))
        return 0
    }
    unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(table) { session, frame, userData in
        guard let core = unsafe core(userData), let frame = unsafe frame else { return 0 }
        unsafe received(frame, session, core)
        return 0
    }
}

private func received(_ frame: UnsafePointer<nghttp2_frame>, _ session: OpaquePointer?, _ core: Core) {
    let header = unsafe frame.pointee.hd
    let isEnd = UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0
    switch UInt32(header.type) {
    case NGHTTP2_HEADERS.rawValue:
        unsafe core.pointee.endBlock(isEnd: isEnd)
    case NGHTTP2_DATA.rawValue:
        if isEnd {
            if let slot = unsafe slot(session, header.stream_id, core) {
                unsafe core.pointee.events.append(.end(slot))
            }
        } else if unsafe header.length == frame.pointee.data.padlen {
            // Nothing, or nothing but padding, whose length includes its own byte.
            unsafe core.pointee.countEmptyData()
        }
    case NGHTTP2_RST_STREAM.rawValue:
        if let slot = unsafe slot(session, header.stream_id, core) {
            unsafe core.pointee.streams[slot].wasResetByPeer = true
        }
        unsafe core.pointee.countPeerReset()
    case NGHTTP2_SETTINGS.rawValue:
        guard UInt32(header.flags) & NGHTTP2_FLAG_ACK.rawValue == 0 else { return }
        unsafe core.pointee.countSettings()
        unsafe core.pointee.events.append(.settings)
    case NGHTTP2_PING.rawValue:
        guard UInt32(header.flags) & NGHTTP2_FLAG_ACK.rawValue != 0 else {
            unsafe core.pointee.countPing()
            return
        }
        let data = unsafe frame.pointee.ping.opaque_data
        let value = unsafe withUnsafeBytes(of: data) { unsafe $0.loadUnaligned(as: UInt64.self) }
        unsafe core.pointee.events.append(.pong(UInt64(bigEndian: value)))
    case NGHTTP2_GOAWAY.rawValue:
        let last = unsafe Int(frame.pointee.goaway.last_stream_id)
        let code = unsafe HTTP2ErrorCode(rawValue: frame.pointee.goaway.error_code)
        unsafe core.pointee.events.append(.goAway(lastStreamID: last, code))
    default:
        break
    }
}

extension SessionCore {
    mutating func countEmptyData() {
        if unsafe !emptyDataFrames.take(nowNanoseconds: nowNanoseconds) { unsafe isFlooded = true }
    }

    mutating func countPeerReset() {
        if unsafe isServer, unsafe !peerResets.take(nowNanoseconds: nowNanoseconds) {
            unsafe isFlooded = true
        }
    }

    mutating func countPing() {
        if unsafe !pingFrames.take(nowNanoseconds: nowNanoseconds) { unsafe isFlooded = true }
    }

    mutating func countSettings() {
        if unsafe !settingsFrames.take(nowNanoseconds: nowNanoseconds) { unsafe isFlooded = true }
    }
}

/// Asked by nghttp2 how many bytes of a stream's body it may put in the next DATA frame.
func readBody(
    _ session: OpaquePointer?, _ streamID: Int32, _ buffer: UnsafeMutablePointer<UInt8>?, _ limit: Int,
    _ dataFlags: UnsafeMutablePointer<UInt32>?, _ source: UnsafeMutablePointer<nghttp2_data_source>?,
    _ userData: UnsafeMutableRawPointer?
) -> Int {
    guard let core = unsafe core(userData), let source = unsafe source, let dataFlags = unsafe dataFlags
    else {
        return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
    }
    let slot = unsafe Int(source.pointee.fd)
    let pending = unsafe core.pointee.streams[slot].pendingByteCount
    let isFinished = unsafe core.pointee.streams[slot].isFinished
    guard pending > 0 || isFinished else {
        unsafe core.pointee.streams[slot].isDeferred = true
        return Int(NGHTTP2_ERR_DEFERRED.rawValue)
    }
    let count = min(limit, pending)
    unsafe dataFlags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
    guard isFinished, count == pending else { return count }
    unsafe dataFlags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
    if unsafe core.pointee.streams[slot].hasTrailers {
        unsafe dataFlags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
        unsafe core.pointee.submitTrailers(session, streamID, slot: slot)
    }
    unsafe core.pointee.streams[slot].isEndWritten = true
    unsafe core.pointee.events.append(.localEnd(slot))
    return count
}

extension SessionCore {
    /// Queues a stream's trailers behind the body that nghttp2 is about to send.
    mutating func submitTrailers(_ session: OpaquePointer?, _ streamID: Int32, slot: Int) {
        guard let trailers = unsafe streams[slot].trailers else { return }
        let block = unsafe streams[slot].trailerBlock
        // SAFETY: nghttp2 copies the pairs before it returns.
        unsafe withPairs(of: block, in: trailers) { pairs in
            unsafe _ = nghttp2_submit_trailer(session, streamID, pairs.baseAddress, pairs.count)
        }
    }
}

/// Lends a list as nghttp2 wants it: addresses into the arena. Removed fields are left out.
func withPairs<R>(
    of block: HeaderBlock, in headers: HTTP2Headers, _ body: (UnsafeBufferPointer<nghttp2_nv>) -> R
) -> R {
    unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: max(1, Int(block.count))) { pairs in
        var count = 0
        let storage = unsafe headers.storage.pointee
        for index in unsafe storage.indices(of: block) {
            let field = unsafe storage.fields[index]
            guard field.flags & HeaderField.removed == 0, field.token != .hop else { continue }
            let start = unsafe storage.bytes + Int(field.offset)
            let flags = field.token == .volatile ? field.flags | HeaderField.neverIndex : field.flags
            unsafe pairs[count] = unsafe nghttp2_nv(
                name: start, value: start + Int(field.nameCount), namelen: Int(field.nameCount),
                valuelen: Int(field.valueCount), flags: flags)
            count += 1
        }
        return unsafe body(UnsafeBufferPointer(start: pairs.baseAddress, count: count))
    }
}
