import MeshModel

/// Keeps one pod of every DaemonSet on every node that its node selector admits.
package enum DaemonSetPlan {
    static let revisionKey = "controller-revision-hash"

    /// What to do now.
    package static func plan(_ state: ClusterState) -> [Action] {
        state.all(.daemonSets).filter { !$0.isTerminating }.flatMap { plan($0, state) }
    }

    private static func plan(_ set: JSONValue, _ state: ClusterState) -> [Action] {
        let template = set.value(at: ["spec", "template"]) ?? [:]
        let revision = TemplateHash.of(template)
        let wantedLabels = JSONValue.strings(template.value(at: ["spec", "nodeSelector"]))
        let nodes = state.all(.nodes).filter { node in
            wantedLabels.allSatisfy { node.labels[$0.key] == $0.value }
        }
        .map(\.name)
        let owned = state.controlled(.pods, by: set.uid)
        let byNode = Dictionary(grouping: owned) { $0.value(at: ["spec", "nodeName"])?.stringValue ?? "" }
        var actions: [Action] = []
        for node in nodes {
            let present = byNode[node] ?? []
            for pod in present where pod.isFinished && !pod.isTerminating {
                actions.append(.delete(.pods, pod.key, uid: pod.uid, graceSeconds: nil))
            }
            // A pod that is still leaving keeps its place: two at once could fight over ports of the node.
            guard present.allSatisfy({ $0.isFinished && !$0.isTerminating }) else { continue }
            var pod = PodMaker.pod(
                from: template, owner: set, kind: .daemonSets, labels: [revisionKey: revision])
            pod.set(.string(node), at: ["spec", "nodeName"])
            actions.append(.create(.pods, pod))
        }
        for (node, pods) in byNode.sorted(by: { $0.key < $1.key }) where !nodes.contains(node) {
            for pod in pods where !pod.isTerminating {
                actions.append(.delete(.pods, pod.key, uid: pod.uid, graceSeconds: nil))
            }
        }
        let active = owned.filter {
            $0.isActivePod && nodes.contains($0.value(at: ["spec", "nodeName"])?.stringValue ?? "")
        }
        return actions + update(set, active, revision, nodeCount: nodes.count)
            + status(set, active, revision, nodeCount: nodes.count, state)
    }

    private static func update(
        _ set: JSONValue, _ active: [JSONValue], _ revision: String, nodeCount: Int
    ) -> [Action] {
        let strategy = set.value(at: ["spec", "updateStrategy"])
        guard strategy?["type"]?.stringValue != "OnDelete" else { return [] }
        let allowed = max(
            1,
            Share.count(
                strategy?.value(at: ["rollingUpdate", "maxUnavailable"]), of: nodeCount, roundingUp: true,
                default: "1"))
        let outdated = active.filter { $0.labels[revisionKey] != revision }
        let unavailable = nodeCount - active.count(where: \.isReadyPod)
        // Pods that do not serve cost nothing to replace.
        let idle = outdated.filter { !$0.isReadyPod }
        let serving = outdated.filter(\.isReadyPod).prefix(max(0, allowed - unavailable))
        return (idle + serving).map { .delete(.pods, $0.key, uid: $0.uid, graceSeconds: nil) }
    }

    private static func status(
        _ set: JSONValue, _ active: [JSONValue], _ revision: String, nodeCount: Int, _ state: ClusterState
    ) -> [Action] {
        let minReady = set.value(at: ["spec", "minReadySeconds"])?.intValue ?? 0
        let available = active.count { $0.isAvailablePod(minReadySeconds: minReady, now: state.now) }
        let counts: [String: Int] = [
            "desiredNumberScheduled": nodeCount, "currentNumberScheduled": active.count,
            "numberMisscheduled": 0,
            "numberReady": active.count(where: \.isReadyPod), "numberAvailable": available,
            "numberUnavailable": max(0, nodeCount - available),
            "updatedNumberScheduled": active.count { $0.labels[revisionKey] == revision },
            "observedGeneration": set.generation,
        ]
        return StatusPatch.actions(.daemonSets, set, counts.mapValues { JSONValue($0) })
    }
}
