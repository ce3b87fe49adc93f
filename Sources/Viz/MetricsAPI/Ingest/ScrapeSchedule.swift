package import MeshRollup

/// Decides which pods to scrape when. Each pod keeps its own phase within the interval, so that hundreds of
/// proxies are not asked at once and each is asked evenly; a pod that turns Terminating is asked at once and
/// every second until it is gone. Pods that answered last time have a lane of their own: one that does not answer
/// holds a place for seconds, and must not take theirs. Pure: time is an argument.
package struct ScrapeSchedule: Sendable {
    /// Time between scrapes of a pod on its way out.
    package static let terminatingIntervalMilliseconds: Int64 = 1_000
    /// Scrapes in flight at once, on each lane.
    package static let concurrencyMax = 16

    private struct Entry: Sendable {
        var facts: PodFacts
        var dueAt: UnixTime
        /// What became of the last scrape.
        var lane = Lane.new
        /// The lane that it is in flight on.
        var flight: Lane?
    }

    private enum Lane: Sendable, CaseIterable {
        case new, answering, failing
    }

    private var entries: [String: Entry] = [:]
    private var inFlight: [Lane: Int] = [:]
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
        for id in gone { remove(id) }
        return gone
    }

    private mutating func remove(_ id: String) {
        if let lane = entries[id]?.flight { inFlight[lane, default: 0] -= 1 }
        entries[id] = nil
    }

    /// The pods whose time has come and for which there is a place, the most overdue first; they count as in flight.
    package mutating func due(at now: UnixTime) -> [PodFacts] {
        let waiting = entries.filter { $0.value.flight == nil && $0.value.dueAt <= now }
        guard !waiting.isEmpty else { return [] }
        var due: [PodFacts] = []
        for (id, entry) in waiting.sorted(by: { ($0.value.dueAt, $0.key) < ($1.value.dueAt, $1.key) }) {
            guard inFlight[entry.lane, default: 0] < Self.concurrencyMax else { continue }
            inFlight[entry.lane, default: 0] += 1
            entries[id]?.flight = entry.lane
            due.append(entry.facts)
        }
        return due
    }

    /// Notes that a scrape ended.
    ///
    /// - Parameter isUp: Whether the pod answered.
    @discardableResult
    package mutating func finished(_ id: String, isUp: Bool = true, at now: UnixTime) -> Bool {
        guard var entry = entries[id], let lane = entry.flight else { return false }
        inFlight[lane, default: 0] -= 1
        entry.flight = nil
        entry.lane = isUp ? .answering : .failing
        let soon = now.advanced(by: Self.terminatingIntervalMilliseconds)
        entry.dueAt = entry.facts.isTerminating ? soon : next(after: now, phase: phase(of: id))
        entries[id] = entry
        return true
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
