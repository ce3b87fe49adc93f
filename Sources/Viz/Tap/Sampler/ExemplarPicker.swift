// Which requests of a batch are kept whole: of each destination the slowest, and failures. Pure.

package import MeshRollup

/// Keeps a bounded choice of requests.
package struct ExemplarPicker: Sendable {
    /// Destinations that have exemplars in one batch.
    package static let destinationsMax = 2_000

    /// Requests of each list.
    private let countMax: Int
    private var slowest: [WorkloadKey: [RequestExemplar]] = [:]
    private var failed: [WorkloadKey: [RequestExemplar]] = [:]

    /// - Parameter countMax: slowest, and failed, requests of one destination; 0 keeps none.
    package init(countMax: Int) { self.countMax = countMax }

    /// Whether a request with this outcome would be kept, so that others need not be put together.
    package func wants(_ dst: WorkloadKey, latencyMicroseconds: UInt64, isFailure: Bool) -> Bool {
        guard countMax > 0, slowest[dst] != nil || slowest.count < Self.destinationsMax else { return false }
        if isFailure { return true }
        let known = slowest[dst] ?? []
        return known.count < countMax || known.contains { $0.latencyMicroseconds < latencyMicroseconds }
    }

    /// Takes a request that is wanted. Of failures the newest stay, each method and path once before any is there twice.
    package mutating func take(_ exemplar: RequestExemplar) {
        var slow = slowest[exemplar.dst] ?? []
        slow.append(exemplar)
        if slow.count > countMax {
            let quickest = slow.indices.min { slow[$0].latencyMicroseconds < slow[$1].latencyMicroseconds }
            if let quickest { slow.remove(at: quickest) }
        }
        slowest[exemplar.dst] = slow
        guard exemplar.isFailure else { return }
        var failures = failed[exemplar.dst] ?? []
        if failures.count >= countMax {
            let twin = failures.firstIndex { $0.method == exemplar.method && $0.path == exemplar.path }
            failures.remove(at: twin ?? 0)
        }
        failures.append(exemplar)
        failed[exemplar.dst] = failures
    }

    /// What was chosen, each request once, in the order of time; the picker is empty afterwards.
    package mutating func drain() -> [RequestExemplar] {
        let chosen = Set(slowest.values.joined()).union(failed.values.joined())
        slowest = [:]
        failed = [:]
        return chosen.sorted { ($0.at, $0.latencyMicroseconds) < ($1.at, $1.latencyMicroseconds) }
    }
}
