// `top --at`: the table of live requests for a past window, from samples. Pure: flags in, a request out; an answer in,
// text out.

package import MeshAPI
import MeshModel
import SwiftProtobuf

extension TapSelection {
    /// Resources that samples are kept by.
    private static let sampled = targets.subtracting([.pod, .replicaset])

    /// The request that `top --at` makes of these flags.
    ///
    /// - Throws: `ArgumentMistake`, also for flags that ask what samples do not know.
    package func pastTop(
        _ arguments: [String], contextNamespace: String, window: WindowOption
    ) throws(ArgumentMistake) -> Linkerd2_Viz_History_TopRequest {
        let unknown = [
            ("--max-rps", maxRps != 100), ("--scheme", !scheme.isEmpty), ("--authority", !authority.isEmpty),
            ("--selector", !selector.isEmpty), ("--status", !status.isEmpty), ("--grpc-status", !grpcStatus.isEmpty),
            ("--class", !`class`.isEmpty), ("--latency-above", !latencyAbove.isEmpty), ("--tls", !tls.isEmpty),
            ("--header", !header.isEmpty), ("--response-header", !responseHeader.isEmpty),
        ].filter(\.1).map(\.0)
        guard unknown.isEmpty else {
            throw ArgumentMistake("\(unknown.joined(separator: ", ")): samples of the past do not know it; leave it out")
        }
        guard (1...2).contains(arguments.count) else {
            throw ArgumentMistake("accepts between 1 and 2 arg(s), received \(arguments.count)")
        }
        let own = namespace ?? contextNamespace
        var request = Linkerd2_Viz_History_TopRequest()
        request.resource = try Self.sampledResource(arguments.joined(separator: "/"), namespace: own)
        if let far = try Self.sampledFarEnd(to, namespace: toNamespace, own: own) { request.toResource = far }
        request.window = window.text
        request.atMs = window.endMilliseconds
        request.method = method.uppercased()
        request.path = path
        return request
    }

    /// What `--to` and `--to-namespace` name; `nil` without either.
    static func sampledFarEnd(
        _ text: String, namespace: String, own: String
    ) throws(ArgumentMistake) -> Linkerd2_Viz_Resource? {
        guard !text.isEmpty || !namespace.isEmpty else { return nil }
        let far = namespace.isEmpty ? own : namespace
        return try sampledResource(text.isEmpty ? "namespace/\(far)" : text, namespace: far)
    }

    /// A workload or namespace, as requests about samples name it.
    static func sampledResource(
        _ text: String, namespace: String
    ) throws(ArgumentMistake) -> Linkerd2_Viz_Resource {
        let resource = try ResourceArguments.parse(text)
        guard sampled.contains(resource.kind) else {
            throw ArgumentMistake(
                "samples are kept by workload, not by \(resource.kind.name): give a deployment, another workload or a namespace")
        }
        return .with {
            $0.type = resource.kind.name
            $0.name = resource.kind == .namespace && resource.name.isEmpty ? namespace : resource.name
            $0.namespace = resource.kind == .namespace ? "" : namespace
        }
    }
}

/// Renders an answer of `Top`.
package struct PastTopTable: Sendable {
    private let response: Linkerd2_Viz_History_TopResponse
    private let shape: TopShape
    /// Workloads elsewhere are shown with their namespace.
    private let namespace: String

    package init(_ response: Linkerd2_Viz_History_TopResponse, shape: TopShape, namespace: String) {
        self.response = response
        self.shape = shape
        self.namespace = namespace
    }

    /// The table, its heading first; empty when nothing was sampled.
    package var table: String {
        guard !response.rows.isEmpty else { return "" }
        let text = TopScreen.columns(shape.columns, rows)
        return ([text.heading] + text.rows).map { $0 + "\n" }.joined()
    }

    /// How much of the window the table rests on, and which it is.
    package var notice: String {
        let window = "\(PastTime.text(milliseconds: response.startMs)) to \(PastTime.text(milliseconds: response.endMs)) UTC"
        guard !response.rows.isEmpty else { return "No requests were sampled from \(window)." }
        let sampled = response.rows.reduce(0) { $0 + $1.stats.successCount + $1.stats.failureCount }
        let all = response.rows.reduce(0) { $0 + $1.estimatedCount }
        let share = fixed(Double(sampled) / Double(max(all, 1)) * 100, digits: 1)
        return "\(sampled) of \(sampled == all ? "" : "about ")\(all) requests were sampled (\(share)%), from \(window)."
    }

    /// Rows of equal columns are one; most requests first.
    package var rows: [TopRow] {
        var order: [[String]] = []
        var merged: [[String]: [Linkerd2_Viz_History_TopResponse.Row]] = [:]
        for row in response.rows {
            let key = [shape.hidesSources ? "" : name(row.src), name(row.dst), row.method, row.path]
            if merged[key] == nil { order.append(key) }
            merged[key, default: []].append(row)
        }
        let rows = order.map { key in Self.row(key, merged[key] ?? []) }
        return rows.sorted { ($1.count, $0.destination, $0.path) < ($0.count, $1.destination, $1.path) }
    }

    private static func row(_ key: [String], _ parts: [Linkerd2_Viz_History_TopResponse.Row]) -> TopRow {
        var row = TopRow(source: key[0], destination: key[1], method: key[2], path: key[3], route: "")
        let successes = parts.reduce(0) { $0 + $1.stats.successCount }
        let sampled = parts.reduce(successes) { $0 + $1.stats.failureCount }
        row.count = parts.reduce(0) { $0 + $1.estimatedCount }
        row.sampledCount = sampled
        row.successes = successes
        row.best = .microseconds(parts.map(\.bestUs).min() ?? 0)
        row.worst = .microseconds(parts.map(\.worstUs).max() ?? 0)
        row.last = .microseconds(parts.map(\.lastUs).max() ?? 0)
        return row
    }

    private func name(_ resource: Linkerd2_Viz_Resource) -> String { resource.sampledName(in: namespace) }

    /// An array of objects, and the window around it.
    package var json: String {
        let rows = rows.map { row in
            var members: [(String, String)] = shape.hidesSources ? [] : [("source", JSONValue.string(row.source).jsonText)]
            members += [
                ("destination", JSONValue.string(row.destination).jsonText),
                ("method", JSONValue.string(row.method).jsonText), ("path", JSONValue.string(row.path).jsonText),
                ("count", "\(row.count)"), ("sampled_count", "\(row.sampledCount ?? row.count)"),
                ("best_us", "\(Self.micros(row.best))"), ("worst_us", "\(Self.micros(row.worst))"),
                ("last_us", "\(Self.micros(row.last))"), ("success", fixed(row.successRate, digits: 4)),
            ]
            return "    {" + members.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}"
        }
        let list = rows.isEmpty ? "[]" : "[\n" + rows.joined(separator: ",\n") + "\n  ]"
        return "{\n  \"start_ms\": \(response.startMs),\n  \"end_ms\": \(response.endMs),\n  \"rows\": \(list)\n}\n"
    }

    private static func micros(_ duration: Duration) -> Int64 { Int64((duration / .microseconds(1)).rounded()) }
}

extension Linkerd2_Viz_Resource {
    /// A workload as tables of samples show it: `deployment/web`, with its namespace when that is another one.
    func sampledName(in own: String) -> String {
        switch type {
        case "": "(unknown)"
        case "other": "(other)"
        default: "\(type)/\(name)" + (namespace == own || namespace.isEmpty ? "" : ".\(namespace)")
        }
    }
}
