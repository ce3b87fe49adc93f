// A kind of object kept in memory: list once, then watch. When the watch breaks, or its version is too
// old, list again with a growing, jittered pause; until then readers see the last known state, because
// stale endpoints serve more requests than none.

public import Logging
internal import Synchronization

/// List and watch kept in memory. `run()` must be awaited in a task group; everything else is safe anywhere.
public final class ObjectCache<T: KubernetesObject>: Sendable {
    private let client: KubernetesClient
    private let namespace: String?
    private let labelSelector: String?
    private let fieldSelector: String?
    private let logger: Logger
    private let state = Mutex(CacheState<T>())

    /// - Parameter namespace: `nil` for all namespaces.
    public init(
        client: KubernetesClient, namespace: String? = nil, labelSelector: String? = nil,
        fieldSelector: String? = nil,
        logger: Logger
    ) {
        self.client = client
        self.namespace = namespace
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
        self.logger = logger
    }

    /// Keeps the cache up to date until the task is cancelled.
    public func run() async {
        var backoff = Backoff(first: .milliseconds(500), max: .seconds(30))
        while !Task.isCancelled {
            do {
                try await listAndWatch { backoff.reset() }
            } catch {
                if Task.isCancelled { break }
                let failure = KubernetesClient.transportError(error)
                if failure.isNotFound {
                    // The server does not know this kind (a definition not installed): there are no such
                    // objects.
                    state.withLock { $0.replaceAll([], resourceVersion: "") }.notify()
                }
                // An expired version or a kind not installed is ordinary; anything else is worth a person's
                // eye.
                logger.log(
                    level: failure.isGone || failure.isNotFound ? .debug : .warning, "Watch interrupted",
                    metadata: ["kind": "\(T.resource.kind)", "error": "\(failure)"])
                // Cancelled: the loop ends.
                try? await Task.sleep(for: failure.isGone ? .milliseconds(50) : backoff.next())
            }
        }
    }

    private func listAndWatch(onProgress: () -> Void) async throws {
        let list = try await client.list(
            T.self, namespace: namespace, labelSelector: labelSelector, fieldSelector: fieldSelector)
        state.withLock { $0.replaceAll(list.items, resourceVersion: list.resourceVersion) }.notify()
        logger.debug("Listed", metadata: ["kind": "\(T.resource.kind)", "count": "\(list.items.count)"])
        while !Task.isCancelled {
            onProgress()
            let version = state.withLock { $0.resourceVersion }
            let started = ContinuousClock.now
            try await client.follow(
                T.self, namespace: namespace, resourceVersion: version, labelSelector: labelSelector,
                fieldSelector: fieldSelector
            ) { [state = StateReference(cache: self)] event in
                state.cache.apply(event)
            }
            // A server that ends every watch at once must not be asked in a tight loop.
            if ContinuousClock.now - started < .seconds(1) { try await Task.sleep(for: .seconds(1)) }
        }
    }

    private struct StateReference: Sendable { let cache: ObjectCache }

    private func apply(_ event: WatchEvent<T>) { state.withLock { $0.apply(event) }.notify() }

    /// Whether the first list has arrived.
    public var isSynced: Bool { state.withLock { $0.isSynced } }

    /// Rises with every change.
    public var generation: UInt64 { state.withLock { $0.generation } }

    /// All objects as of now.
    public func snapshot() -> [ObjectKey: T] { state.withLock { $0.objects } }

    /// The number of objects.
    public var count: Int { state.withLock { $0.objects.count } }

    /// One object.
    public subscript(_ key: ObjectKey) -> T? { state.withLock { $0.objects[key] } }

    /// A tick for every change, several in a row becoming one; the first at once when synced.
    public func changes() -> AsyncStream<Void> { changeFeed().ticks }

    /// Ticks, and which objects changed since the feed was last drained.
    public func changeFeed() -> ChangeFeed<T> {
        let (ticks, continuation) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { $0.subscribe(continuation) }
        continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.unsubscribe(id) } }
        if isSynced { continuation.yield() }
        return ChangeFeed(ticks: ticks, cache: self, id: id)
    }

    fileprivate func drain(_ id: UInt64) -> ChangedObjects { state.withLock { $0.drain(id) } }
}

/// Which objects of a cache changed.
public enum ChangedObjects: Sendable, Equatable {
    /// These, by being added, modified or deleted; possibly none.
    case keys(Set<ObjectKey>)
    /// Too many to name: look at all.
    case everything
}

/// One reader's view of the changes of a cache. Ends when the `ticks` are dropped.
public struct ChangeFeed<T: KubernetesObject>: Sendable {
    /// Changed keys kept for a reader that does not drain; beyond, it is told to look at everything.
    public static var pendingKeysMax: Int { 10_000 }

    /// A tick says that draining is worth it; several changes may share one.
    public let ticks: AsyncStream<Void>
    fileprivate let cache: ObjectCache<T>
    fileprivate let id: UInt64

    /// What changed since the last call; the first call after a sync returns everything.
    public func drain() -> ChangedObjects { cache.drain(id) }
}

/// The state behind a cache. Pure: it says whom to notify, and the cache does so outside its lock.
struct CacheState<T: KubernetesObject> {
    struct Subscriber {
        let continuation: AsyncStream<Void>.Continuation
        var pending: ChangedObjects
    }

    /// Readers to wake.
    struct Notification: Sendable {
        let continuations: [AsyncStream<Void>.Continuation]
        func notify() { for continuation in continuations { continuation.yield() } }
    }

    private(set) var objects: [ObjectKey: T] = [:]
    private(set) var resourceVersion = ""
    private(set) var isSynced = false
    private(set) var generation: UInt64 = 0
    private var subscribers: [UInt64: Subscriber] = [:]
    private var nextID: UInt64 = 0

    /// Takes a whole list; only what differs from before counts as changed.
    mutating func replaceAll(_ items: [T], resourceVersion version: String) -> Notification {
        let wasSynced = isSynced
        var fresh: [ObjectKey: T] = [:]
        fresh.reserveCapacity(items.count)
        for item in items { fresh[item.key] = item }
        var changed = Set(objects.keys).subtracting(fresh.keys)
        for (key, item) in fresh where !Self.isSame(objects[key], item) { changed.insert(key) }
        objects = fresh
        resourceVersion = version
        isSynced = true
        guard wasSynced else {
            generation += 1
            for id in subscribers.keys { subscribers[id]?.pending = .everything }
            return Notification(continuations: subscribers.values.map(\.continuation))
        }
        return record(changed)
    }

    private static func isSame(_ old: T?, _ new: T) -> Bool {
        guard let version = old?.metadata.resourceVersion, old?.metadata.uid == new.metadata.uid else {
            return false
        }
        return version == new.metadata.resourceVersion
    }

    mutating func apply(_ event: WatchEvent<T>) -> Notification {
        switch event {
        case .bookmark(let version):
            if !version.isEmpty { resourceVersion = version }
            return Notification(continuations: [])
        case .added(let object), .modified(let object):
            objects[object.key] = object
            resourceVersion = object.metadata.resourceVersion ?? resourceVersion
            return record([object.key])
        case .deleted(let object):
            objects[object.key] = nil
            resourceVersion = object.metadata.resourceVersion ?? resourceVersion
            return record([object.key])
        }
    }

    private mutating func record(_ changed: Set<ObjectKey>) -> Notification {
        guard !changed.isEmpty else { return Notification(continuations: []) }
        generation += 1
        for id in subscribers.keys {
            guard case .keys(var keys) = subscribers[id]?.pending else { continue }
            keys.formUnion(changed)
            subscribers[id]?.pending = keys.count > ChangeFeed<T>.pendingKeysMax ? .everything : .keys(keys)
        }
        return Notification(continuations: subscribers.values.map(\.continuation))
    }

    mutating func subscribe(_ continuation: AsyncStream<Void>.Continuation) -> UInt64 {
        nextID += 1
        subscribers[nextID] = Subscriber(continuation: continuation, pending: .everything)
        return nextID
    }

    mutating func unsubscribe(_ id: UInt64) { subscribers[id] = nil }

    mutating func drain(_ id: UInt64) -> ChangedObjects {
        guard let pending = subscribers[id]?.pending else { return .keys([]) }
        subscribers[id]?.pending = .keys([])
        return pending
    }
}

/// Pauses that double from the first to the longest; each is taken between half and all of its length.
struct Backoff {
    private let first: Duration
    private let max: Duration
    private var current: Duration

    init(first: Duration, max: Duration) {
        self.first = first
        self.max = max
        current = first
    }

    /// The pause before the next attempt.
    mutating func next() -> Duration {
        defer { current = Swift.min(current * 2, max) }
        return current * Double.random(in: 0.5...1)
    }

    /// Starts over after a success.
    mutating func reset() { current = first }
}
