// The expressions that a Prometheus-compatible server is asked: Linkerd's, with two differences. Latencies come
// from `rate` over the whole window instead of `irate` over its last two samples, which made them jump; and
// services are told by `dst_service`, which proxies set from discovery, instead of by a pattern over authorities,
// which misses short host names. Pure: questions in, text out.

import MeshModel
import MeshRollup

/// A set of label matchers, written in the order of their labels.
struct LabelMatchers: Sendable, Equatable {
    private var items: [String: String] = [:]

    init(_ equal: KeyValuePairs<String, String> = [:]) { for (label, value) in equal { self[label] = value } }

    /// An equality matcher; an empty value means none.
    subscript(label: String) -> String? {
        get { items[label] }
        set { items[label] = newValue.flatMap { $0.isEmpty ? nil : "=\(Self.quoted($0))" } }
    }

    /// Requires the label to be there.
    mutating func requirePresent(_ label: String) { items[label] = "!=\"\"" }

    /// Requires the label to be absent or empty.
    mutating func requireAbsent(_ label: String) { items[label] = "=\"\"" }

    /// Requires the whole value to match a regular expression.
    mutating func match(_ label: String, _ pattern: String) { items[label] = "=~\(Self.quoted(pattern))" }

    /// With the matchers of `other` added.
    func merged(_ other: LabelMatchers) -> LabelMatchers {
        var merged = self
        merged.items.merge(other.items) { _, new in new }
        return merged
    }

    /// `{a="b", c=~"d"}`.
    var text: String {
        "{" + items.sorted { $0.key < $1.key }.map { $0.key + $0.value }.joined(separator: ", ") + "}"
    }

    /// A PromQL string; its escapes are Go's.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    /// A literal inside a regular expression.
    static func regexEscaped(_ text: String) -> String {
        text.reduce(into: "") { escaped, character in
            if "\\.+*?()|[]{}^$".contains(character) { escaped.append("\\") }
            escaped.append(character)
        }
    }
}

/// Builds expressions.
enum PromQL {
    /// The quantiles that every table shows.
    static let quantiles = [0.5, 0.95, 0.99]

    /// A window as a range: whole seconds, at least one.
    static func range(_ milliseconds: Int64) -> String { "\(max(1, milliseconds / 1_000))s" }

    static func increase(_ metric: String, _ matchers: LabelMatchers, _ range: String, by groups: [String]) -> String {
        "sum(increase(\(metric)\(matchers.text)[\(range)])) by (\(groups.joined(separator: ", ")))"
    }

    static func quantile(
        _ quantile: Double, _ metric: String, _ matchers: LabelMatchers, _ range: String, by groups: [String]
    ) -> String {
        let by = (["le"] + groups).joined(separator: ", ")
        return "histogram_quantile(\(quantile), sum(rate(\(metric)\(matchers.text)[\(range)])) by (\(by)))"
    }

    static func sum(_ metric: String, _ matchers: LabelMatchers, by groups: [String]) -> String {
        "sum(\(metric)\(matchers.text)) by (\(groups.joined(separator: ", ")))"
    }

    /// What names an object on its own proxy's series: namespace and kind.
    static func own(_ end: TrafficEnd) -> LabelMatchers {
        if end.kind == .namespace { return LabelMatchers(["namespace": end.name]) }
        var matchers = LabelMatchers(["namespace": end.namespace])
        matchers[end.kind.metricLabel] = end.name
        return matchers
    }

    /// What names an object at the far end of its clients' series.
    static func far(_ end: TrafficEnd) -> LabelMatchers {
        switch end.kind {
        case .namespace: return LabelMatchers(["dst_namespace": end.name])
        case .authority: return LabelMatchers(["authority": end.name])
        default:
            var matchers = LabelMatchers(["dst_namespace": end.namespace])
            matchers["dst_" + end.kind.metricLabel] = end.name
            return matchers
        }
    }
}

/// The matchers and groups of a question about objects.
struct TrafficShape: Sendable, Equatable {
    var matchers: LabelMatchers
    /// Label of the objects' namespace; `nil` for namespaces themselves.
    var namespaceLabel: String?
    var nameLabel: String
    /// Which side's bytes count.
    var peer: String

    /// How a question about objects of one kind is asked.
    init(_ selected: TrafficEnd, _ filter: TrafficFilter) {
        self = Self.base(selected, filter)
        switch filter {
        case .none: break
        // A type alone adds nothing, as in Linkerd.
        case .to(let end): if !end.name.isEmpty { matchers = matchers.merged(PromQL.far(end)) }
        case .from(let end): matchers = matchers.merged(PromQL.own(end))
        }
    }

    private static func base(_ selected: TrafficEnd, _ filter: TrafficFilter) -> TrafficShape {
        let isFar: Bool
        switch filter {
        case .none: isFar = selected.kind == .service
        case .to: isFar = selected.kind.isKnownToClientsOnly
        case .from: isFar = true
        }
        guard isFar else {
            let isInbound = filter == .none
            var matchers = PromQL.own(selected)
            matchers["direction"] = isInbound ? "inbound" : "outbound"
            return TrafficShape(
                matchers: matchers, namespaceLabel: selected.kind == .namespace ? nil : "namespace",
                nameLabel: selected.kind.metricLabel, peer: isInbound ? "src" : "dst")
        }
        var matchers = PromQL.far(selected)
        matchers["direction"] = "outbound"
        if selected.kind == .authority { matchers["dst_namespace"] = selected.namespace }
        return TrafficShape(
            matchers: matchers, namespaceLabel: selected.kind == .namespace ? nil : "dst_namespace",
            nameLabel: selected.kind == .authority ? "authority" : "dst_" + selected.kind.metricLabel, peer: "dst")
    }

    private init(matchers: LabelMatchers, namespaceLabel: String?, nameLabel: String, peer: String) {
        self.matchers = matchers
        self.namespaceLabel = namespaceLabel
        self.nameLabel = nameLabel
        self.peer = peer
    }

    /// The labels that tell objects apart.
    var groups: [String] { [namespaceLabel, nameLabel].compactMap { $0 } }

    /// Matchers for byte counters, which exist for both sides of each connection.
    var byteMatchers: LabelMatchers { matchers.merged(LabelMatchers(["peer": peer])) }

    /// The object that a sample belongs to; `nil` when its label is missing.
    func object(_ labels: [String: String]) -> ObjectName? {
        guard let name = labels[nameLabel], !name.isEmpty else { return nil }
        return ObjectName(namespaceLabel.map { labels[$0] ?? "" } ?? "", name)
    }
}
