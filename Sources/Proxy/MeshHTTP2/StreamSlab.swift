import NIOCore

/// What a session knows about one stream: its output, and how far it is.
struct StreamRecord {
    var id: Int32 = 0
    var isLive = false
    /// The final head was received.
    var hasHead = false
    /// nghttp2 asks us for this stream's body.
    var hasProvider = false
    /// nghttp2 was told "nothing yet", and must be told when there is.
    var isDeferred = false
    /// No more bytes will be queued: the stream ends after `pending`.
    var isFinished = false
    /// Everything up to our end of the stream is in the output (trailers may be right behind).
    var isEndWritten = false
    var hasTrailers = false
    var wasResetByPeer = false
    var wasResetByUs = false

    /// Bytes that wait for flow control or for the socket, oldest first: `first`, then `rest`.
    private(set) var pendingByteCount = 0
    private var first = ByteBuffer()
    private var rest: CircularBuffer<ByteBuffer>?
    /// Made with the slot's first trailers, and kept for the slot's next streams.
    var trailers: HTTP2Headers?
    var trailerBlock = HeaderBlock.empty

    /// Chunks below this many bytes are copied behind the last one, instead of keeping a whole read buffer
    /// alive.
    private static let mergeBytesMax = 2_048
    private static let mergedBytesMax = 32_768

    mutating func enqueue(_ bytes: ByteBuffer) {
        defer { pendingByteCount += bytes.readableBytes }
        guard pendingByteCount > 0 else {
            first = bytes
            return
        }
        let isSmall = bytes.readableBytes <= Self.mergeBytesMax
        guard var last = rest?.popLast() else {
            if isSmall, first.readableBytes <= Self.mergedBytesMax {
                first.writeImmutableBuffer(bytes)
            } else {
                if rest == nil { rest = CircularBuffer(initialCapacity: 4) }
                rest?.append(bytes)
            }
            return
        }
        let isMerged = isSmall && last.readableBytes <= Self.mergedBytesMax
        if isMerged { last.writeImmutableBuffer(bytes) }
        rest?.append(last)
        if !isMerged { rest?.append(bytes) }
    }

    /// Hands at most `limit` bytes to `body`, in one or more pieces.
    mutating func dequeue(_ limit: Int, _ body: (ByteBuffer) -> Void) {
        var left = limit
        while left > 0, pendingByteCount > 0 {
            let count = min(left, first.readableBytes)
            if let piece = first.readSlice(length: count) { body(piece) }
            left -= count
            pendingByteCount -= count
            if first.readableBytes == 0 {
                // An empty buffer is shared; holding the spent one would keep the read buffer it lies in.
                first = rest?.popFirst() ?? ByteBuffer()
            }
        }
    }

    /// Copies what still waits out of the read buffers it lies in, so that little pins little.
    mutating func detachPending() {
        guard pendingByteCount > 0 else { return }
        first = Self.detached(first)
        guard var chunks = rest else { return }
        for index in chunks.indices { chunks[index] = Self.detached(chunks[index]) }
        rest = chunks
    }

    private static func detached(_ bytes: ByteBuffer) -> ByteBuffer {
        guard bytes.storageCapacity > 2 * bytes.readableBytes else { return bytes }
        var copy = ByteBuffer()
        copy.reserveCapacity(bytes.readableBytes)
        copy.writeImmutableBuffer(bytes)
        return copy
    }

    /// Back to a free slot; keeps what the next stream can use again.
    mutating func reset() {
        let trailers = self.trailers
        trailers?.removeAll()
        self = StreamRecord()
        self.trailers = trailers
    }
}

/// Streams by slot: an array with a free list, so that a stream costs no allocation once its slot exists.
struct StreamSlab {
    private(set) var records: ContiguousArray<StreamRecord> = []
    private var free: ContiguousArray<Int> = []
    private(set) var liveCount = 0

    subscript(_ slot: Int) -> StreamRecord {
        get { records[slot] }
        _modify { yield &records[slot] }
    }

    /// Whether the slot, which may be -1, belongs to the open stream `id`.
    func isLive(_ slot: Int, id: Int32) -> Bool {
        records.indices.contains(slot) && records[slot].id == id && records[slot].isLive
    }

    mutating func take(id: Int32) -> Int {
        liveCount += 1
        if let slot = free.popLast() {
            records[slot].id = id
            records[slot].isLive = true
            return slot
        }
        var record = StreamRecord()
        record.id = id
        record.isLive = true
        records.append(record)
        return records.count - 1
    }

    mutating func giveBack(_ slot: Int) {
        liveCount -= 1
        records[slot].reset()
        free.append(slot)
    }
}
