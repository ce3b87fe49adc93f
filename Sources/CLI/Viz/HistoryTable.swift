// Series as sparklines: `linkerd viz history`. Pure: series in, text out.

package import MeshAPI
import MeshModel

/// Renders one line per resource.
package struct HistoryTable: Sendable {
    /// What is drawn.
    package enum Metric: String, CaseIterable, Sendable {
        case rps, success, p50, p95, p99, connections, bytes
    }

    /// One resource.
    package struct Line: Sendable {
        package let name: String
        package let series: Linkerd2_Viz_History_SeriesResponse

        package init(name: String, series: Linkerd2_Viz_History_SeriesResponse) {
            self.name = name
            self.series = series
        }
    }

    private typealias Bucket = Linkerd2_Viz_History_SeriesResponse.Bucket
    private static let levels = Array("▁▂▃▄▅▆▇█")

    private let metric: Metric
    private let output: StatOutput
    private let width: Int

    /// - Parameter width: Characters of a sparkline at most.
    package init(metric: Metric, output: StatOutput, width: Int) {
        self.metric = metric
        self.output = output
        self.width = width
    }

    /// The text for standard output; empty without lines.
    package func rendered(_ lines: [Line]) -> String {
        if output == .json { return json(lines) }
        guard !lines.isEmpty else { return "" }
        var table = TabTable(
            columns: [
                .init("NAME", isLeftAligned: true), .init(metric.rawValue.uppercased(), isLeftAligned: true),
                .init("MIN"), .init("MAX"), .init("LAST"),
            ])
        for line in lines {
            let values = line.series.buckets.map { value($0, line.series.stepMs) }
            let known = values.compactMap { $0 }
            let last = known.last
            let cells = [known.min(), known.max(), last].map { $0.map(text) ?? "-" }
            table.add([line.name, sparkline(values, line.series.buckets)] + cells)
        }
        return heading(lines) + table.rendered()
    }

    private func heading(_ lines: [Line]) -> String {
        guard let series = lines.first?.series, let first = series.buckets.first, let last = series.buckets.last else {
            return ""
        }
        let from = PastTime.text(milliseconds: first.startMs)
        let to = PastTime.text(milliseconds: last.startMs + series.stepMs)
        let step = GoDuration.format(.milliseconds(series.stepMs * mergedCount(series.buckets.count)))
        return "\(from) to \(to) UTC, \(step) a character\n\n"
    }

    /// Buckets that one character stands for.
    private func mergedCount(_ count: Int) -> Int64 { Int64(max(1, (count + width - 1) / width)) }

    /// The bucket's value; `nil` where there is none to draw.
    private func value(_ bucket: Bucket, _ stepMs: Int64) -> Double? {
        guard bucket.hasData_p else { return nil }
        let total = bucket.successCount &+ bucket.failureCount
        let seconds = max(Double(stepMs) / 1_000, 1)
        switch metric {
        case .rps: return Double(total) / seconds
        case .success: return total > 0 ? Double(bucket.successCount) / Double(total) : nil
        case .p50: return total > 0 ? Double(bucket.latencyMsP50) : nil
        case .p95: return total > 0 ? Double(bucket.latencyMsP95) : nil
        case .p99: return total > 0 ? Double(bucket.latencyMsP99) : nil
        case .connections: return Double(bucket.openConnections)
        case .bytes: return Double(bucket.readBytes &+ bucket.writeBytes) / seconds
        }
    }

    private func text(_ value: Double) -> String {
        switch metric {
        case .rps: fixed(value, digits: 1) + "rps"
        case .success: fixed(value * 100, digits: 2) + "%"
        case .p50, .p95, .p99: "\(Int64(value))ms"
        case .connections: "\(Int64(value))"
        case .bytes: fixed(value, digits: 1) + "B/s"
        }
    }

    /// A character per bucket, or per group of them: what stands out most in a group is shown, the worst for success.
    private func sparkline(_ values: [Double?], _ buckets: [Bucket]) -> String {
        let merged = Int(mergedCount(values.count))
        let known = values.compactMap { $0 }
        // Rates and latencies begin at zero; a success rate is told by how far it fell.
        let low = metric == .success ? min(known.min() ?? 0, 0.99) : 0
        let high = metric == .success ? 1 : known.max() ?? 0
        return stride(from: 0, to: values.count, by: merged).map { start -> String in
            let range = start..<min(start + merged, values.count)
            guard range.contains(where: { buckets[$0].hasData_p }) else { return " " }
            let group = range.compactMap { values[$0] }
            guard let value = metric == .success ? group.min() : group.max() else { return "·" }
            if metric != .success, value == 0 { return "·" }
            let share = high > low ? (value - low) / (high - low) : 1
            let level = Int((share * Double(Self.levels.count - 1)).rounded())
            return String(Self.levels[min(max(level, 0), Self.levels.count - 1)])
        }.joined()
    }

    private func json(_ lines: [Line]) -> String {
        if lines.isEmpty { return "[]\n" }
        let objects = lines.map { line in
            let points = line.series.buckets.map { bucket in
                let value = value(bucket, line.series.stepMs).map { JSONValue.double($0).jsonText } ?? "null"
                return "[\(bucket.startMs), \(value)]"
            }
            let members = [
                "    \"name\": \(JSONValue.string(line.name).jsonText)",
                "    \"metric\": \"\(metric.rawValue)\"", "    \"step_ms\": \(line.series.stepMs)",
                "    \"points\": [\(points.joined(separator: ", "))]",
            ]
            return "  {\n" + members.joined(separator: ",\n") + "\n  }"
        }
        return "[\n" + objects.joined(separator: ",\n") + "\n]\n"
    }
}
