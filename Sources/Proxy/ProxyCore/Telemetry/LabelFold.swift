// What becomes of a label set when there are too many: labels with few values stay, the others say `other`, so
// that sums by direction, error or TLS state are right whatever a client makes up.

/// Folds rendered label sets.
enum LabelFold {
    /// Labels whose values are a small closed set.
    private static let kept: Set<String> = [
        "direction", "peer", "tls", "no_tls_reason", "status_code", "error", "errno", "classification", "grpc_status",
        "skipped", "protocol", "session_protocol", "result", "srv_group", "srv_kind", "route_group", "route_kind",
        "authz_group", "authz_kind",
    ]
    /// Labels whose very names are somebody else's choice.
    private static let droppedPrefixes = ["dst_", "rt_"]

    /// The label set without what is unbounded. Cold: only when a kind of series is full.
    static func fold(_ labels: String) -> String {
        var folded: [String] = []
        for (name, value) in pairs(labels) {
            if droppedPrefixes.contains(where: { name.hasPrefix($0) }) { continue }
            folded.append(kept.contains(String(name)) ? "\(name)=\"\(value)\"" : "\(name)=\"other\"")
        }
        return folded.joined(separator: ",")
    }

    /// Names and values as they are rendered, escapes and all.
    static func pairs(_ labels: String) -> [(name: Substring, value: Substring)] {
        var found: [(name: Substring, value: Substring)] = []
        var rest = Substring(labels)
        while let equals = rest.firstIndex(of: "=") {
            let name = rest[..<equals].drop { $0 == "," }
            let start = rest.index(equals, offsetBy: 2, limitedBy: rest.endIndex) ?? rest.endIndex
            var end = start
            while end < rest.endIndex, rest[end] != "\"" {
                end = rest.index(after: end)
                if rest[rest.index(before: end)] == "\\", end < rest.endIndex { end = rest.index(after: end) }
            }
            found.append((name, rest[start..<end]))
            rest = end < rest.endIndex ? rest[rest.index(after: end)...] : rest[rest.endIndex...]
        }
        return found
    }
}
