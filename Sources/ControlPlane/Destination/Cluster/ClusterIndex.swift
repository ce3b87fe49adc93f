// The shared state between the watches that write it and the streams that read it. A stream subscribes
// before its first look, and a writer changes the state before it notifies: no update is ever missed.
// Notifications carry nothing and coalesce; a slow stream simply skips the states in between.

internal import Synchronization

/// The cluster's state and those who wait for it to change.
package final class ClusterIndex: Sendable {
    private struct Shared {
        var state = ClusterState()
        var waiting: [Topic: [UInt64: AsyncStream<Void>.Continuation]] = [:]
        var nextID: UInt64 = 0
        var isFinished = false
    }

    private let shared = Mutex(Shared())

    package init() {}

    /// Changes the state, then wakes the streams concerned.
    ///
    /// - Parameter change: Returns the topics it touched.
    package func update(_ change: (inout ClusterState) -> Set<Topic>) {
        let continuations = shared.withLock { shared in
            change(&shared.state).flatMap { topic in shared.waiting[topic].map { Array($0.values) } ?? [] }
        }
        for continuation in continuations { continuation.yield() }
    }

    /// Looks at the state.
    package func read<Result, Failure: Error>(
        _ body: (borrowing ClusterState) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        try shared.withLock { (shared) throws(Failure) in try body(shared.state) }
    }

    /// A tick at once, and one after each change of the topic.
    package func subscribe(to topic: Topic) -> Subscription {
        let (ticks, continuation) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id: UInt64? = shared.withLock { shared in
            guard !shared.isFinished else { return nil }
            shared.nextID += 1
            shared.waiting[topic, default: [:]][shared.nextID] = continuation
            return shared.nextID
        }
        guard let id else {
            continuation.finish()
            return Subscription(ticks: ticks, continuation: continuation)
        }
        continuation.onTermination = { [weak self] _ in self?.unsubscribe(id, from: topic) }
        continuation.yield()
        return Subscription(ticks: ticks, continuation: continuation)
    }

    private func unsubscribe(_ id: UInt64, from topic: Topic) {
        shared.withLock { shared in
            shared.waiting[topic]?[id] = nil
            if shared.waiting[topic]?.isEmpty == true { shared.waiting[topic] = nil }
        }
    }

    /// Ends every subscription, present and future: the process is going away.
    package func finish() {
        let continuations = shared.withLock { shared in
            shared.isFinished = true
            return shared.waiting.values.flatMap(\.values)
        }
        for continuation in continuations { continuation.finish() }
    }

    /// How many streams wait.
    package var subscriberCount: Int { shared.withLock { $0.waiting.values.reduce(0) { $0 + $1.count } } }
}

/// One stream's place among those who wait.
package struct Subscription: Sendable {
    package let ticks: AsyncStream<Void>
    fileprivate let continuation: AsyncStream<Void>.Continuation

    /// Ends the ticks.
    package func finish() { continuation.finish() }
}
