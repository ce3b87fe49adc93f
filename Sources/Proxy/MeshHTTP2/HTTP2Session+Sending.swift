import CNGHTTP2
public import NIOCore

extension HTTP2Session {
    /// Queues the first SETTINGS and opens the connection window.
    func submitSettings(_ limits: SessionLimits) {
        var entries = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                value: UInt32(clamping: limits.headerListBytesMax)),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue),
                value: UInt32(clamping: limits.streamWindowBytes)),
        ]
        switch role {
        case .server:
            entries.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
                    value: UInt32(clamping: limits.streamsMax)))
            // Priorities of RFC 7540 are deprecated; their tree only costs.
            entries.append(
                nghttp2_settings_entry(
                    settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1))
        case .client:
            entries.append(
                nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0))
        }
        // SAFETY: nghttp2 copies the entries. Both calls fail only when memory is short, and then the session
        // ends.
        unsafe _ = nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), entries, entries.count)
        unsafe _ = nghttp2_session_set_local_window_size(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, Int32(clamping: limits.connectionWindowBytes))
    }

    /// Opens a stream (client). The request waits inside when the peer allows no more streams yet.
    /// - Returns: nil when the connection takes no new stream: it is going away, or stream ids ran out.
    public func submitRequest(_ block: HeaderBlock, of headers: HTTP2Headers, isEnd: Bool) -> StreamSlot? {
        let slot = unsafe core.pointee.streams.take(id: 0)
        let tag = unsafe UnsafeMutableRawPointer(bitPattern: slot + 1)
        // SAFETY: the pairs and the provider are copied by nghttp2.
        let id = unsafe withPairs(of: block, in: headers) { pairs in
            if isEnd {
                return unsafe nghttp2_submit_request(session, nil, pairs.baseAddress, pairs.count, nil, tag)
            }
            var provider = unsafe bodyProvider(slot)
            return unsafe nghttp2_submit_request(session, nil, pairs.baseAddress, pairs.count, &provider, tag)
        }
        guard id > 0 else {
            unsafe core.pointee.streams.giveBack(slot)
            return nil
        }
        unsafe core.pointee.streams[slot].id = id
        unsafe core.pointee.streams[slot].hasProvider = !isEnd
        unsafe core.pointee.streams[slot].isFinished = isEnd
        return slot
    }

    /// Sends a final response head (server). Nothing happens on a stream that is gone.
    public func submitResponse(
        _ block: HeaderBlock, of headers: HTTP2Headers, isEnd: Bool, on slot: StreamSlot
    ) {
        guard unsafe core.pointee.streams[slot].isLive else { return }
        let id = unsafe core.pointee.streams[slot].id
        // SAFETY: as in `submitRequest`.
        unsafe withPairs(of: block, in: headers) { pairs in
            if isEnd {
                unsafe _ = nghttp2_submit_response(session, id, pairs.baseAddress, pairs.count, nil)
            } else {
                var provider = unsafe bodyProvider(slot)
                unsafe _ = nghttp2_submit_response(session, id, pairs.baseAddress, pairs.count, &provider)
            }
        }
        unsafe core.pointee.streams[slot].hasProvider = !isEnd
        unsafe core.pointee.streams[slot].isFinished = isEnd
        unsafe core.pointee.streams[slot].isEndWritten = isEnd
    }

    /// Sends a 1xx response (server).
    public func submitInformational(_ block: HeaderBlock, of headers: HTTP2Headers, on slot: StreamSlot) {
        guard unsafe core.pointee.streams[slot].isLive else { return }
        let id = unsafe core.pointee.streams[slot].id
        unsafe withPairs(of: block, in: headers) { pairs in
            unsafe _ = nghttp2_submit_headers(
                session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, nil, pairs.baseAddress, pairs.count, nil)
        }
    }

    /// Queues body bytes; they leave as flow control allows. How many may be queued is for the caller to
    /// bound, by giving credit to their source only when `sent` reports them.
    public func sendBody(_ bytes: ByteBuffer, on slot: StreamSlot) {
        guard unsafe core.pointee.streams[slot].isLive, bytes.readableBytes > 0 else { return }
        unsafe core.pointee.streams[slot].enqueue(bytes)
        touch(slot)
        resume(slot)
    }

    /// Ends our side of the stream behind the queued bytes.
    public func finish(_ slot: StreamSlot) {
        guard unsafe core.pointee.streams[slot].isLive, unsafe !core.pointee.streams[slot].isFinished else {
            return
        }
        unsafe core.pointee.streams[slot].isFinished = true
        resume(slot)
    }

    /// Ends our side of the stream with trailers behind the queued bytes.
    public func sendTrailers(_ block: HeaderBlock, of headers: HTTP2Headers, on slot: StreamSlot) {
        guard unsafe core.pointee.streams[slot].isLive, unsafe !core.pointee.streams[slot].isFinished else {
            return
        }
        let kept: HTTP2Headers
        if let trailers = unsafe core.pointee.streams[slot].trailers {
            kept = trailers
        } else {
            kept = HTTP2Headers(byteCapacity: 64, fieldCapacity: 4)
            unsafe core.pointee.streams[slot].trailers = kept
        }
        unsafe core.pointee.streams[slot].trailerBlock = kept.append(copying: block, of: headers)
        unsafe core.pointee.streams[slot].hasTrailers = true
        unsafe core.pointee.streams[slot].isFinished = true
        resume(slot)
    }

    /// Resets a stream; its `closed` event comes once the frame is in the output. Queued bytes are dropped.
    public func reset(_ slot: StreamSlot, _ code: HTTP2ErrorCode) {
        guard unsafe core.pointee.streams[slot].isLive, unsafe !core.pointee.streams[slot].wasResetByUs else {
            return
        }
        unsafe core.pointee.streams[slot].wasResetByUs = true
        unsafe _ = nghttp2_submit_rst_stream(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), core.pointee.streams[slot].id, code.rawValue)
    }

    /// The stream's id on the wire; meaningful while the slot is in use.
    public func streamID(of slot: StreamSlot) -> Int { unsafe Int(core.pointee.streams[slot].id) }

    /// Whether the slot's stream is open; it is not from its `closed` event on.
    public func isOpen(_ slot: StreamSlot) -> Bool { unsafe core.pointee.streams[slot].isLive }

    /// Whether our side of the stream is in the output up to its end; a reset after that cuts nothing off.
    public func isLocalEndWritten(_ slot: StreamSlot) -> Bool {
        unsafe core.pointee.streams[slot].isEndWritten
    }

    /// Streams that are open or wait to be.
    public var openStreamCount: Int { unsafe core.pointee.streams.liveCount }

    /// Bytes queued on the stream.
    public func pendingByteCount(on slot: StreamSlot) -> Int {
        unsafe core.pointee.streams[slot].pendingByteCount
    }

    private func resume(_ slot: StreamSlot) {
        guard unsafe core.pointee.streams[slot].isDeferred else { return }
        unsafe core.pointee.streams[slot].isDeferred = false
        unsafe _ = nghttp2_session_resume_data(session, core.pointee.streams[slot].id)
    }

    private func bodyProvider(_ slot: StreamSlot) -> nghttp2_data_provider {
        unsafe nghttp2_data_provider(
            source: nghttp2_data_source(fd: Int32(truncatingIfNeeded: slot)), read_callback: readBody)
    }

    // MARK: Connection

    /// Streams that the peer lets us have open at once (client).
    public var peerStreamsMax: Int {
        let value = unsafe nghttp2_session_get_remote_settings(
            session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
        return Int(value)
    }

    /// Whether a new request may be submitted (client): false once either side said GOAWAY, or ids ran out.
    public var takesRequests: Bool { unsafe nghttp2_session_check_request_allowed(session) != 0 }

    /// Queues a PING; `pong` brings `value` back.
    public func ping(_ value: UInt64) {
        unsafe withUnsafeBytes(of: value.bigEndian) { raw in
            // SAFETY: eight bytes, copied by nghttp2.
            unsafe _ = nghttp2_submit_ping(
                session, UInt8(NGHTTP2_FLAG_NONE.rawValue),
                raw.baseAddress?.assumingMemoryBound(to: UInt8.self))
        }
    }

    /// First step of a graceful end (server): GOAWAY with the largest id, so that no request in flight is
    /// lost. After a round trip (`ping`), call `goAway`.
    public func announceShutdown() { unsafe _ = nghttp2_submit_shutdown_notice(session) }

    /// GOAWAY with the last stream that was taken: later streams are refused, open ones finish.
    public func goAway(_ code: HTTP2ErrorCode) {
        let last = unsafe nghttp2_session_get_last_proc_stream_id(session)
        unsafe _ = nghttp2_submit_goaway(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, code.rawValue, nil, 0)
    }

    /// GOAWAY, and an end to every stream.
    public func terminate(_ code: HTTP2ErrorCode) {
        unsafe _ = nghttp2_session_terminate_session(session, code.rawValue)
    }
}
