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

    private func json(_ edges: [Linkerd2_Viz_Edge]) -> String {
        if edges.isEmpty { return "[]\n" }
        let objects = edges.map { edge in
            let members: [(String, String)] = [
                ("src", edge.src.name), ("src_namespace", edge.src.namespace), ("dst", edge.dst.name),
                ("dst_namespace", edge.dst.namespace), ("client_id", Self.short(edge.clientID)),
                ("server_id", Self.short(edge.serverID)), ("no_tls_reason", edge.noIdentityMsg),
            ]
            let lines = members.map { "    \"\($0.0)\": \(JSONValue.string($0.1).jsonText)" }
            return "  {\n" + lines.joined(separator: ",\n") + "\n  }"
        }
        return "[\n" + objects.joined(separator: ",\n") + "\n]\n"
    }

    /// An identity's first two labels: `web.emojivoto`.
    private static func short(_ identity: String) -> String {
        identity.split(separator: ".").prefix(2).joined(separator: ".")
    }
}
