import NIOCore
import Synchronization

/// The connections of a listener that are open, so that none outlives it.
final class OpenChannels: Sendable {
    private let open = Mutex<[ObjectIdentifier: any Channel]>([:])

    func add(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        open.withLock { $0[id] = channel }
        channel.closeFuture.whenComplete { _ in self.open.withLock { $0[id] = nil } }
    }

    func closeAll() {
        for channel in open.withLock({ Array($0.values) }) { channel.close(promise: nil) }
    }
}

/// How many connections are being served.
final class ActiveConnections: Sendable {
    private let count = Mutex(0)
    private let emptied: AsyncStream<Void>
    private let onEmptied: AsyncStream<Void>.Continuation

    init() { (emptied, onEmptied) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    /// Counts one more, unless there are `limit` already.
    func enter(atMost limit: Int) -> Bool {
        count.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
    }

    func leave() {
        let isLast = count.withLock { $0 -= 1; return $0 == 0 }
        if isLast { onEmptied.yield() }
    }

    /// Returns when none is left, or when the time is over.
    func waitUntilNone(atMost time: Duration) async {
        guard count.withLock({ $0 > 0 }) else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in self.emptied where self.count.withLock({ $0 == 0 }) { return } }
            group.addTask { try? await Task.sleep(for: time) }
            await group.next()
            group.cancelAll()
        }
    }
}
