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
        rows.sorted {
            ($0.resource.namespace, $0.resource.name, $0.tsStats.apex, $0.tsStats.leaf)
                < ($1.resource.namespace, $1.resource.name, $1.tsStats.apex, $1.tsStats.leaf)
        }
    }

    // MARK: Table

    /// What a table of one kind shows beside the metrics.
    private struct Shape {
        let showsNamespace: Bool
        let showsPrefix: Bool
        let hasOverrides: Bool
        let hasPods: Bool
        let hasConnections: Bool
        let hasDenials: Bool

        init(_ kind: ResourceKind, _ rows: [Row], showsNamespace: Bool, hasSeveralKinds: Bool) {
            self.showsNamespace = showsNamespace && kind != .namespace
            showsPrefix = hasSeveralKinds
            hasOverrides = kind == .service && rows.contains(where: \.hasTsStats)
            let isPolicy = [.server, .serverauthorization, .authorizationpolicy, .httproute].contains(kind)
            hasPods = !isPolicy && kind != .trafficsplit
            hasConnections = (!isPolicy || kind == .server) && kind != .trafficsplit && kind != .authority
            hasDenials = kind == .server || kind == .httproute
        }
    }

    private func table(_ kind: ResourceKind, _ rows: [Row], hasSeveralKinds: Bool) -> String {
        let shape = Shape(kind, rows, showsNamespace: showsNamespace, hasSeveralKinds: hasSeveralKinds)
        var table = TabTable(columns: columns(kind, shape))
        for row in rows {
            var cells: [String] = shape.showsNamespace ? [row.resource.namespace] : []
            cells.append(shape.showsPrefix ? "\(kind.shortPrefix)/\(row.resource.name)" : row.resource.name)
            if kind == .pod { cells.append(row.status) }
            if kind == .httproute { cells.append(row.srvStats.srv.name) }
            if kind == .trafficsplit { cells += [row.tsStats.apex, row.tsStats.leaf, row.tsStats.weight] }
            if shape.hasOverrides { cells += [row.tsStats.leaf, row.tsStats.weight] }
            if shape.hasPods { cells.append(kind.ownsPods ? "\(row.meshedPodCount)/\(row.runningPodCount)" : "-") }
            if shape.hasDenials { cells.append(fixed(GoldenMetrics(row).deniedPerSecond, digits: 1) + "rps") }
            table.add(cells + metricCells(row, shape))
        }
        return table.rendered()
    }

    private func columns(_ kind: ResourceKind, _ shape: Shape) -> [TabTable.Column] {
        var columns: [TabTable.Column] = []
        if shape.showsNamespace { columns.append(.init("NAMESPACE", isLeftAligned: true)) }
        columns.append(.init("NAME", isLeftAligned: true))
        if kind == .pod { columns.append(.init("STATUS")) }
        if kind == .httproute { columns.append(.init("SERVER", isLeftAligned: true)) }
        if kind == .trafficsplit {
            columns += [.init("APEX", isLeftAligned: true), .init("LEAF", isLeftAligned: true), .init("WEIGHT")]
        }
        if shape.hasOverrides { columns += [.init("DST", isLeftAligned: true), .init("WEIGHT")] }
        if shape.hasPods { columns.append(.init("MESHED")) }
        if shape.hasDenials { columns.append(.init("UNAUTHORIZED")) }
        columns += ["SUCCESS", "RPS", "LATENCY_P50", "LATENCY_P95", "LATENCY_P99"].map { TabTable.Column($0) }
        guard shape.hasConnections else { return columns }
        columns.append(.init("TCP_CONN"))
        if output == .wide { columns += [.init("READ_BYTES/SEC"), .init("WRITE_BYTES/SEC")] }
        return columns
    }

    private func metricCells(_ row: Row, _ shape: Shape) -> [String] {
        let golden = GoldenMetrics(row)
        guard let successRate = golden.successRate else {
            let count = 5 + (shape.hasConnections ? (output == .wide ? 3 : 1) : 0)
            return Array(repeating: "-", count: count)
        }
        var cells = [
            fixed(successRate * 100, digits: 2) + "%", fixed(golden.requestsPerSecond, digits: 1) + "rps",
            "\(row.stats.latencyMsP50)ms", "\(row.stats.latencyMsP95)ms", "\(row.stats.latencyMsP99)ms",
        ]
        guard shape.hasConnections else { return cells }
        cells.append("\(row.tcpStats.openConnections)")
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
        let kind = ResourceKind(alias: row.resource.type)
        var members: [(String, JSONValue)] = [
            ("namespace", .string(row.resource.namespace)), ("kind", .string(row.resource.type)),
            ("name", .string(row.resource.name)),
        ]
        if kind?.ownsPods ?? false {
            members.append(("meshed", .string("\(row.meshedPodCount)/\(row.runningPodCount)")))
        }
        guard let successRate = golden.successRate else {
            let absent = ["success", "rps", "latency_ms_p50", "latency_ms_p95", "latency_ms_p99"]
            return members + absent.map { ($0, JSONValue.null) } + optionalMembers(row, kind)
        }
        members += [
            ("success", .double(successRate)), ("rps", .double(golden.requestsPerSecond)),
            ("latency_ms_p50", .int(Int64(clamping: row.stats.latencyMsP50))),
            ("latency_ms_p95", .int(Int64(clamping: row.stats.latencyMsP95))),
            ("latency_ms_p99", .int(Int64(clamping: row.stats.latencyMsP99))),
        ]
        if kind != .trafficsplit && kind != .authority {
            members += [
                ("tcp_open_connections", .int(Int64(clamping: row.tcpStats.openConnections))),
                ("tcp_read_bytes_rate", .double(golden.readBytesPerSecond)),
                ("tcp_write_bytes_rate", .double(golden.writeBytesPerSecond)),
            ]
        }
        return members + optionalMembers(row, kind)
    }

    private func optionalMembers(_ row: Row, _ kind: ResourceKind?) -> [(String, JSONValue)] {
        var members: [(String, JSONValue)] = []
        if row.hasTsStats, kind == .service {
            members += [("dst", .string(row.tsStats.leaf)), ("weight", .string(row.tsStats.weight))]
        } else if row.hasTsStats {
            members += [
                ("apex", .string(row.tsStats.apex)), ("leaf", .string(row.tsStats.leaf)),
                ("weight", .string(row.tsStats.weight)),
            ]
        }
        let asked = row.srvStats.allowedCount &+ row.srvStats.deniedCount
        if kind == .server, asked > 0 {
            members.append(("unauthorized", .double(Double(row.srvStats.deniedCount) / Double(asked))))
        }
        return members
    }
}

/// Rates derived from one row's counts over its window.
package struct GoldenMetrics: Sendable {
    /// In `0...1`; `nil` when the row saw no request: a quiet workload is not a failing one.
    package let successRate: Double?
    package let requestsPerSecond: Double
    package let readBytesPerSecond: Double
    package let writeBytesPerSecond: Double
    /// Requests that policy refused. Linkerd prints a share with this unit.
    package let deniedPerSecond: Double

    package init(_ row: StatTable.Row) {
        let total = row.stats.successCount + row.stats.failureCount
        let seconds = max(GoDuration.parse(row.timeWindow)?.seconds ?? 60, 1)
        successRate = row.hasStats && total > 0 ? Double(row.stats.successCount) / Double(total) : nil
        requestsPerSecond = Double(total) / seconds
        readBytesPerSecond = Double(row.tcpStats.readBytesTotal) / seconds
        writeBytesPerSecond = Double(row.tcpStats.writeBytesTotal) / seconds
        deniedPerSecond = Double(row.srvStats.deniedCount) / seconds
    }
}

extension ResourceKind {
    /// Whether its rows count pods.
    fileprivate var ownsPods: Bool { isWorkload || self == .namespace }

    /// What stands before the slash when several kinds are listed; empty for kinds without a short form.
    fileprivate var shortPrefix: String {
        switch self {
        case .authority: "au"
        case .cronjob: "cj"
        case .daemonset: "ds"
        case .deployment: "deploy"
        case .namespace: "ns"
        case .pod: "po"
        case .replicaset: "rs"
        case .replicationcontroller: "rc"
        case .service: "svc"
        case .statefulset: "sts"
        case .trafficsplit: "ts"
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
