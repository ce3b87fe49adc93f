// Two windows side by side as the table and the JSON of `linkerd viz compare`. Pure: responses in, text out.

package import MeshAPI
import MeshModel

/// Renders what changed between two windows.
package struct CompareTable: Sendable {
    /// Changes smaller than these are noise: a point of success rate, a fifth of p99.
    static let successChangeMin = 0.01
    static let latencyChangeMin = 0.2

    private let output: StatOutput
    private let showsNamespace: Bool

    package init(output: StatOutput, showsNamespace: Bool) {
        self.output = output
        self.showsNamespace = showsNamespace
    }

    private struct Side {
        let success: Double?
        let perSecond: Double
        let p50: UInt64
        let p95: UInt64
        let p99: UInt64

        init(_ stats: Linkerd2_Viz_BasicStats, seconds: Double) {
            let total = stats.successCount &+ stats.failureCount
            success = total > 0 ? Double(stats.successCount) / Double(total) : nil
            perSecond = Double(total) / max(seconds, 1)
            (p50, p95, p99) = (stats.latencyMsP50, stats.latencyMsP95, stats.latencyMsP99)
        }

        var cells: [String] {
            guard let success else { return ["-", "-", "-"] }
            return [fixed(success * 100, digits: 2) + "%", fixed(perSecond, digits: 1) + "rps", "\(p99)ms"]
        }
    }

    private typealias Row = (row: Linkerd2_Viz_History_CompareResponse.Row, before: Side, after: Side)

    /// The text for standard output; empty when a table would have no row.
    package func rendered(_ responses: [Linkerd2_Viz_History_CompareResponse]) -> String {
        let rows: [Row] = responses.flatMap { response in
            response.rows.map { row in
                let before = Double(response.beforeEndMs - response.beforeStartMs) / 1_000
                let after = Double(response.afterEndMs - response.afterStartMs) / 1_000
                return (row, Side(row.before, seconds: before), Side(row.after, seconds: after))
            }
        }
        if output == .json { return json(rows) }
        guard let windows = responses.first, !rows.isEmpty else { return "" }
        return heading(windows) + text(rows)
    }

    private func heading(_ response: Linkerd2_Viz_History_CompareResponse) -> String {
        func window(_ start: Int64, _ end: Int64) -> String {
            "\(PastTime.text(milliseconds: start)) to \(PastTime.text(milliseconds: end)) UTC"
        }
        return "before: \(window(response.beforeStartMs, response.beforeEndMs))\n"
            + "after:  \(window(response.afterStartMs, response.afterEndMs))\n\n"
    }

    private func text(_ rows: [Row]) -> String {
        let hasSeveralKinds = Set(rows.map(\.row.resource.type)).count > 1
        var columns: [TabTable.Column] = showsNamespace ? [.init("NAMESPACE", isLeftAligned: true)] : []
        columns.append(.init("NAME", isLeftAligned: true))
        columns += ["SUCCESS", "→", "RPS", "→", "LATENCY_P99", "→"].map { TabTable.Column($0) }
        columns.append(.init("CHANGE", isLeftAligned: true))
        var table = TabTable(columns: columns)
        for (row, before, after) in rows {
            var cells = showsNamespace ? [row.resource.namespace] : []
            cells.append(hasSeveralKinds ? "\(row.resource.type)/\(row.resource.name)" : row.resource.name)
            cells += zip(before.cells, after.cells).flatMap { [$0, $1] }
            table.add(cells + [Self.change(before, after)])
        }
        return table.rendered()
    }

    /// What got better or worse, in words.
    private static func change(_ before: Side, _ after: Side) -> String {
        guard let old = before.success else { return after.success == nil ? "" : "new" }
        guard let new = after.success else { return "gone" }
        var worse: [String] = []
        var better: [String] = []
        if (new - old).magnitude >= successChangeMin {
            let points = fixed((new - old).magnitude * 100, digits: 2)
            if new < old { worse.append("success -\(points)%") } else { better.append("success +\(points)%") }
        }
        let ratio = Double(after.p99) / max(Double(before.p99), 1)
        if (ratio - 1).magnitude >= latencyChangeMin, before.p99 > 1 || after.p99 > 1 {
            let text = "p99 ×\(fixed(ratio, digits: 1))"
            if ratio > 1 { worse.append(text) } else { better.append(text) }
        }
        let groups = [("worse", worse), ("better", better)].filter { !$0.1.isEmpty }
        return groups.map { "\($0.0): " + $0.1.joined(separator: ", ") }.joined(separator: "; ")
    }

    private func json(_ rows: [Row]) -> String {
        if rows.isEmpty { return "[]\n" }
        let objects = rows.map { row, before, after in
            let members: [(String, String)] = [
                ("namespace", JSONValue.string(row.resource.namespace).jsonText),
                ("kind", JSONValue.string(row.resource.type).jsonText),
                ("name", JSONValue.string(row.resource.name).jsonText),
                ("before", Self.json(before)), ("after", Self.json(after)),
            ]
            return "  {\n" + members.map { "    \"\($0)\": \($1)" }.joined(separator: ",\n") + "\n  }"
        }
        return "[\n" + objects.joined(separator: ",\n") + "\n]\n"
    }

    private static func json(_ side: Side) -> String {
        guard let success = side.success else { return "null" }
        let members: [(String, JSONValue)] = [
            ("success", .double(success)), ("rps", .double(side.perSecond)),
            ("latency_ms_p50", .int(Int64(clamping: side.p50))), ("latency_ms_p95", .int(Int64(clamping: side.p95))),
            ("latency_ms_p99", .int(Int64(clamping: side.p99))),
        ]
        return "{" + members.map { "\"\($0)\": \($1.jsonText)" }.joined(separator: ", ") + "}"
    }
}
