import MeshModel

/// Revisions: the annotations that `kubectl rollout history` and `undo` live on.
extension Rollout {
    /// The new set, to be made.
    func create(replicas: Int) -> Action {
        var labelled = template
        labelled.set(.string(hash), at: ["metadata", "labels", TemplateHash.label])
        var selector = deployment.value(at: ["spec", "selector"]) ?? [:]
        selector.set(.string(hash), at: ["matchLabels", TemplateHash.label])
        var spec: JSONValue = ["replicas": JSONValue(replicas), "selector": selector, "template": labelled]
        spec["minReadySeconds"] = deployment.value(at: ["spec", "minReadySeconds"])
        let annotations = inheritedAnnotations.merging([
            Self.revisionKey: "\(nextRevision)", Self.desiredKey: "\(desired)",
            Self.maxKey: "\(desired + maxSurge)",
        ]) { _, own in own }
        return .create(
            .replicaSets,
            [
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": [
                    "name": .string("\(deployment.name)-\(hash)"), "namespace": .string(deployment.namespace),
                    "labels": JSONValue(labelled.labels), "annotations": JSONValue(annotations),
                    "ownerReferences": [PodMaker.reference(to: deployment, kind: .deployments)],
                ],
                "spec": spec,
            ])
    }

    /// The deployment's annotations that describe its revision, such as the cause of change.
    private var inheritedAnnotations: [String: String] {
        deployment.annotations.filter { key, _ in
            key != Self.lastAppliedKey && !key.hasPrefix("deployment.kubernetes.io/")
                && !key.hasPrefix("deprecated.deployment.")
        }
    }

    private var nextRevision: Int { (old.map(\.revision).max() ?? 0) + 1 }

    /// Marks the new set as the latest revision, and the deployment with it.
    func revisions() -> [Action] {
        guard let new else { return [] }
        var actions: [Action] = []
        let revision = max(nextRevision, new.revision)
        var wanted = inheritedAnnotations
        if revision != new.revision {
            wanted[Self.revisionKey] = "\(revision)"
            if new.revision > 0 {
                let history = new.object.annotations[Self.historyKey].map { $0 + "," } ?? ""
                wanted[Self.historyKey] = history + "\(new.revision)"
            }
        }
        let changed = wanted.filter { new.object.annotations[$0.key] != $0.value }
        if !changed.isEmpty {
            actions.append(
                .patch(
                    .replicaSets, new.object.key, subresource: nil,
                    ["metadata": ["annotations": JSONValue(changed)]]))
        }
        if deployment.annotations[Self.revisionKey] != "\(revision)" {
            let body: JSONValue = ["metadata": ["annotations": [Self.revisionKey: .string("\(revision)")]]]
            actions.append(.patch(.deployments, deployment.key, subresource: nil, body))
        }
        return actions
    }

    /// Forgets the oldest empty sets beyond `revisionHistoryLimit`.
    func cleanup() -> [Action] {
        let limit = deployment.value(at: ["spec", "revisionHistoryLimit"])?.intValue ?? 10
        let empty = old.filter { $0.wanted == 0 && $0.podCount == 0 }.sorted { $0.revision < $1.revision }
        return empty.prefix(max(0, empty.count - limit)).map {
            .delete(.replicaSets, $0.object.key, uid: $0.object.uid, graceSeconds: nil)
        }
    }

    // MARK: Status

    func status() -> [Action] {
        let total = sets.reduce(0) { $0 + $1.podCount }
        let available = sets.reduce(0) { $0 + $1.availableCount }
        let counts: [String: Int] = [
            "replicas": total, "updatedReplicas": new?.podCount ?? 0,
            "readyReplicas": sets.reduce(0) { $0 + $1.readyCount }, "availableReplicas": available,
            "unavailableReplicas": max(0, total - available), "observedGeneration": deployment.generation,
        ]
        var wanted = counts.mapValues { JSONValue($0) }
        wanted["conditions"] = .array(conditions(counts))
        return StatusPatch.actions(.deployments, deployment, wanted)
    }

    private func conditions(_ counts: [String: Int]) -> [JSONValue] {
        var conditions = deployment.value(at: ["status", "conditions"])?.arrayValue ?? []
        let isAvailable = counts["availableReplicas"] ?? 0 >= desired - maxUnavailable
        conditions = Conditions.setting(
            "Available", isAvailable ? "True" : "False",
            reason: isAvailable ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
            message: isAvailable ? "Enough replicas are available." : "Too few replicas are available.",
            at: state.now,
            in: conditions, hasUpdateTime: true)
        let old = deployment.condition("Progressing")
        let progress = progress(counts, old)
        return Conditions.setting(
            "Progressing", progress.status, reason: progress.reason, message: progress.message, at: state.now,
            in: conditions, hasUpdateTime: true, isProgress: progress.isStep)
    }

    private func progress(
        _ counts: [String: Int], _ old: JSONValue?
    ) -> (status: String, reason: String, message: String, isStep: Bool) {
        let name = new?.object.name ?? "\(deployment.name)-\(hash)"
        let isComplete =
            counts["updatedReplicas"] == desired && counts["replicas"] == desired
            && counts["availableReplicas"] == desired
        if isComplete {
            return ("True", "NewReplicaSetAvailable", "ReplicaSet \"\(name)\" is complete.", false)
        }
        if isPaused { return ("Unknown", "DeploymentPaused", "Deployment is paused.", false) }
        guard new != nil else {
            return ("True", "NewReplicaSetCreated", "ReplicaSet \"\(name)\" is made.", false)
        }
        let before = deployment["status"]
        let isStep = ["updatedReplicas", "readyReplicas", "availableReplicas", "replicas"].contains { key in
            before?[key]?.intValue ?? 0 != counts[key]
        }
        let isNewGeneration = before?["observedGeneration"]?.intValue != deployment.generation
        // A finished rollout stays finished when a pod of it falls ill.
        if !isNewGeneration, counts["updatedReplicas"] == counts["replicas"],
            old?["reason"]?.stringValue == "NewReplicaSetAvailable"
        {
            return ("True", "NewReplicaSetAvailable", "ReplicaSet \"\(name)\" is complete.", false)
        }
        let deadline = deployment.value(at: ["spec", "progressDeadlineSeconds"])?.intValue ?? 600
        let updated = old?["lastUpdateTime"]?.stringValue.flatMap(UTCTime.seconds) ?? state.now
        if !isStep, !isNewGeneration, updated + deadline < state.now || old?["status"]?.stringValue == "False"
        {
            return (
                "False", "ProgressDeadlineExceeded", "ReplicaSet \"\(name)\" made no progress in time.", false
            )
        }
        return (
            "True", "ReplicaSetUpdated", "ReplicaSet \"\(name)\" is progressing.", isStep || isNewGeneration
        )
    }
}
