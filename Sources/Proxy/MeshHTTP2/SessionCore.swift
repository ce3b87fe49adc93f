import CNGHTTP2
import NIOCore

/// The state that nghttp2's callbacks touch. It lives at one address for the life of its `HTTP2Session`,
/// which hands that address to C; a struct reached by address costs a callback no reference counting.
@unsafe struct SessionCore {
    let isServer: Bool
    /// Two of `SessionLimits`, which as a whole would be 200 bytes for each connection.
    let headerListBytesMax: Int
    let outputBytesMax: Int
    /// The arena of the session's `headers`, which the session keeps alive.
    let headers: UnsafeMutablePointer<HeaderStorage>
    var streams = StreamSlab()
    var events = EventQueue()

    // The header list that is being received; frames of other streams cannot come between.
    var currentSlot = -1
    /// Where the last stream that was looked up lies.
    var lastSlot = -1
    var currentFirstField = 0
    var currentListBytes = 0
    var currentIsTooLarge = false
    var isInBlock = false
    /// nghttp2 stopped inside a header list, and must be called again even without input.
    var isPaused = false

    /// Where the input that nghttp2 reads begins, while it reads.
    var inputBase: UnsafePointer<UInt8>?
    var nowNanoseconds: UInt64 = 0
    /// A rate of the limits was exceeded: the session ends.
    var isFlooded = false

    /// Body bytes received whose credit nobody gave back yet.
    var heldBytes = 0
    /// As many of them have given the connection its credit, but not their streams.
    var advancedBytes = 0

    /// Output, in order: `output`'s bytes, with each of `largePieces` put in at its index.
    var output = ByteBuffer()
    var largePieces: ContiguousArray<(index: Int, bytes: ByteBuffer)> = []
    var outputByteCount = 0

    var peerResets: TokenBucket
    var causedResets: TokenBucket
    var settingsFrames: TokenBucket
    var emptyDataFrames: TokenBucket
    var pingFrames: TokenBucket

    /// The arena is drained before it grows past this between two events.
    static let arenaBytesMax = 262_144
    /// Body pieces from this size on are written from where they lie; smaller ones are copied into `output`.
    static let copyBytesMax = 4_096

    init(isServer: Bool, limits: SessionLimits, headers: UnsafeMutablePointer<HeaderStorage>) {
        unsafe self.isServer = isServer
        unsafe headerListBytesMax = limits.headerListBytesMax
        unsafe outputBytesMax = limits.outputBytesMax
        unsafe self.headers = unsafe headers
        unsafe peerResets = TokenBucket(limits.peerResets)
        unsafe causedResets = TokenBucket(limits.causedResets)
        unsafe settingsFrames = TokenBucket(limits.settingsFrames)
        unsafe emptyDataFrames = TokenBucket(limits.emptyDataFrames)
        unsafe pingFrames = TokenBucket(limits.pingFrames)
    }

    // MARK: Receiving

    mutating func beginBlock(slot: Int) {
        unsafe currentSlot = slot
        unsafe currentFirstField = unsafe headers.pointee.fieldCount
        unsafe currentListBytes = 0
        unsafe currentIsTooLarge = false
        unsafe isInBlock = true
    }

    /// - Returns: false when the arena should be drained before more is read.
    mutating func receiveField(
        _ name: UnsafePointer<UInt8>, _ nameCount: Int, _ value: UnsafePointer<UInt8>, _ valueCount: Int,
        flags: UInt8
    ) -> Bool {
        unsafe currentListBytes += nameCount + valueCount + 32
        guard unsafe currentListBytes <= headerListBytesMax else {
            unsafe currentIsTooLarge = true
            return true
        }
        // SAFETY: nghttp2 keeps name and value until the callback returns; `append` copies them.
        unsafe headers.pointee.append(
            name, nameCount, value, valueCount, flags: flags & HeaderField.neverIndex)
        unsafe isPaused = unsafe headers.pointee.byteCount >= Self.arenaBytesMax
        return unsafe !isPaused
    }

    mutating func endBlock(isEnd: Bool) {
        guard unsafe isInBlock else { return }
        unsafe isInBlock = false
        let slot = unsafe currentSlot
        let block = unsafe HeaderBlock(
            first: Int32(currentFirstField), count: Int32(headers.pointee.fieldCount - currentFirstField),
            isTooLarge: currentIsTooLarge)
        if unsafe streams[slot].hasHead {
            unsafe events.append(.trailers(slot, block))
        } else if unsafe !isServer && isInformational(block) {
            unsafe events.append(.informational(slot, block))
        } else {
            unsafe streams[slot].hasHead = true
            unsafe events.append(.head(slot, block, isEnd: isEnd))
        }
    }

    private func isInformational(_ block: HeaderBlock) -> Bool {
        guard block.count > 0 else { return false }
        let field = unsafe headers.pointee.fields[Int(block.first)]
        guard field.token == .status, field.valueCount > 0 else { return false }
        return unsafe headers.pointee.bytes[Int(field.offset) + Int(field.nameCount)] == 0x31
    }

    mutating func closed(slot: Int, code: UInt32) {
        guard unsafe streams[slot].isLive else { return }
        unsafe streams[slot].isLive = false
        let isByPeer = unsafe streams[slot].wasResetByPeer
        let isOurs = unsafe streams[slot].wasResetByUs
        // Neither side asked for it: nghttp2 reset the stream because the peer broke the protocol.
        if code != 0, !isByPeer, !isOurs, unsafe isServer,
            unsafe !causedResets.take(nowNanoseconds: nowNanoseconds)
        {
            unsafe isFlooded = true
        }
        let closure = unsafe StreamClosure(
            code: HTTP2ErrorCode(rawValue: code), isByPeer: isByPeer || (!isServer && code == 7 && !isOurs),
            unsentByteCount: streams[slot].pendingByteCount)
        unsafe events.append(.closed(slot, closure))
    }

    // MARK: Sending

    /// Moves `count` body bytes of a stream behind the frame header that goes before them.
    mutating func sendBody(slot: Int, frameHeader: UnsafePointer<UInt8>, count: Int) {
        // SAFETY: nghttp2 hands nine bytes of frame header, valid during the call.
        unsafe output.writeBytes(UnsafeRawBufferPointer(start: frameHeader, count: 9))
        unsafe outputByteCount += 9 + count
        guard count > 0 else { return }
        var output = ByteBuffer()
        unsafe swap(&output, &self.output)  // So that the closure may change both without overlapping access.
        var pieces: ContiguousArray<(index: Int, bytes: ByteBuffer)> = []
        unsafe swap(&pieces, &largePieces)
        let copyBytesMax = unsafe Self.copyBytesMax
        unsafe streams[slot].dequeue(count) { piece in
            if piece.readableBytes < copyBytesMax {
                output.writeImmutableBuffer(piece)
            } else {
                pieces.append((output.writerIndex, piece))
            }
        }
        unsafe swap(&pieces, &largePieces)
        unsafe swap(&output, &self.output)
        unsafe events.append(.sent(slot, byteCount: count))
    }
}
