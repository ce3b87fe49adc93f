// ClusterRoles with an `aggregationRule` hold the rules of all ClusterRoles that it selects. Kubernetes has a
// controller for that; here it happens in the transaction that changes a ClusterRole, so that the rules are
// never behind.

import MeshModel

/// Keeps the rules of aggregating ClusterRoles.
struct AggregatedRoles {
    static let resource = "clusterroles.rbac.authorization.k8s.io"
    /// Aggregations of aggregations that are followed; the built-in ones take three.
    private static let roundsMax = 8

    let writer: StoreWriter

    /// Brings every aggregating role up to date.
    func settle() throws {
        for _ in 0..<Self.roundsMax {
            let stored = try writer.list(Self.resource, namespace: nil).map { (address: $0.address, object: try $0.object()) }
            let aggregating = stored.filter { $0.object["aggregationRule"]?.isNull == false }
            if aggregating.isEmpty { return }
            var hasChanged = false
            for (address, object) in aggregating {
                let rules = Self.rules(selectedBy: object, among: stored.map(\.object))
                guard object["rules"] ?? [] != rules else { continue }
                var updated = object
                updated["rules"] = rules
                _ = try writer.update(updated, at: address, previous: object)
                hasChanged = true
            }
            if !hasChanged { return }
        }
    }

    /// The rules of the selected roles in the order of their names, each once.
    static func rules(selectedBy role: JSONValue, among all: [JSONValue]) -> JSONValue {
        let selectors = (role.value(at: ["aggregationRule", "clusterRoleSelectors"])?.arrayValue ?? [])
            .map { LabelSelector($0) }
        var seen: Set<JSONValue> = []
        let rules = all.filter { candidate in
            candidate.name != role.name
                && selectors.contains { $0.matches(candidate.value(at: ["metadata", "labels"])) }
        }.flatMap { $0["rules"]?.arrayValue ?? [] }.filter { seen.insert($0).inserted }
        return .array(rules)
    }
}
