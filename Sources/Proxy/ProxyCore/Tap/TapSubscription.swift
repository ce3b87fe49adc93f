// One `Observe` call as the data plane sees it: what it wants, how much of it, and the bytes that wait for it.
//
// A request is shown whole or not at all: whether there is room is asked when it starts. What its response adds
// later may use as much room again, so that only a reader that stands still loses the end of what it saw begin.
// Everything that is not shown is counted.
//
// Loops that see matching requests share this under one short lock; a request that does not match never comes
// here. Bytes leave in chunks, at most one wake-up of the reader's loop for each `wakeDelay`, so that at high
// rates many events share a write.

import NIOCore
import Synchronization

/// What a tap did not show, since it began.
package struct TapLosses: Sendable, Equatable {
    /// Requests beyond the rate.
    package var limited: UInt64 = 0
    /// Requests that found the buffer full.
    package var droppedRequests: UInt64 = 0
    /// Events of shown requests that found the buffer full twice over.
    package var droppedEvents: UInt64 = 0
}

/// What a subscription asks for.
package struct TapInterest: Sendable {
    package var match: TapMatch
    package var wantsHeaders: Bool
    /// Requests to show, at least one: in all, or for each window.
    package var limit: UInt32
    /// Length of the window that `limit` counts for; `nil` ends the stream after `limit` requests.
    package var windowNanoseconds: UInt64?

    package init(match: TapMatch, wantsHeaders: Bool, limit: UInt32, windowNanoseconds: UInt64?) {
        self.match = match
        self.wantsHeaders = wantsHeaders
        self.limit = limit
        self.windowNanoseconds = windowNanoseconds
    }
}

/// One running `Observe` call.
package final class TapSubscription: Sendable {
    /// Events that may wait for the reader before new requests are dropped.
    package static let bufferedEventsMax = 1_024
    /// Bytes that may wait before new requests are dropped. Heads are at most 64 KiB.
    package static let bufferedBytesMax = 524_288
    /// Bytes after which a chunk is full.
    static let chunkBytes = 16_384
    /// How long events are gathered before the reader's loop is woken.
    static let wakeDelay = TimeAmount.milliseconds(5)

    struct Chunk: Sendable {
        var bytes = ByteBuffer()
        var eventCount = 0
    }

    private struct State {
        /// Full chunks, the oldest first.
        var chunks = CircularBuffer<Chunk>()
        /// The one that events are added to.
        var tail = Chunk()
        var bufferedEvents = 0
        var bufferedBytes = 0
        var taken: UInt64 = 0
        /// Requests shown whose end is still to come.
        var open = 0
        var windowEndsAt: UInt64 = 0
        var windowTaken: UInt32 = 0
        var losses = TapLosses()
        var reportedLosses = TapLosses()
        var isWakeUpDue = false
        var isCancelled = false
    }

    /// Number of the call in this process; part of each event's id.
    package let base: UInt32
    package let interest: TapInterest
    private let state = Mutex(State())
    private let wake: @Sendable () -> Void

    /// - Parameter wake: tells the reader that `take` has something; from any loop, and not again before `take`.
    package init(base: UInt32, interest: TapInterest, wake: @escaping @Sendable () -> Void) {
        self.base = base
        self.interest = interest
        self.wake = wake
    }

    // MARK: The data plane's side

    /// Asks to show one more matching request.
    /// - Returns: its number; `nil` when it is not shown, and counted.
    func admit(atNanoseconds now: UInt64) -> UInt64? {
        state.withLock { state in
            guard !state.isCancelled else { return nil }
            guard hasRate(&state, now) else {
                state.losses.limited += 1
                return nil
            }
            guard state.bufferedEvents < Self.bufferedEventsMax, state.bufferedBytes < Self.bufferedBytesMax else {
                state.losses.droppedRequests += 1
                return nil
            }
            state.windowTaken += 1
            state.open += 1
            defer { state.taken += 1 }
            return state.taken
        }
    }

    private func hasRate(_ state: inout State, _ now: UInt64) -> Bool {
        guard let window = interest.windowNanoseconds else { return state.taken < UInt64(interest.limit) }
        if now >= state.windowEndsAt {
            state.windowEndsAt = now + window
            state.windowTaken = 0
        }
        return state.windowTaken < interest.limit
    }

    /// Adds one event: what it shares with others, its own part of a `TapEvent`, and what was lost before it.
    /// - Parameter isLast: the request's last event.
    func offer(_ prefix: [UInt8], _ event: [UInt8], isLast: Bool) {
        let isDue = state.withLock { state in
            if isLast { state.open -= 1 }
            guard !state.isCancelled else { return false }
            if state.bufferedEvents < 2 * Self.bufferedEventsMax, state.bufferedBytes < 2 * Self.bufferedBytesMax {
                append(&state, prefix, event)
            } else {
                state.losses.droppedEvents += 1
            }
            defer { state.isWakeUpDue = true }
            return !state.isWakeUpDue
        }
        if isDue { wake() }
    }

    private func append(_ state: inout State, _ prefix: [UInt8], _ event: [UInt8]) {
        if state.tail.bytes.readableBytes >= Self.chunkBytes {
            state.chunks.append(state.tail)
            state.tail = Chunk()
        }
        if state.tail.eventCount == 0 { state.tail.bytes.reserveCapacity(Self.chunkBytes) }
        let before = state.tail.bytes.readableBytes
        // gRPC's frame: not compressed, then the length.
        state.tail.bytes.writeMultipleIntegers(UInt8(0), UInt32(prefix.count + event.count))
        state.tail.bytes.writeBytes(prefix)
        state.tail.bytes.writeBytes(event)
        if state.losses != state.reportedLosses {
            state.reportedLosses = state.losses
            state.tail.bytes.writeBytes(state.losses.encoded)
            state.tail.bytes.setInteger(UInt32(state.tail.bytes.readableBytes - before - 5), at: before + 1)
        }
        state.tail.eventCount += 1
        state.bufferedEvents += 1
        state.bufferedBytes += state.tail.bytes.readableBytes - before
    }

    // MARK: The reader's side

    /// What the reader finds when it looks.
    enum Next {
        case bytes(ByteBuffer)
        /// Nothing now; `wake` will tell.
        case nothing
        /// Nothing now or ever: `limit` requests were shown to their ends.
        case finished(TapLosses)
    }

    /// Takes the oldest chunk.
    func take() -> Next {
        state.withLock { state in
            state.isWakeUpDue = false
            if state.chunks.isEmpty, state.tail.eventCount > 0 {
                state.chunks.append(state.tail)
                state.tail = Chunk()
            }
            if let chunk = state.chunks.popFirst() {
                state.bufferedEvents -= chunk.eventCount
                state.bufferedBytes -= chunk.bytes.readableBytes
                return .bytes(chunk.bytes)
            }
            return isFull(state) && state.open == 0 ? .finished(state.losses) : .nothing
        }
    }

    /// Puts an event into the stream that says only what was lost, if that changed since it was last said. For
    /// readers who know our extension; Linkerd's own would take it for an event.
    func reportLosses() {
        guard interest.windowNanoseconds != nil else { return }
        state.withLock { state in
            guard state.losses != state.reportedLosses, !state.isCancelled else { return }
            append(&state, [], [])
        }
    }

    /// Whether no further request will be shown.
    var isFull: Bool { state.withLock { isFull($0) } }

    private func isFull(_ state: borrowing State) -> Bool {
        interest.windowNanoseconds == nil && state.taken >= UInt64(interest.limit)
    }

    /// The reader left.
    func cancel() {
        state.withLock { state in
            state.isCancelled = true
            state.chunks.removeAll()
            state.tail = Chunk()
        }
    }

    /// What was not shown so far.
    package var losses: TapLosses { state.withLock { $0.losses } }
}

extension TapLosses {
    /// Field number of our extension in `TapEvent`: `linkerd2.tap.live.EventExtension.losses`.
    static let field: UInt64 = 1_000

    fileprivate var encoded: [UInt8] {
        var bytes: [UInt8] = []
        ProtoBytes.nestShort(Self.field, in: &bytes) { bytes in
            ProtoBytes.write(limited, field: 1, to: &bytes)
            ProtoBytes.write(droppedRequests, field: 2, to: &bytes)
            ProtoBytes.write(droppedEvents, field: 3, to: &bytes)
        }
        return bytes
    }
}
