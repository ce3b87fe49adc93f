import Synchronization

/// What a watcher's queue holds.
enum WatchItem: Sendable {
    case change(StoredEvent)
    /// Everything up to this resourceVersion has gone through the queue.
    case reached(Int64)
}

/// The changes of one resource from the moment of subscribing on.
struct WatchSubscription: Sendable {
    fileprivate let id: Int
    /// In order. Ends when the watcher is too slow, when it is cancelled, and when the hub closes.
    let items: AsyncStream<WatchItem>
    fileprivate let continuation: AsyncStream<WatchItem>.Continuation

    /// Ends the stream.
    func cancel() { continuation.finish() }
}

/// Hands each committed change to those who watch. Publishing happens on the store's writer, in commit
/// order, and never waits: a watcher that does not keep up is cut off and must list again.
final class WatchHub: Sendable {
    /// Items that may wait for one watcher. A full queue ends that watcher's stream.
    static let pendingItemsMax = 1_024

    private struct Subscriber {
        let resource: String
        let namespace: String?
        let continuation: AsyncStream<WatchItem>.Continuation

        /// Whether a change concerns it.
        func wants(_ address: ObjectAddress) -> Bool {
            resource == address.resource && (namespace == nil || namespace == address.namespace)
        }
    }

    private struct State {
        var subscribers: [Int: Subscriber] = [:]
        var nextID = 0
        var isClosed = false
        var publishedVersion: Int64 = 0
    }

    private let state = Mutex(State())

    /// Watches one resource, in one namespace or in all.
    func subscribe(resource: String, namespace: String?) -> WatchSubscription {
        let (stream, continuation) = AsyncStream.makeStream(
            of: WatchItem.self, bufferingPolicy: .bufferingOldest(Self.pendingItemsMax))
        let id = state.withLock { state -> Int? in
            guard !state.isClosed else { return nil }
            state.nextID += 1
            state.subscribers[state.nextID] = Subscriber(
                resource: resource, namespace: namespace, continuation: continuation)
            return state.nextID
        }
        if let id {
            continuation.onTermination = { [weak self] _ in self?.remove(id) }
        } else {
            continuation.finish()
        }
        return WatchSubscription(id: id ?? 0, items: stream, continuation: continuation)
    }

    /// Puts a mark behind all that was published so far into a watcher's queue.
    func mark(_ subscription: WatchSubscription) {
        state.withLock { state in
            // A full queue needs no mark: the next change ends it.
            _ = state.subscribers[subscription.id]?.continuation.yield(.reached(state.publishedVersion))
        }
    }

    /// Whether every stream has ended for good.
    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// How many watchers there are.
    var subscriberCount: Int { state.withLock { $0.subscribers.count } }

    /// Gives committed changes to whom they concern.
    func publish(_ events: [StoredEvent]) {
        let slow = state.withLock { state -> [Subscriber] in
            var slow: [Int] = []
            for event in events {
                state.publishedVersion = event.resourceVersion
                for (id, subscriber) in state.subscribers where subscriber.wants(event.address) {
                    if case .dropped = subscriber.continuation.yield(.change(event)) { slow.append(id) }
                }
            }
            return slow.compactMap { state.subscribers.removeValue(forKey: $0) }
        }
        for subscriber in slow { subscriber.continuation.finish() }
    }

    /// Ends every stream, now and later.
    func close() {
        let all = state.withLock { state in
            state.isClosed = true
            defer { state.subscribers = [:] }
            return Array(state.subscribers.values)
        }
        for subscriber in all { subscriber.continuation.finish() }
    }

    private func remove(_ id: Int) {
        _ = state.withLock { $0.subscribers.removeValue(forKey: id) }
    }
}
