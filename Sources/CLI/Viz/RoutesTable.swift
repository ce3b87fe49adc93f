// Route tables as the text and the JSON of `linkerd viz routes`. Pure: tables in, text out.

package import MeshAPI
import MeshModel

/// Renders traffic by route.
package struct RoutesTable: Sendable {
    private typealias Row = Linkerd2_Viz_RouteTable.Row

    private let output: StatOutput
    private let isOutbound: Bool

    /// - Parameter isOutbound: Whether clients were asked: then attempts are known beside what was left after retries.
    package init(output: StatOutput, isOutbound: Bool) {
        self.output = output
        self.isOutbound = isOutbound
    }

    /// The text for standard output.
    package func rendered(_ tables: [Linkerd2_Viz_RouteTable]) -> String {
        let tables = tables.sorted { $0.resource < $1.resource }
        if output == .json { return json(tables) }
        return tables.map { table in
            let heading = tables.count > 1 ? "==> \(table.resource) <==\n" : ""
            return heading + text(sorted(table.rows)) + "\n"
        }.joined()
    }

    private func sorted(_ rows: [Row]) -> [Row] {
        rows.sorted { $0.authority + $0.route < $1.authority + $1.route }
    }

    private func text(_ rows: [Row]) -> String {
        var headings = ["SERVICE"]
        headings +=
            output == .wide
            ? ["EFFECTIVE_SUCCESS", "EFFECTIVE_RPS", "ACTUAL_SUCCESS", "ACTUAL_RPS"] : ["SUCCESS", "RPS"]
        headings += ["LATENCY_P50", "LATENCY_P95", "LATENCY_P99"]
        var table = TabTable(
            columns: [TabTable.Column("ROUTE", isLeftAligned: true)] + headings.map { TabTable.Column($0) })
        for row in rows {
            let effective = RouteRates(row.stats.successCount, row.stats.failureCount, row.timeWindow)
            let actual = RouteRates(row.stats.actualSuccessCount, row.stats.actualFailureCount, row.timeWindow)
            var cells = [row.route, row.authority] + effective.cells
            if output == .wide { cells += actual.cells }
            let latencies = [row.stats.latencyMsP50, row.stats.latencyMsP95, row.stats.latencyMsP99]
            cells += latencies.map { effective.success == nil ? "-" : "\($0)ms" }
            table.add(cells)
        }
        return table.rendered()
    }

    private func json(_ tables: [Linkerd2_Viz_RouteTable]) -> String {
        if tables.isEmpty { return "{}\n" }
        let entries = tables.map { table in
            let rows = sorted(table.rows).map { row in
                let members = members(row).map { "      \"\($0.0)\": \($0.1.jsonText)" }
                return "    {\n" + members.joined(separator: ",\n") + "\n    }"
            }
            let list = rows.isEmpty ? "[]" : "[\n" + rows.joined(separator: ",\n") + "\n  ]"
            return "  \(JSONValue.string(table.resource).jsonText): " + list
        }
        return "{\n" + entries.joined(separator: ",\n") + "\n}\n"
    }

    private func members(_ row: Row) -> [(String, JSONValue)] {
        let effective = RouteRates(row.stats.successCount, row.stats.failureCount, row.timeWindow)
        let actual = RouteRates(row.stats.actualSuccessCount, row.stats.actualFailureCount, row.timeWindow)
        var members: [(String, JSONValue)] = [
            ("route", .string(row.route)), ("authority", .string(row.authority)),
        ]
        if isOutbound {
            members += [
                ("effective_success", .double(effective.success ?? 0)), ("effective_rps", .double(effective.perSecond)),
                ("actual_success", .double(actual.success ?? 0)), ("actual_rps", .double(actual.perSecond)),
            ]
        } else {
            members += [("success", .double(effective.success ?? 0)), ("rps", .double(effective.perSecond))]
        }
        return members + [
            ("latency_ms_p50", .int(Int64(clamping: row.stats.latencyMsP50))),
            ("latency_ms_p95", .int(Int64(clamping: row.stats.latencyMsP95))),
            ("latency_ms_p99", .int(Int64(clamping: row.stats.latencyMsP99))),
        ]
    }
}

/// Success and rate of counts over a window.
private struct RouteRates {
    /// `nil` without traffic.
    let success: Double?
    let perSecond: Double

    init(_ successes: UInt64, _ failures: UInt64, _ window: String) {
        let total = successes &+ failures
        success = total > 0 ? Double(successes) / Double(total) : nil
        perSecond = Double(total) / max(GoDuration.parse(window)?.seconds ?? 60, 1)
    }

    var cells: [String] {
        guard let success else { return ["-", "-"] }
        return [fixed(success * 100, digits: 2) + "%", fixed(perSecond, digits: 1) + "rps"]
    }
}
