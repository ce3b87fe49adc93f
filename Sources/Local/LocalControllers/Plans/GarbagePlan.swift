import MeshKubernetes
import MeshModel

/// Deletes objects whose owners are gone, and pods whose node is.
package enum GarbagePlan {
    /// What to do now. Watches of different kinds are not in step, so an owner that is missing here may well
    /// exist: these actions ask the API server first.
    package static func plan(_ state: ClusterState) -> [Action] {
        var living: Set<String> = []
        for kind in ControlledKind.allCases { for object in state.all(kind) { living.insert(object.uid) } }
        var actions: [Action] = []
        for kind in ControlledKind.allCases {
            for object in state.all(kind) where !object.isTerminating {
                let owners = object.ownerReferences
                guard !owners.isEmpty,
                    !owners.contains(where: { living.contains($0["uid"]?.stringValue ?? "") })
                else {
                    continue
                }
                actions.append(.collect(kind, object.key, uid: object.uid, owners: owners))
            }
        }
        return actions + strandedPods(state)
    }

    private static func strandedPods(_ state: ClusterState) -> [Action] {
        let nodes = Set(state.all(.nodes).map(\.name))
        guard !nodes.isEmpty else { return [] }  // The node has not registered yet.
        return state.all(.pods).compactMap { pod in
            guard let node = pod.value(at: ["spec", "nodeName"])?.stringValue, !node.isEmpty,
                !nodes.contains(node)
            else {
                return nil
            }
            return .collectStranded(pod.key, uid: pod.uid, node: node)
        }
    }
}

/// Binds every claim: the node gives each a folder of its own, so there is nothing to wait for.
package enum ClaimPlan {
    /// What to do now.
    package static func plan(_ state: ClusterState) -> [Action] {
        state.all(.claims).filter { !$0.isTerminating }.flatMap { claim -> [Action] in
            var actions: [Action] = []
            if claim.value(at: ["spec", "volumeName"])?.stringValue ?? "" == "" {
                let body: JSONValue = [
                    "metadata": ["annotations": ["pv.kubernetes.io/bind-completed": "yes"]],
                    "spec": ["volumeName": .string("pvc-\(claim.uid)")],
                ]
                actions.append(.patch(.claims, claim.key, subresource: nil, body))
            }
            var status: [String: JSONValue] = ["phase": "Bound"]
            status["accessModes"] = claim.value(at: ["spec", "accessModes"])
            if let storage = claim.value(at: ["spec", "resources", "requests", "storage"]) {
                status["capacity"] = ["storage": storage]
            }
            return actions + StatusPatch.actions(.claims, claim, status)
        }
    }
}
