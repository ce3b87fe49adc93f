package import MeshRollup

/// What became of the scrapes of one pod, for whoever asks why its numbers are missing.
package struct TargetStatus: Sendable, Equatable {
    /// How a target fares.
    package enum Health: String, Sendable {
        /// Not asked yet.
        case unknown
        case up
        /// Answered, but something is wrong with what it says.
        case faulty
        case down
    }

    package let namespace: String
    package let pod: String
    /// Where it is asked.
    package let address: String
    package var health = Health.unknown
    /// Why the last scrape failed, or what was wrong with what it brought; empty when all is well.
    package var problems: [String] = []
    /// Failed scrapes since the last good one.
    package var failures = 0
    /// When an answer was last taken in.
    package var scrapedAt: UnixTime?
    /// How long the last answer took, in milliseconds.
    package var milliseconds: Int64 = 0
    /// Size of the last answer, unpacked.
    package var bytes = 0
    /// Series that the pod has.
    package var series = 0

    init(_ facts: PodFacts) {
        namespace = facts.namespace
        pod = facts.name
        address = facts.scrapeURL
    }
}

extension PodFacts {
    /// The address of its proxy's metrics; empty when it has none.
    package var scrapeURL: String {
        guard let adminPort else { return "" }
        return "http://\(ip.contains(":") ? "[\(ip)]" : ip):\(adminPort)/metrics"
    }
}
