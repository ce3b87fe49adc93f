// Edges as the table and the JSON of `linkerd viz edges`. Pure: edges in, text out.

package import MeshAPI
import MeshModel

/// Renders who talks to whom, and whether they are secured.
package struct EdgesTable: Sendable {
    private let output: StatOutput

    package init(output: StatOutput) { self.output = output }

    /// The text for standard output; empty when a table would have no row.
    package func rendered(_ edges: [Linkerd2_Viz_Edge]) -> String {
        if output == .json { return json(edges) }
        if edges.isEmpty { return "" }
        var headings = ["SRC", "DST", "SRC_NS", "DST_NS"]
        if output == .wide { headings += ["CLIENT_ID", "SERVER_ID"] }
        var table = TabTable(columns: (headings + ["SECURED"]).map { .init($0, isLeftAligned: true) })
        for edge in edges {
            var cells = [edge.src.name, edge.dst.name, edge.src.namespace, edge.dst.namespace]
            if output == .wide { cells += [Self.short(edge.clientID), Self.short(edge.serverID)] }
            table.add(cells + [edge.noIdentityMsg.isEmpty ? "√" : edge.noIdentityMsg])
        }
        return table.rendered()
    }

    /// The edges of a window with what they carried, and whether they are still open.
    package func rendered(_ response: Linkerd2_Viz_History_PastEdgesResponse) -> String {
        let edges = response.edges
        if output == .json { return json(edges) }
        if edges.isEmpty { return "" }
        var headings = ["SRC", "DST", "SRC_NS", "DST_NS"]
        if output == .wide { headings += ["CLIENT_ID", "SERVER_ID"] }
        var columns = (headings + ["SECURED", "STATE", "LAST_SEEN"]).map { TabTable.Column($0, isLeftAligned: true) }
        columns += [.init("SUCCESS"), .init("REQUESTS")]
        var table = TabTable(columns: columns)
        for past in edges {
            let edge = past.edge
            var cells = [edge.src.name, edge.dst.name, edge.src.namespace, edge.dst.namespace]
            if output == .wide { cells += [Self.short(edge.clientID), Self.short(edge.serverID)] }
            cells.append(edge.noIdentityMsg.isEmpty ? "√" : edge.noIdentityMsg)
            cells.append(past.isOpen ? "open" : "closed")
            cells.append(past.lastSeenMs > 0 ? PastTime.text(milliseconds: past.lastSeenMs) : "-")
            let total = past.stats.successCount &+ past.stats.failureCount
            cells.append(total > 0 ? fixed(Double(past.stats.successCount) / Double(total) * 100, digits: 2) + "%" : "-")
            table.add(cells + [total > 0 ? "\(total)" : "-"])
        }
        return table.rendered()
    }

    private func json(_ edges: [Linkerd2_Viz_History_PastEdgesResponse.PastEdge]) -> String {
        objects(
            edges.map { past in
                members(past.edge) + [
                    ("state", JSONValue.string(past.isOpen ? "open" : "closed").jsonText),
                    ("last_seen_ms", "\(past.lastSeenMs)"), ("success_count", "\(past.stats.successCount)"),
                    ("failure_count", "\(past.stats.failureCount)"),
                ]
            })
    }

    private func json(_ edges: [Linkerd2_Viz_Edge]) -> String { objects(edges.map(members)) }

    private func members(_ edge: Linkerd2_Viz_Edge) -> [(String, String)] {
        let members = [
            ("src", edge.src.name), ("src_namespace", edge.src.namespace), ("dst", edge.dst.name),
            ("dst_namespace", edge.dst.namespace), ("client_id", Self.short(edge.clientID)),
            ("server_id", Self.short(edge.serverID)), ("no_tls_reason", edge.noIdentityMsg),
        ]
        return members.map { ($0.0, JSONValue.string($0.1).jsonText) }
    }

    private func objects(_ edges: [[(String, String)]]) -> String {
        if edges.isEmpty { return "[]\n" }
        let objects = edges.map { members in
            "  {\n" + members.map { "    \"\($0.0)\": \($0.1)" }.joined(separator: ",\n") + "\n  }"
        }
        return "[\n" + objects.joined(separator: ",\n") + "\n]\n"
    }

    /// An identity's first two labels: `web.emojivoto`.
    private static func short(_ identity: String) -> String {
        identity.split(separator: ".").prefix(2).joined(separator: ".")
    }
}
