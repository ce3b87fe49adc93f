// Stateful sets: pods numbered from 0, each with a stable name and claims of its own. Started in order and
// stopped in reverse, unless the policy is `Parallel`; updated from the highest number down to `partition`.

import MeshKubernetes
import MeshModel

/// Keeps the numbered pods of every StatefulSet.
package enum StatefulSetPlan {
    static let revisionKey = "controller-revision-hash"

    /// What to do now.
    package static func plan(_ state: ClusterState) -> [Action] {
        state.all(.statefulSets).filter { !$0.isTerminating }.flatMap { NumberedPods($0, state).actions() }
    }
}

private struct NumberedPods {
    let set: JSONValue
    let state: ClusterState
    let pods: [Int: JSONValue]
    let revision: String
    let isParallel: Bool

    init(_ set: JSONValue, _ state: ClusterState) {
        self.set = set
        self.state = state
        let prefix = set.name + "-"
        let owned = state.controlled(.pods, by: set.uid).compactMap { pod -> (Int, JSONValue)? in
            guard pod.name.hasPrefix(prefix), let ordinal = Int(pod.name.dropFirst(prefix.count)) else {
                return nil
            }
            return (ordinal, pod)
        }
        pods = Dictionary(owned, uniquingKeysWith: { first, _ in first })
        revision = prefix + TemplateHash.of(set.value(at: ["spec", "template"]) ?? [:])
        isParallel = set.value(at: ["spec", "podManagementPolicy"])?.stringValue == "Parallel"
    }

    var wanted: Int { self.set.replicasWanted }

    func actions() -> [Action] { claims() + (membership() ?? update()) + status() }

    /// Claims that the wanted pods need; they outlive the pods.
    private func claims() -> [Action] {
        let templates = set.value(at: ["spec", "volumeClaimTemplates"])?.arrayValue ?? []
        return (0..<wanted).flatMap { ordinal in
            templates.compactMap { template -> Action? in
                let name = claimName(template, ordinal)
                guard state[.claims, ObjectKey(namespace: set.namespace, name: name)] == nil else {
                    return nil
                }
                var metadata: JSONValue = ["name": .string(name), "namespace": .string(set.namespace)]
                let labels = template.labels.merging(
                    JSONValue.strings(set.value(at: ["spec", "selector", "matchLabels"]))
                ) { own, _ in own }
                if !labels.isEmpty { metadata["labels"] = JSONValue(labels) }
                let claim: JSONValue = [
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata,
                    "spec": template["spec"] ?? [:],
                ]
                return .create(.claims, claim)
            }
        }
    }

    private func claimName(_ template: JSONValue, _ ordinal: Int) -> String {
        "\(template.name)-\(set.name)-\(ordinal)"
    }

    /// The step towards the right set of pods; `nil` when it is complete and serving.
    private func membership() -> [Action]? {
        var actions: [Action] = []
        for ordinal in 0..<wanted {
            guard let pod = pods[ordinal] else {
                actions.append(create(ordinal))
                if isParallel { continue }
                return actions
            }
            if pod.isTerminating || (!isParallel && !pod.isReadyPod && !pod.isFinished) { return actions }
            if pod.isFinished {
                actions.append(.delete(.pods, pod.key, uid: pod.uid, graceSeconds: nil))
                if !isParallel { return actions }
            }
        }
        let surplus = pods.filter { $0.key >= wanted }.sorted { $0.key > $1.key }.map(\.value)
        if surplus.isEmpty { return actions.isEmpty ? nil : actions }
        let leaving = isParallel ? surplus.filter { !$0.isTerminating } : Array(surplus.prefix(1))
        return actions
            + leaving.filter { !$0.isTerminating }.map {
                .delete(.pods, $0.key, uid: $0.uid, graceSeconds: nil)
            }
    }

    /// Replaces the highest outdated pod, once all above it serve.
    private func update() -> [Action] {
        let strategy = set.value(at: ["spec", "updateStrategy"])
        guard strategy?["type"]?.stringValue != "OnDelete" else { return [] }
        let partition = strategy?.value(at: ["rollingUpdate", "partition"])?.intValue ?? 0
        for ordinal in (0..<wanted).reversed() where ordinal >= partition {
            guard let pod = pods[ordinal] else { return [] }
            if pod.labels[StatefulSetPlan.revisionKey] != revision {
                return pod.isTerminating ? [] : [.delete(.pods, pod.key, uid: pod.uid, graceSeconds: nil)]
            }
            if !pod.isReadyPod { return [] }
        }
        return []
    }

    private func create(_ ordinal: Int) -> Action {
        let name = "\(set.name)-\(ordinal)"
        var pod = PodMaker.pod(
            from: set.value(at: ["spec", "template"]) ?? [:], owner: set, kind: .statefulSets, name: name,
            labels: [
                StatefulSetPlan.revisionKey: revision, "statefulset.kubernetes.io/pod-name": name,
                "apps.kubernetes.io/pod-index": "\(ordinal)",
            ])
        pod.set(.string(name), at: ["spec", "hostname"])
        if let service = set.value(at: ["spec", "serviceName"]) {
            pod.set(service, at: ["spec", "subdomain"])
        }
        let templates = set.value(at: ["spec", "volumeClaimTemplates"])?.arrayValue ?? []
        if !templates.isEmpty {
            let names = Set(templates.map(\.name))
            let others = (pod.value(at: ["spec", "volumes"])?.arrayValue ?? []).filter {
                !names.contains($0["name"]?.stringValue ?? "")
            }
            let volumes = templates.map { template -> JSONValue in
                [
                    "name": .string(template.name),
                    "persistentVolumeClaim": ["claimName": .string(claimName(template, ordinal))],
                ]
            }
            pod.set(.array(others + volumes), at: ["spec", "volumes"])
        }
        return .create(.pods, pod)
    }

    private func status() -> [Action] {
        let active = pods.values.filter(\.isActivePod)
        let updated = active.count { $0.labels[StatefulSetPlan.revisionKey] == revision }
        let isComplete = updated == wanted && active.count == wanted && active.allSatisfy(\.isReadyPod)
        let current = set.value(at: ["status", "currentRevision"])?.stringValue ?? revision
        let minReady = set.value(at: ["spec", "minReadySeconds"])?.intValue ?? 0
        return StatusPatch.actions(
            .statefulSets, set,
            [
                "replicas": JSONValue(active.count),
                "readyReplicas": JSONValue(active.count(where: \.isReadyPod)),
                "availableReplicas": JSONValue(
                    active.count { $0.isAvailablePod(minReadySeconds: minReady, now: state.now) }),
                "updatedReplicas": JSONValue(updated),
                "currentReplicas": JSONValue(
                    active.count {
                        $0.labels[StatefulSetPlan.revisionKey] == (isComplete ? revision : current)
                    }),
                "currentRevision": .string(isComplete ? revision : current),
                "updateRevision": .string(revision),
                "observedGeneration": JSONValue(set.generation),
            ])
    }
}

extension JSONValue {
    /// A pod that ended, well or not.
    var isFinished: Bool { phase == "Succeeded" || phase == "Failed" }
}
