// Rows of StatSummary responses as the tables and the JSON of `linkerd viz stat`. Pure: responses in, text out.

package import MeshAPI
import MeshModel

/// Renders what metrics-api answered.
package struct StatTable: Sendable {
    package typealias Row = Linkerd2_Viz_StatTable.PodGroup.Row

    private let output: StatOutput
    private let showsNamespace: Bool
    private let showsUnmeshed: Bool

    /// - Parameter showsUnmeshed: Also shows owners of pods none of which is meshed.
    package init(output: StatOutput, showsNamespace: Bool, showsUnmeshed: Bool) {
        self.output = output
        self.showsNamespace = showsNamespace
        self.showsUnmeshed = showsUnmeshed
    }

    /// The text for standard output; empty when a table would have no row.
    package func rendered(_ rows: [Row]) -> String {
        let visible = rows.filter(isVisible)
        let byKind = Dictionary(grouping: visible) { ResourceKind(alias: $0.resource.type) ?? .all }
        let kinds = byKind.keys.sorted { $0.name < $1.name }
        if output == .json { return json(kinds.flatMap { sorted(byKind[$0] ?? []) }) }
        return kinds.map { kind in
            table(kind, sorted(byKind[kind] ?? []), hasSeveralKinds: kinds.count > 1)
        }.joined(separator: "\n")
    }

    private func isVisible(_ row: Row) -> Bool {
        guard let kind = ResourceKind(alias: row.resource.type), kind.isWorkload || kind == .namespace else { return true }
        return showsUnmeshed || row.meshedPodCount > 0
    }

    private func sorted(_ rows: [Row]) -> [Row] {
        rows.sorted { ($0.resource.namespace, $0.resource.name) < ($1.resource.namespace, $1.resource.name) }
    }

    // MARK: Table

    private func table(_ kind: ResourceKind, _ rows: [Row], hasSeveralKinds: Bool) -> String {
        var columns: [TabTable.Column] = []
        if showsNamespace && kind != .namespace { columns.append(.init("NAMESPACE", isLeftAligned: true)) }
        columns.append(.init("NAME", isLeftAligned: true))
        if kind == .pod { columns.append(.init("STATUS")) }
        let metrics = ["MESHED", "SUCCESS", "RPS", "LATENCY_P50", "LATENCY_P95", "LATENCY_P99", "TCP_CONN"]
        columns += metrics.map { TabTable.Column($0) }
        if output == .wide { columns += [.init("READ_BYTES/SEC"), .init("WRITE_BYTES/SEC")] }
        var table = TabTable(columns: columns)
        for row in rows {
            var cells: [String] = []
            if showsNamespace && kind != .namespace { cells.append(row.resource.namespace) }
            cells.append(hasSeveralKinds ? "\(kind.shortPrefix)/\(row.resource.name)" : row.resource.name)
            if kind == .pod { cells.append(row.status) }
            cells.append(kind == .service ? "-" : "\(row.meshedPodCount)/\(row.runningPodCount)")
            table.add(cells + metricCells(row))
        }
        return table.rendered()
    }

    private func metricCells(_ row: Row) -> [String] {
        let golden = GoldenMetrics(row)
        guard let successRate = golden.successRate else {
            return Array(repeating: "-", count: output == .wide ? 8 : 6)
        }
        var cells = [
            fixed(successRate * 100, digits: 2) + "%", fixed(golden.requestsPerSecond, digits: 1) + "rps",
            "\(row.stats.latencyMsP50)ms", "\(row.stats.latencyMsP95)ms", "\(row.stats.latencyMsP99)ms",
            "\(row.tcpStats.openConnections)",
        ]
        if output == .wide {
            cells.append(fixed(golden.readBytesPerSecond, digits: 1) + "B/s")
            cells.append(fixed(golden.writeBytesPerSecond, digits: 1) + "B/s")
        }
        return cells
    }

    // MARK: JSON

    private func json(_ rows: [Row]) -> String {
        if rows.isEmpty { return "[]\n" }
        let objects = rows.map { row in
            let members = jsonMembers(row).map { "    \"\($0.0)\": \($0.1.jsonText)" }
            return "  {\n" + members.joined(separator: ",\n") + "\n  }"
        }
        return "[\n" + objects.joined(separator: ",\n") + "\n]\n"
    }

    private func jsonMembers(_ row: Row) -> [(String, JSONValue)] {
        let golden = GoldenMetrics(row)
        var members: [(String, JSONValue)] = [
            ("namespace", .string(row.resource.namespace)), ("kind", .string(row.resource.type)),
            ("name", .string(row.resource.name)),
        ]
        if row.resource.type != ResourceKind.service.name {
            members.append(("meshed", .string("\(row.meshedPodCount)/\(row.runningPodCount)")))
        }
        guard let successRate = golden.successRate else {
            let absent = ["success", "rps", "latency_ms_p50", "latency_ms_p95", "latency_ms_p99"]
            return members + absent.map { ($0, .null) }
        }
        return members + [
            ("success", .double(successRate)), ("rps", .double(golden.requestsPerSecond)),
            ("latency_ms_p50", .int(Int64(clamping: row.stats.latencyMsP50))),
            ("latency_ms_p95", .int(Int64(clamping: row.stats.latencyMsP95))),
            ("latency_ms_p99", .int(Int64(clamping: row.stats.latencyMsP99))),
            ("tcp_open_connections", .int(Int64(clamping: row.tcpStats.openConnections))),
            ("tcp_read_bytes_rate", .double(golden.readBytesPerSecond)),
            ("tcp_write_bytes_rate", .double(golden.writeBytesPerSecond)),
        ]
    }
}

/// Rates derived from one row's counts over its window.
package struct GoldenMetrics: Sendable {
    /// In `0...1`; `nil` when the row saw no request: a quiet workload is not a failing one.
    package let successRate: Double?
    package let requestsPerSecond: Double
    package let readBytesPerSecond: Double
    package let writeBytesPerSecond: Double

    package init(_ row: StatTable.Row) {
        let total = row.stats.successCount + row.stats.failureCount
        let seconds = max(GoDuration.parse(row.timeWindow)?.seconds ?? 60, 1)
        successRate = row.hasStats && total > 0 ? Double(row.stats.successCount) / Double(total) : nil
        requestsPerSecond = Double(total) / seconds
        readBytesPerSecond = Double(row.tcpStats.readBytesTotal) / seconds
        writeBytesPerSecond = Double(row.tcpStats.writeBytesTotal) / seconds
    }
}

extension ResourceKind {
    /// What stands before the slash when several kinds are listed; empty for kinds without a short form.
    fileprivate var shortPrefix: String {
        switch self {
        case .cronjob: "cj"
        case .daemonset: "ds"
        case .deployment: "deploy"
        case .namespace: "ns"
        case .pod: "po"
        case .replicaset: "rs"
        case .replicationcontroller: "rc"
        case .service: "svc"
        case .statefulset: "sts"
        default: ""
        }
    }
}

/// A number with a fixed count of digits after the point, rounded half away from zero.
package func fixed(_ value: Double, digits: Int) -> String {
    var scale: Double = 1
    for _ in 0..<digits { scale *= 10 }
    let scaled = (value * scale).rounded()
    guard scaled.magnitude < 9e15 else { return "\(value)" }
    let whole = Int64(scaled.magnitude)
    let fraction = String(whole % Int64(scale))
    let padding = String(repeating: "0", count: digits - fraction.count)
    return (scaled < 0 ? "-" : "") + "\(whole / Int64(scale))." + padding + fraction
}
