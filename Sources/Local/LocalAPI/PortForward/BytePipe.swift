import NIOCore
import Synchronization

/// A bounded queue of bytes from one task to another: the sender waits while it is full, the receiver while
/// it is empty. Cancelling either side closes it for both.
final class BytePipe: Sendable {
    /// Bytes that may wait before the sender has to.
    static let waitingBytesMax = 256 * 1_024

    private struct State {
        var waiting: [ByteBuffer] = []
        var waitingBytes = 0
        var isFinished = false
        var isCancelled = false
        var sender: CheckedContinuation<Void, Never>?
        var receiver: CheckedContinuation<Void, Never>?

        /// Whom to wake; at most one of each.
        mutating func takeAll() -> [CheckedContinuation<Void, Never>] {
            defer { (sender, receiver) = (nil, nil) }
            return [sender, receiver].compactMap { $0 }
        }
    }

    private let state = Mutex(State())

    /// Hands over bytes; waits while the pipe is full. Bytes sent to a cancelled pipe are dropped.
    func send(_ bytes: ByteBuffer) async {
        let receiver = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.isCancelled, !state.isFinished else { return nil }
            state.waiting.append(bytes)
            state.waitingBytes += bytes.readableBytes
            defer { state.receiver = nil }
            return state.receiver
        }
        receiver?.resume()
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goesOn = state.withLock { state in
                    if state.waitingBytes < Self.waitingBytesMax || state.isCancelled { return true }
                    state.sender = continuation
                    return false
                }
                if goesOn { continuation.resume() }
            }
        } onCancel: {
            cancel()
        }
    }

    /// The next bytes; `nil` once the sender has finished and everything was received, or on cancellation.
    func next() async -> ByteBuffer? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goesOn = state.withLock { state in
                    if !state.waiting.isEmpty || state.isFinished || state.isCancelled { return true }
                    state.receiver = continuation
                    return false
                }
                if goesOn { continuation.resume() }
            }
        } onCancel: {
            cancel()
        }
        let (bytes, sender) = state.withLock { state -> (ByteBuffer?, CheckedContinuation<Void, Never>?) in
            guard !state.waiting.isEmpty, !state.isCancelled else { return (nil, nil) }
            let bytes = state.waiting.removeFirst()
            state.waitingBytes -= bytes.readableBytes
            guard state.waitingBytes < Self.waitingBytesMax else { return (bytes, nil) }
            defer { state.sender = nil }
            return (bytes, state.sender)
        }
        sender?.resume()
        return bytes
    }

    /// Nothing more will be sent.
    func finish() {
        let waiters = state.withLock { state in
            state.isFinished = true
            return state.takeAll()
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Drops what waits, and everything to come.
    func cancel() {
        let waiters = state.withLock { state in
            state.isCancelled = true
            state.waiting = []
            state.waitingBytes = 0
            return state.takeAll()
        }
        for waiter in waiters { waiter.resume() }
    }
}
