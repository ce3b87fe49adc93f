// What a metric family looks like, as data: the exposition is written from it, the README's table is made from
// it, and a test holds a running proxy's scrape against it.

/// One family of the catalogue.
public struct MetricFamily: Sendable, Equatable {
    /// One label, or the labels of one prefix.
    public struct Label: Sendable, Equatable {
        /// The name; for a group of labels their common beginning, such as `dst_`.
        public let name: String
        /// Whether series without it exist.
        public let isOptional: Bool
        /// Any number of labels beginning with `name`.
        public let isPrefix: Bool
    }

    /// Whether the proxy has the family.
    public enum Standing: Sendable, Equatable {
        case exported
        /// The reference has it and this proxy does not, for the reason given.
        case absent(String)
    }

    /// Which proxies have it.
    public enum Since: String, Sendable, Equatable {
        /// Linkerd 2.11 and later.
        case v2_11 = "2.11"
        /// Later releases only, or under this name only there.
        case later = "later"
        /// Only this proxy.
        case ours = "ours"
    }

    /// The name of its samples; histograms add `_bucket`, `_sum` and `_count`.
    public let name: String
    public let type: MetricType
    /// What `# HELP` says.
    public let help: String
    /// In the order in which series have them; `le` of histograms is not among them.
    public let labels: [Label]
    /// Upper bounds of a histogram without `+Inf`, as `le` spells them; empty for other types.
    public let buckets: [String]
    public let since: Since
    public let standing: Standing

    init(
        _ name: String, _ type: MetricType, _ help: String, labels: [Label] = [], buckets: [String] = [],
        since: Since = .v2_11, _ standing: Standing = .exported
    ) {
        self.name = name
        self.type = type
        self.help = help
        self.labels = labels
        self.buckets = buckets
        self.since = since
        self.standing = standing
    }

    /// Why a sample of this family is not what the catalogue says; `nil` when it is.
    ///
    /// - Parameter names: the sample's label names in order, without `le`.
    public func complaint(labels names: [String]) -> String? {
        var rest = names[...]
        for label in labels {
            if label.isPrefix {
                rest = rest.drop { $0.hasPrefix(label.name) }
            } else if rest.first == label.name {
                rest = rest.dropFirst()
            } else if !label.isOptional {
                return "\(name) lacks \(label.name), or has it in another place: \(names)"
            }
        }
        return rest.isEmpty ? nil : "\(name) has \(rest.joined(separator: ", ")), which the catalogue has not"
    }
}

extension MetricFamily.Label {
    static func must(_ names: String...) -> [MetricFamily.Label] {
        names.map { MetricFamily.Label(name: $0, isOptional: false, isPrefix: false) }
    }

    static func may(_ names: String...) -> [MetricFamily.Label] {
        names.map { MetricFamily.Label(name: $0, isOptional: true, isPrefix: false) }
    }

    static func any(_ prefix: String) -> [MetricFamily.Label] {
        [MetricFamily.Label(name: prefix, isOptional: true, isPrefix: true)]
    }
}

extension ExpositionWriter {
    /// Opens a family of the catalogue.
    public mutating func family(_ family: MetricFamily) { self.family(family.name, help: family.help, type: family.type) }
}
