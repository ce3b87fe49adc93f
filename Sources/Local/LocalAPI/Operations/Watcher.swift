// A watch: the changes of a resource since a resourceVersion, one JSON document a line. It subscribes
// first and reads the log second, so that no change falls between the two; what both deliver is told
// apart by its number.

import Foundation
import MeshModel
import NIOCore

/// What a watch asks for.
struct WatchRequest: Sendable {
    /// Seconds a watch runs when the client names none.
    static let defaultSeconds = 1_800
    /// Seconds a client may ask for; more is cut.
    static let secondsMax = 7_200
    /// Seconds between bookmarks.
    static let bookmarkSeconds = 15

    let request: APIRequest
    let kind: KindDescription
    let namespace: String?
    let selector: ObjectSelector
    /// `nil` starts with the present state, as resourceVersion 0 and no resourceVersion do.
    let since: Int64?
    let seconds: Int
    let wantsBookmarks: Bool
    /// Streams the present state first and marks its end with a bookmark.
    let sendsInitialEvents: Bool

    init(
        _ request: APIRequest, kind: KindDescription, namespace: String?, selector: ObjectSelector
    ) throws(StatusError) {
        self.request = request
        self.kind = kind
        self.namespace = namespace
        self.selector = selector
        let version = request.parameter("resourceVersion") ?? ""
        sendsInitialEvents =
            request.flag("sendInitialEvents") && request.parameter("sendInitialEvents") != nil
        if version.isEmpty || version == "0" || sendsInitialEvents {
            since = nil
        } else {
            guard let number = Int64(version), number >= 0 else {
                throw .badRequest("resourceVersion: Invalid value: \"\(version)\"")
            }
            since = number
        }
        let asked = request.parameter("timeoutSeconds").flatMap { Int($0) } ?? 0
        seconds = min(asked > 0 ? asked : Self.defaultSeconds, Self.secondsMax)
        wantsBookmarks = request.flag("allowWatchBookmarks")
    }
}

/// Streams one watch.
struct Watcher: Sendable {
    let cluster: Cluster
    let watch: WatchRequest

    /// - Throws: `StatusError` 410 when the log no longer reaches back to where the watch wants to start.
    func respond() async throws -> APIResponse {
        let resource = watch.kind.qualifiedName
        let subscription = cluster.store.hub.subscribe(resource: resource, namespace: watch.namespace)
        do {
            let start = try await startingEvents()
            return .stream { stream in
                defer { subscription.cancel() }
                stream.onHangUp { subscription.cancel() }
                try await stream.start(headers: [("Content-Type", "application/json")])
                try await run(start, subscription, stream)
            }
        } catch {
            subscription.cancel()
            throw error
        }
    }

    private struct Start: Sendable {
        let lines: [ByteBuffer]
        let version: Int64
    }

    /// What is sent before live changes, and the version it reaches.
    private func startingEvents() async throws -> Start {
        let resource = watch.kind.qualifiedName
        let namespace = watch.namespace
        guard let since = watch.since else {
            let (items, version) = try await cluster.store.read { reader in
                (try reader.list(resource, namespace: namespace), try reader.resourceVersion())
            }
            var lines = try items.compactMap { item -> ByteBuffer? in
                let object = try item.object()
                return watch.selector.matches(object) ? line("ADDED", object) : nil
            }
            if watch.sendsInitialEvents { lines.append(bookmark(version, endsInitialEvents: true)) }
            return Start(lines: lines, version: version)
        }
        let (events, compacted, version) = try await cluster.store.read { reader in
            (
                try reader.changes(resource, namespace: namespace, after: since),
                try reader.compactedVersion(),
                try reader.resourceVersion()
            )
        }
        // A version from the future stems from a state that was lost: listing again is right there too.
        guard since >= compacted, since <= version else {
            throw StatusError.expired("too old resource version: \(since) (\(max(compacted, version)))")
        }
        return Start(lines: events.compactMap(line), version: version)
    }

    private func run(_ start: Start, _ subscription: WatchSubscription, _ stream: ResponseStream) async throws
    {
        for line in start.lines { try await stream.write(line) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // The watch's end in time; cancelled when it ends otherwise.
                try await Task.sleep(for: .seconds(watch.seconds))
                subscription.cancel()
            }
            if watch.wantsBookmarks {
                group.addTask {
                    while true {
                        try await Task.sleep(for: .seconds(WatchRequest.bookmarkSeconds))
                        cluster.store.hub.mark(subscription)
                    }
                }
            }
            group.addTask { try await forward(subscription, after: start.version, to: stream) }
            // The first to end ends all: time is up, the client left, or it was too slow.
            try await group.next()
            group.cancelAll()
            subscription.cancel()
        }
    }

    private func forward(
        _ subscription: WatchSubscription, after version: Int64, to stream: ResponseStream
    ) async throws {
        for await item in subscription.items {
            switch item {
            case .change(let event):
                guard event.resourceVersion > version, let line = line(event) else { continue }
                try await stream.write(line)
            case .reached(let reached): try await stream.write(bookmark(max(version, reached)))
            }
        }
    }

    /// The line for an event as this watcher's selector sees it; `nil` when it does not.
    private func line(_ event: StoredEvent) -> ByteBuffer? {
        if watch.selector.isEverything {
            return formsAreStored ? event.line : line(event.change.name, event.object)
        }
        let isIn = event.change != .deleted && watch.selector.matches(event.object)
        let wasIn = event.previous.map(watch.selector.matches) ?? false
        switch (wasIn, isIn) {
        case (false, false): return nil
        case (false, true): return line("ADDED", event.object)
        case (true, true): return formsAreStored ? event.line : line(event.change.name, event.object)
        case (true, false):
            var last = event.change == .deleted ? event.object : event.previous ?? event.object
            last.set(.string(String(event.resourceVersion)), at: ["metadata", "resourceVersion"])
            return line("DELETED", last)
        }
    }

    private var formsAreStored: Bool { !presenter.needsTree }

    private var presenter: Presenter {
        Presenter(request: watch.request, kind: watch.kind, now: cluster.now())
    }

    private func line(_ type: String, _ object: JSONValue) -> ByteBuffer {
        StoredEvent.line(type: type, objectBytes: presenter.form(object).serialized())
    }

    private func bookmark(_ version: Int64, endsInitialEvents: Bool = false) -> ByteBuffer {
        var metadata: JSONValue = ["resourceVersion": .string(String(version)), "creationTimestamp": .null]
        if endsInitialEvents { metadata["annotations"] = ["k8s.io/initial-events-end": "true"] }
        let object: JSONValue = [
            "kind": .string(watch.kind.kind), "apiVersion": .string(watch.kind.apiVersion),
            "metadata": metadata,
        ]
        return StoredEvent.line(type: "BOOKMARK", objectBytes: object.serialized())
    }
}
