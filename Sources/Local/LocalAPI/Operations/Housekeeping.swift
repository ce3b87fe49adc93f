import Foundation
import Logging
import MeshModel

/// Keeps the state bounded while the server runs: Events are news, not records, and go after a while.
struct Housekeeping: Sendable {
    /// How long an Event is kept after it was last seen, as in Kubernetes.
    static let eventLifetime: TimeInterval = 3_600
    /// Events kept at most; the oldest go first.
    static let eventsMax = 5_000
    /// Time between two rounds.
    static let interval = Duration.seconds(60)

    let cluster: Cluster

    /// Sweeps until cancelled. A round that fails is reported and tried again at the next.
    func run() async {
        while !Task.isCancelled {
            do {
                try await Task.sleep(for: Self.interval)
                let removed = try await sweepEvents()
                if removed > 0 {
                    cluster.logger.debug("Old events removed", metadata: ["count": "\(removed)"])
                }
            } catch is CancellationError {
                return
            } catch {
                cluster.logger.warning("Old events could not be removed", metadata: ["cause": "\(error)"])
            }
        }
    }

    /// Removes Events that are too old or too many; gives how many.
    func sweepEvents() async throws -> Int {
        let oldest = Timestamp.text(cluster.now().addingTimeInterval(-Self.eventLifetime))
        return try await cluster.store.write { writer in
            let events = try writer.list(Resource.events, namespace: nil).map { stored in
                (stored: stored, object: try stored.object())
            }.sorted { Self.lastSeen($0.object) < Self.lastSeen($1.object) }
            let surplus = max(0, events.count - Self.eventsMax)
            let old = events.enumerated().filter { index, event in
                index < surplus || Self.lastSeen(event.object) < oldest
            }
            for (_, event) in old { _ = try writer.remove(event.stored.address, last: event.object) }
            return old.count
        }
    }

    /// RFC 3339 in UTC, so that text order is time order to the second.
    private static func lastSeen(_ event: JSONValue) -> String {
        let seen = [event["lastTimestamp"], event["eventTime"]].compactMap { $0?.stringValue }.max()
        return seen ?? event.value(at: ["metadata", "creationTimestamp"])?.stringValue ?? ""
    }
}
