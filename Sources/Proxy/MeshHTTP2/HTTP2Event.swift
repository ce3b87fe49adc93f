/// Index of a stream in its session's slab. It is reused once the stream's `closed` event was read.
public typealias StreamSlot = Int

/// What happened on a connection, in order. Plain values: an event owns nothing.
public enum HTTP2Event: Sendable {
    /// A request's head (server) or a final response's (client). `isEnd`: no body and no trailers follow.
    case head(StreamSlot, HeaderBlock, isEnd: Bool)
    /// A 1xx response; the final head is still to come.
    case informational(StreamSlot, HeaderBlock)
    /// Trailers, which end the message.
    case trailers(StreamSlot, HeaderBlock)
    /// Body bytes: ask the session for the chunk before the next event, and give the credit back by
    /// `consume`.
    case data(StreamSlot, BodyChunk)
    /// The message ended without trailers, after its head.
    case end(StreamSlot)
    /// That many bytes of ours left for the output: the side they came from deserves its credit.
    case sent(StreamSlot, byteCount: Int)
    /// Our side of the stream is in the output up to its end.
    case localEnd(StreamSlot)
    /// The stream is gone. The slot is free again when the next event is asked for.
    case closed(StreamSlot, StreamClosure)
    /// The peer's settings changed.
    case settings
    /// The peer will take no stream above `lastStreamID`.
    case goAway(lastStreamID: Int, HTTP2ErrorCode)
    /// The peer answered our PING.
    case pong(UInt64)
    /// The connection is over; what `produce` still gives (a GOAWAY) may be written, then close.
    case failed(HTTP2Error)
}

/// Where body bytes lie in the input that is being read.
public struct BodyChunk: Sendable, Equatable {
    let offset: Int
    /// Number of bytes, at least one.
    public let byteCount: Int
}

/// How a stream ended.
public struct StreamClosure: Sendable, Equatable {
    /// `noError` after a whole exchange; otherwise the code of the reset.
    public let code: HTTP2ErrorCode
    /// The peer sent the reset (or closed the stream by its GOAWAY); otherwise we did.
    public let isByPeer: Bool
    /// Bytes that were queued on the stream and will never be sent: their source still deserves its credit.
    public let unsentByteCount: Int
}

/// Events in order, in storage that is lent.
struct EventQueue {
    private var events: ContiguousArray<HTTP2Event> = []
    private var head = 0

    var isEmpty: Bool { head == events.count }
    var ownsMemory: Bool { events.capacity > 0 }

    /// Swaps the memory of an empty queue with other memory.
    mutating func exchangeMemory(_ other: inout ContiguousArray<HTTP2Event>) {
        events.removeAll(keepingCapacity: true)
        head = 0
        swap(&events, &other)
    }

    mutating func append(_ event: HTTP2Event) { events.append(event) }

    mutating func popFirst() -> HTTP2Event? {
        guard head < events.count else {
            if head > 0 {
                events.removeAll(keepingCapacity: true)
                head = 0
            }
            return nil
        }
        defer { head += 1 }
        return events[head]
    }
}
