import MeshMetrics
import MeshModel
import MeshRollup

/// Shows what became of the scrapes of each pod: `/targets` as JSON, and the same as metrics.
enum TargetReport {
    /// Targets that `/metrics` names; in a larger mesh only those with problems are, up to as many.
    static let namedTargetsMax = 1_000

    /// `{"targets": […], "up": n, "faulty": n, "down": n, "unknown": n}`; times are seconds.
    static func json(_ statuses: [TargetStatus], now: UnixTime) -> [UInt8] {
        var fields: [String: JSONValue] = ["targets": .array(statuses.map { target($0, now) })]
        for (health, count) in counts(statuses) { fields[health.rawValue] = .int(Int64(count)) }
        return JSONValue.object(fields).serialized()
    }

    private static func target(_ status: TargetStatus, _ now: UnixTime) -> JSONValue {
        var fields: [String: JSONValue] = [
            "namespace": .string(status.namespace), "pod": .string(status.pod), "address": .string(status.address),
            "health": .string(status.health.rawValue), "problems": .array(status.problems.map { .string($0) }),
            "failures": .int(Int64(status.failures)), "bytes": .int(Int64(status.bytes)),
            "series": .int(Int64(status.series)),
            "milliseconds": .int(status.milliseconds),
        ]
        if let at = status.scrapedAt { fields["secondsSinceScrape"] = .double(Double(now.since(at)) / 1_000) }
        return .object(fields)
    }

    static func counts(_ statuses: [TargetStatus]) -> [TargetStatus.Health: Int] {
        var counts: [TargetStatus.Health: Int] = [.up: 0, .faulty: 0, .down: 0, .unknown: 0]
        for status in statuses { counts[status.health, default: 0] += 1 }
        return counts
    }

    /// Appends `viz_targets` and `viz_target_up` with its neighbours.
    static func write(_ statuses: [TargetStatus], to writer: inout ExpositionWriter) {
        writer.family("viz_targets", help: "Pods to scrape, by how they fare.", type: .gauge)
        for (health, count) in counts(statuses).sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            writer.sample("viz_targets", labels: [("health", health.rawValue)], value: UInt64(count))
        }
        let troubled = statuses.filter { $0.health != .up }
        let named = (statuses.count <= namedTargetsMax ? statuses : troubled).prefix(namedTargetsMax).map {
            (ExpositionWriter.labelText([("target_namespace", $0.namespace), ("target_pod", $0.pod)]), $0)
        }
        guard !named.isEmpty else { return }
        func gauge(_ name: String, _ help: String, _ value: (TargetStatus) -> Int64) {
            writer.family(name, help: help, type: .gauge)
            for (labels, status) in named { writer.sample(name, labelText: labels, value: value(status)) }
        }
        gauge("viz_target_up", "1 when the last scrape was taken in.") { $0.health == .up || $0.health == .faulty ? 1 : 0 }
        gauge("viz_target_problems", "Things wrong with the last scrape; /targets names them.") {
            Int64($0.problems.count)
        }
        gauge("viz_target_series", "Series of the target.") { Int64($0.series) }
        writer.family("viz_target_scrape_seconds", help: "Duration of the last scrape.", type: .gauge)
        for (labels, status) in named {
            writer.sample("viz_target_scrape_seconds", labelText: labels, value: Double(status.milliseconds) / 1_000)
        }
    }
}
