import MeshHTTP2
import NIOCore

/// What it takes to send a request (again): its head, and its body as long as that is short.
///  Held while discovery has no answer, and until the response begins, because an endpoint may refuse a
/// stream that is safe to send to a new connection. One per stream slot, reused.
final class RequestCopy {
    /// Body kept for sending again, in bytes. A longer body is sent once; if it was refused then, so is the
    /// client.
    static let replayBytesMax = 4_096

    /// Grows to what the slot's requests need: with 8,000 requests in flight, every byte here is 8 KB.
    let headers = HTTP2Headers(byteCapacity: 0, fieldCapacity: 0)
    private(set) var block: HeaderBlock
    private(set) var body = ByteBuffer()
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

    init() { block = headers.append([]) }

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

    /// Keeps body bytes, up to `max` in all.
    func keep(_ bytes: ByteBuffer, max: Int) {
        guard isComplete else { return }
        if body.readableBytes + bytes.readableBytes > max {
            drop()
        } else {
            body.writeImmutableBuffer(bytes)
        }
    }

    /// Gives up the copy: too long, with trailers, or answered.
    func drop() {
        isComplete = false
        if body.readableBytes > 0 { body = ByteBuffer() }
    }

    private func clear() {
        headers.removeAll()
        requiredIdentity = nil
        isComplete = true
        if body.storageCapacity > 2 * Self.replayBytesMax { body = ByteBuffer() } else { body.clear() }
    }
}
