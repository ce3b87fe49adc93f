import MeshHTTP2
import NIOCore

/// What it takes to send a request (again): its head, and its body as long as that is short.
///  Held while discovery has no answer, and until the response begins, because an endpoint may refuse a
/// stream that is safe to send to a new connection. Lent by the event loop for the life of a stream.
final class RequestCopy {
    /// Body kept for sending again, in bytes. A longer body is sent once; if it was refused then, so is the
    /// client.
    static let replayBytesMax = 4_096

    /// Grows to what requests need: with 8,000 requests in flight, every byte here is 8 KB.
    let headers = HTTP2Headers(byteCapacity: 0, fieldCapacity: 0)
    private(set) var block: HeaderBlock
    private(set) var body = ByteBuffer()
    /// Where the head of a carried request becomes HTTP/1's; the memory is used again.
    var restoredHead = ByteBuffer()
    /// The copy still has everything that was received.
    private(set) var isComplete = true
    /// The name that it is routed by, for the first time and again: the header that carried it may be gone by then.
    var name = ""
    /// The request ended (without trailers).
    var isEnd = false
    /// The head itself said that nothing follows.
    private(set) var isBodiless = false
    /// Who the endpoint must be; `nil` when the request does not say.
    private(set) var requiredIdentity: String?

    /// What the copy takes of memory for heads, in bytes.
    var headMemoryByteCount: Int { headers.memoryByteCount + restoredHead.storageCapacity }

    private let replays: ReplayBudget
    /// Bytes of the body that there is room for in `replays`.
    private var reservedBytes = 0

    /// - Parameter replays: where there is room for bodies.
    init(in replays: ReplayBudget) {
        self.replays = replays
        block = headers.append([])
    }

    deinit { replays.giveBack(reservedBytes) }

    /// Starts over with a new request's head.
    func begin(_ head: HeaderBlock, of source: HTTP2Headers, isEnd: Bool) {
        clear()
        block = headers.append(copying: head, of: source)
        self.isEnd = isEnd
        isBodiless = isEnd
    }

    /// Takes `l5d-require-id` off the request.
    func takeRequiredIdentity() {
        requiredIdentity = headers.text(of: .requireID, in: block)
        if requiredIdentity != nil { headers.remove(.requireID, from: block) }
    }

    /// Replaces `l5d-dst-canonical`.
    func setCanonicalName(_ name: String) {
        headers.remove(.dstCanonical, from: block)
        headers.append(name: "l5d-dst-canonical", value: name, to: &block)
    }

    /// Says who the client proved to be.
    func setClientID(_ name: String) { headers.append(name: "l5d-client-id", value: name, to: &block) }

    /// Holds body bytes that have nowhere to go yet. The stream's window bounds them, not this.
    func hold(_ bytes: ByteBuffer) { body.writeImmutableBuffer(bytes) }

    /// Keeps body bytes that were sent, up to `max` in all and as far as there is room.
    func keep(_ bytes: ByteBuffer, max: Int) {
        guard isComplete else { return }
        if body.readableBytes + bytes.readableBytes <= max, reserve(bytes.readableBytes) {
            body.writeImmutableBuffer(bytes)
        } else {
            drop()
        }
    }

    /// What was held is sent: from now on it is only kept.
    func keepHeld(max: Int) {
        guard body.readableBytes > max || !reserve(body.readableBytes - reservedBytes) else { return }
        drop()
    }

    /// Gives up the copy: too long, no room, with trailers, or answered.
    func drop() {
        isComplete = false
        giveBackRoom()
        if body.readableBytes > 0 { body = ByteBuffer() }
        // A long head is not kept for the life of its stream.
        if restoredHead.storageCapacity > Self.replayBytesMax { restoredHead = ByteBuffer() }
    }

    private func reserve(_ count: Int) -> Bool {
        guard replays.take(count) else { return false }
        reservedBytes += count
        return true
    }

    private func giveBackRoom() {
        guard reservedBytes > 0 else { return }
        replays.giveBack(reservedBytes)
        reservedBytes = 0
    }

    private func clear() {
        headers.removeAll()
        requiredIdentity = nil
        isComplete = true
        giveBackRoom()
        // An empty buffer has no storage; clearing it would allocate some.
        guard body.storageCapacity > 0 else { return }
        if body.storageCapacity > 2 * Self.replayBytesMax { body = ByteBuffer() } else { body.clear() }
    }
}

/// Copies that no stream has at the moment, of all connections of one event loop: what was used last is warm, and a
/// quiet connection keeps none.
final class RequestCopies {
    /// Copies that wait here; a burst's are freed, and those of long heads.
    private static let waitingMax = 256
    private static let waitingBytesMax = 4_096

    private let replays: ReplayBudget
    private var waiting: ContiguousArray<RequestCopy> = []

    /// - Parameter replays: where there is room for bodies.
    init(replays: ReplayBudget) { self.replays = replays }

    /// A copy to begin anew.
    func take() -> RequestCopy { waiting.popLast() ?? RequestCopy(in: replays) }

    /// Takes back a copy whose stream is gone.
    func giveBack(_ copy: RequestCopy) {
        copy.drop()
        guard waiting.count < Self.waitingMax, copy.headMemoryByteCount <= Self.waitingBytesMax else { return }
        waiting.append(copy)
    }
}
