import MeshModel

/// Keeps as many pods as each ReplicaSet wants.
package enum ReplicaSetPlan {
    /// Pods made for one set in one plan; the rest follows in the next.
    static let createdPodsMax = 100

    /// What to do now.
    package static func plan(_ state: ClusterState) -> [Action] {
        state.all(.replicaSets).filter { !$0.isTerminating }.flatMap { plan($0, state) }
    }

    private static func plan(_ set: JSONValue, _ state: ClusterState) -> [Action] {
        let (adoptions, adopted) = adoptions(by: set, state)
        let active = (state.controlled(.pods, by: set.uid) + adopted).filter(\.isActivePod)
        let missing = set.replicasWanted - active.count
        var actions = adoptions
        if missing > 0 {
            let template = set.value(at: ["spec", "template"]) ?? [:]
            let pod = PodMaker.pod(from: template, owner: set, kind: .replicaSets)
            actions += Array(repeating: .create(.pods, pod), count: min(missing, createdPodsMax))
        } else if missing < 0 {
            for pod in PodRanking.firstToGo(active).prefix(-missing) {
                actions.append(.delete(.pods, pod.key, uid: pod.uid, graceSeconds: nil))
                actions.append(
                    .event(
                        on: set, kind: .replicaSets, reason: "SuccessfulDelete",
                        message: "Deleted pod: \(pod.name)"))
            }
        }
        return actions + status(of: set, pods: active, state)
    }

    /// Takes over pods that match and have no controller, as after `delete --cascade=orphan`.
    private static func adoptions(by set: JSONValue, _ state: ClusterState) -> ([Action], [JSONValue]) {
        let selector = Selector(set.value(at: ["spec", "selector"]))
        let orphans = state.all(.pods, in: set.namespace).filter { pod in
            pod.controllerUID == nil && pod.isActivePod && selector.matches(pod.labels)
        }
        let actions = orphans.map { pod -> Action in
            let references = pod.ownerReferences + [PodMaker.reference(to: set, kind: .replicaSets)]
            return .patch(
                .pods, pod.key, subresource: nil, ["metadata": ["ownerReferences": .array(references)]])
        }
        return (actions, orphans)
    }

    private static func status(of set: JSONValue, pods: [JSONValue], _ state: ClusterState) -> [Action] {
        let minReady = set.value(at: ["spec", "minReadySeconds"])?.intValue ?? 0
        let wantedLabels = set.value(at: ["spec", "template"])?.labels ?? [:]
        let labelled = pods.filter { pod in wantedLabels.allSatisfy { pod.labels[$0.key] == $0.value } }
        return StatusPatch.actions(
            .replicaSets, set,
            [
                "replicas": JSONValue(pods.count), "fullyLabeledReplicas": JSONValue(labelled.count),
                "readyReplicas": JSONValue(pods.count(where: \.isReadyPod)),
                "availableReplicas": JSONValue(
                    pods.count { $0.isAvailablePod(minReadySeconds: minReady, now: state.now) }),
                "observedGeneration": JSONValue(set.generation),
            ])
    }
}
