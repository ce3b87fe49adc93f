/// Bounds how many different labels one workload may spread its traffic over in the store.
///
/// The first `destinationsMax` workload-level edges, routes, arrivals and requests that a workload is seen with keep their
/// names; later ones are counted under `other`, so that totals stay right and the tail is visible as such. Past
/// `peerPodsMax` pods at the far end, edges no longer say which pod it was.
public struct LabelBudget: Sendable {
    /// Distinct workload-level keys kept per workload and family.
    public let destinationsMax: Int
    /// Distinct pods at the far end that are kept per workload.
    public let peerPodsMax: Int
    private var edges: [WorkloadKey: Set<EdgeKey>] = [:]
    private var routes: [WorkloadKey: Set<RouteKey>] = [:]
    private var arrivals: [WorkloadKey: Set<ArrivalKey>] = [:]
    private var requests: [WorkloadKey: Set<RequestKey>] = [:]
    private var peerPods: [WorkloadKey: Set<String>] = [:]
    /// Keys that were folded since the start.
    public private(set) var foldedCount = 0

    /// A budget; see the fields.
    public init(destinationsMax: Int = 256, peerPodsMax: Int = 4_096) {
        self.destinationsMax = destinationsMax
        self.peerPodsMax = peerPodsMax
    }

    /// The key to count an edge under: `key` itself while its source has room, else its fold.
    public mutating func admit(_ key: EdgeKey) -> EdgeKey {
        guard Self.admit(key.rolledUp, of: key.src, to: &edges, max: destinationsMax) else {
            foldedCount += 1
            return key.folded
        }
        guard !key.dstPod.isEmpty, !Self.admit(key.dstPod, of: key.src, to: &peerPods, max: peerPodsMax) else { return key }
        foldedCount += 1
        var wide = key
        wide.dstPod = ""
        return wide
    }

    /// The key to count a route under.
    public mutating func admit(_ key: RouteKey) -> RouteKey {
        if Self.admit(key.rolledUp, of: key.workload, to: &routes, max: destinationsMax) { return key }
        foldedCount += 1
        return key.folded
    }

    /// The key to count an arrival under.
    public mutating func admit(_ key: ArrivalKey) -> ArrivalKey {
        if Self.admit(key.rolledUp, of: key.workload, to: &arrivals, max: destinationsMax) { return key }
        foldedCount += 1
        return key.folded
    }

    /// The key to count sampled requests under; the budget is their destination's.
    public mutating func admit(_ key: RequestKey) -> RequestKey {
        if Self.admit(key, of: key.dst, to: &requests, max: destinationsMax) { return key }
        foldedCount += 1
        return key.folded
    }

    /// Forgets the edges, and the pods at their far ends, that are not in `live`: room for new ones.
    public mutating func retain(_ live: Set<EdgeKey>) {
        Self.retain(Set(live.map(\.rolledUp)), in: &edges)
        var pods: [WorkloadKey: Set<String>] = [:]
        for edge in live where !edge.dstPod.isEmpty { pods[edge.src, default: []].insert(edge.dstPod) }
        for (workload, known) in peerPods {
            let kept = known.intersection(pods[workload, default: []])
            peerPods[workload] = kept.isEmpty ? nil : kept
        }
    }

    /// Forgets the routes not in `live`.
    public mutating func retain(_ live: Set<RouteKey>) { Self.retain(Set(live.map(\.rolledUp)), in: &routes) }

    /// Forgets the arrivals not in `live`.
    public mutating func retain(_ live: Set<ArrivalKey>) { Self.retain(Set(live.map(\.rolledUp)), in: &arrivals) }

    /// Forgets the sampled requests not in `live`.
    public mutating func retain(_ live: Set<RequestKey>) { Self.retain(live, in: &requests) }

    private static func admit<Label: Hashable>(
        _ label: Label, of workload: WorkloadKey, to known: inout [WorkloadKey: Set<Label>], max: Int
    ) -> Bool {
        if known[workload]?.contains(label) == true { return true }
        guard known[workload, default: []].count < max else { return false }
        known[workload, default: []].insert(label)
        return true
    }

    private static func retain<Label: Hashable>(_ live: Set<Label>, in known: inout [WorkloadKey: Set<Label>]) {
        known = known.compactMapValues { labels in
            let kept = labels.intersection(live)
            return kept.isEmpty ? nil : kept
        }
    }
}
