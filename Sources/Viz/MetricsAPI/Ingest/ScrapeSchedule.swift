package import MeshRollup

/// Decides which pods to scrape when. Each pod keeps its own phase within the interval, so that hundreds of
/// proxies are not asked at once and each is asked evenly; a pod that turns Terminating is asked at once and
/// every second until it is gone. Pure: time is an argument.
package struct ScrapeSchedule: Sendable {
    /// Time between scrapes of a pod on its way out.
    package static let terminatingIntervalMilliseconds: Int64 = 1_000

    private struct Entry: Sendable {
        var facts: PodFacts
        var dueAt: UnixTime
        var isInFlight = false
    }

    private var entries: [String: Entry] = [:]
    private let intervalMilliseconds: Int64

    /// A schedule with scrapes every `intervalMilliseconds`.
    package init(intervalMilliseconds: Int64) { self.intervalMilliseconds = max(1, intervalMilliseconds) }

    /// Pods known.
    package var count: Int { entries.count }

    /// Takes in the pods there are.
    ///
    /// - Returns: Cursor names of the pods that are gone.
    package mutating func update(_ pods: [PodFacts], now: UnixTime) -> [String] {
        var seen: Set<String> = []
        for pod in pods where pod.isScrapable {
            let id = pod.cursorID
            seen.insert(id)
            guard let known = entries[id] else {
                // New pods are asked soon, so that a first picture does not take a whole interval.
                let soon = now.advanced(by: phase(of: id) / 10)
                entries[id] = Entry(facts: pod, dueAt: soon)
                continue
            }
            entries[id]?.facts = pod
            if pod.isTerminating, !known.facts.isTerminating { entries[id]?.dueAt = now }
        }
        let gone = entries.keys.filter { !seen.contains($0) }
        for id in gone { entries[id] = nil }
        return gone
    }

    /// The pods whose time has come, at most `limit`, the most overdue first; they count as in flight.
    package mutating func due(at now: UnixTime, limit: Int) -> [PodFacts] {
        guard limit > 0 else { return [] }
        let due = entries.filter { !$0.value.isInFlight && $0.value.dueAt <= now }
            .sorted { ($0.value.dueAt, $0.key) < ($1.value.dueAt, $1.key) }
            .prefix(limit)
        for (id, _) in due { entries[id]?.isInFlight = true }
        return due.map(\.value.facts)
    }

    /// Notes that a scrape ended, however it did.
    package mutating func finished(_ id: String, at now: UnixTime) {
        guard let entry = entries[id] else { return }
        entries[id]?.isInFlight = false
        let soon = now.advanced(by: Self.terminatingIntervalMilliseconds)
        let dueAt = entry.facts.isTerminating ? soon : next(after: now, phase: phase(of: id))
        entries[id]?.dueAt = dueAt
    }

    private func next(after now: UnixTime, phase: Int64) -> UnixTime {
        let slot = now.advanced(by: -phase).floored(to: intervalMilliseconds).advanced(by: phase)
        return slot.advanced(by: intervalMilliseconds)
    }

    private func phase(of id: String) -> Int64 {
        let bytes = Array(id.utf8)
        let hash = SeriesID(hashing: bytes, in: bytes.indices).low
        return Int64(hash % UInt64(intervalMilliseconds))
    }
}
