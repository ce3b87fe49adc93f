// Deployments: one ReplicaSet for each template they ever had, of which one, the new set, matches the present
// template. A rolling update grows it and shrinks the others within two bounds: never more than
// `replicas + maxSurge` pods, never fewer than `replicas - maxUnavailable` available ones.

import MeshModel

/// Brings every Deployment towards its template and size.
package enum DeploymentPlan {
    /// What to do now.
    package static func plan(_ state: ClusterState) -> [Action] {
        state.all(.deployments).filter { !$0.isTerminating }.flatMap { Rollout($0, state).actions() }
    }
}

/// One ReplicaSet of a deployment, with its pods counted.
struct OwnedSet {
    let object: JSONValue
    let wanted: Int
    let podCount: Int
    let readyCount: Int
    let availableCount: Int

    init(_ object: JSONValue, _ state: ClusterState, minReadySeconds: Int) {
        self.object = object
        wanted = object.replicasWanted
        let pods = state.controlled(.pods, by: object.uid).filter(\.isActivePod)
        podCount = pods.count
        readyCount = pods.count(where: \.isReadyPod)
        availableCount = pods.count { $0.isAvailablePod(minReadySeconds: minReadySeconds, now: state.now) }
    }

    var revision: Int { object.annotations[Rollout.revisionKey].flatMap { Int($0) } ?? 0 }
}

/// The state of one deployment's rollout, and what follows from it.
struct Rollout {
    static let revisionKey = "deployment.kubernetes.io/revision"
    static let historyKey = "deployment.kubernetes.io/revision-history"
    static let desiredKey = "deployment.kubernetes.io/desired-replicas"
    static let maxKey = "deployment.kubernetes.io/max-replicas"
    static let lastAppliedKey = "kubectl.kubernetes.io/last-applied-configuration"

    let deployment: JSONValue
    let state: ClusterState
    let template: JSONValue
    let hash: String
    /// The set of the present template.
    let new: OwnedSet?
    /// All other sets, oldest first.
    let old: [OwnedSet]
    let desired: Int
    let maxSurge: Int
    let maxUnavailable: Int

    init(_ deployment: JSONValue, _ state: ClusterState) {
        self.deployment = deployment
        self.state = state
        let template = deployment.value(at: ["spec", "template"]) ?? [:]
        self.template = template
        let hash = TemplateHash.of(template)
        self.hash = hash
        let minReady = deployment.value(at: ["spec", "minReadySeconds"])?.intValue ?? 0
        let sets = state.controlled(.replicaSets, by: deployment.uid).filter { !$0.isTerminating }
            .map { OwnedSet($0, state, minReadySeconds: minReady) }
            .sorted { ($0.object.createdAt, $0.object.name) < ($1.object.createdAt, $1.object.name) }
        // An undone rollout gives back a template that an older set, perhaps named otherwise, already has.
        let newName =
            (sets.first { $0.object.labels[TemplateHash.label] == hash }
            ?? sets.first { set in
                TemplateHash.stripped(set.object.value(at: ["spec", "template"]) ?? [:])
                    == TemplateHash.stripped(template)
            })?.object.name
        new = sets.first { $0.object.name == newName }
        old = sets.filter { $0.object.name != newName }
        desired = deployment.replicasWanted
        let strategy = deployment.value(at: ["spec", "strategy"])
        if strategy?["type"]?.stringValue == "Recreate" {
            (maxSurge, maxUnavailable) = (0, desired)
        } else {
            let rolling = strategy?["rollingUpdate"]
            let surge = Share.count(rolling?["maxSurge"], of: desired, roundingUp: true, default: "25%")
            let unavailable = Share.count(
                rolling?["maxUnavailable"], of: desired, roundingUp: false, default: "25%")
            // Both zero could never move.
            (maxSurge, maxUnavailable) = (
                surge, surge == 0 && unavailable == 0 ? 1 : min(unavailable, desired)
            )
        }
    }

    var isPaused: Bool { deployment.value(at: ["spec", "paused"])?.boolValue ?? false }
    var isRecreate: Bool { deployment.value(at: ["spec", "strategy", "type"])?.stringValue == "Recreate" }
    var sets: [OwnedSet] { old + (new.map { [$0] } ?? []) }

    func actions() -> [Action] {
        if isPaused { return scalingWhilePaused() + status() }
        let rollout = isRecreate ? recreate() : rollingUpdate()
        return rollout + revisions() + cleanup() + status()
    }

    // MARK: Sizes

    private func rollingUpdate() -> [Action] {
        let target = targetOfNew()
        guard let new else { return [create(replicas: target)] + announce(hash, to: target, from: 0) }
        if new.wanted != target { return scale(new, to: target) }
        return shrinkOld(new)
    }

    private func recreate() -> [Action] {
        let shrink = old.filter { $0.wanted > 0 }.flatMap { scale($0, to: 0) }
        let oldPods = old.reduce(0) { total, set in
            total
                + state.controlled(.pods, by: set.object.uid).count {
                    $0.phase != "Succeeded" && $0.phase != "Failed"
                }
        }
        guard shrink.isEmpty, oldPods == 0 else { return shrink }
        guard let new else { return [create(replicas: desired)] + announce(hash, to: desired, from: 0) }
        return new.wanted == desired ? [] : scale(new, to: desired)
    }

    private func scalingWhilePaused() -> [Action] {
        guard let active = sets.last(where: { $0.wanted > 0 }) ?? new ?? old.last else { return [] }
        let others = sets.filter { $0.object.name != active.object.name }.reduce(0) { $0 + $1.wanted }
        let target = max(0, desired - others)
        return active.wanted == target ? [] : scale(active, to: target)
    }

    /// How large the new set may be now.
    private func targetOfNew() -> Int {
        let current = new?.wanted ?? 0
        if current >= desired { return desired }
        let total = sets.reduce(0) { $0 + $1.wanted }
        let room = desired + maxSurge - total
        return room <= 0 ? current : current + min(room, desired - current)
    }

    /// Shrinks old sets: first what does not serve anyway, then, oldest first, what the bound allows.
    private func shrinkOld(_ new: OwnedSet) -> [Action] {
        let minAvailable = desired - maxUnavailable
        let total = sets.reduce(0) { $0 + $1.wanted }
        let spare = total - minAvailable - (new.wanted - min(new.availableCount, new.wanted))
        guard spare > 0 else { return [] }
        var sizes = old.map(\.wanted)
        var cleaned = 0
        for (index, set) in old.enumerated() where cleaned < spare {
            let unhealthy = min(max(0, set.wanted - set.availableCount), spare - cleaned)
            sizes[index] -= unhealthy
            cleaned += unhealthy
        }
        var removable = sets.reduce(0) { $0 + $1.availableCount } - minAvailable
        for index in old.indices where removable > 0 {
            let step = min(sizes[index], removable)
            sizes[index] -= step
            removable -= step
        }
        return zip(old, sizes).flatMap { set, size in size == set.wanted ? [] : scale(set, to: size) }
    }

    private func scale(_ set: OwnedSet, to size: Int) -> [Action] {
        let body: JSONValue = [
            "metadata": ["annotations": JSONValue(sizeAnnotations)], "spec": ["replicas": JSONValue(size)],
        ]
        return [.patch(.replicaSets, set.object.key, subresource: nil, body)]
            + announce(set.object.name, to: size, from: set.wanted)
    }

    private var sizeAnnotations: [String: String] {
        [Self.desiredKey: "\(desired)", Self.maxKey: "\(desired + maxSurge)"]
    }

    private func announce(_ set: String, to size: Int, from: Int) -> [Action] {
        guard size != from else { return [] }
        let name = set == hash ? "\(deployment.name)-\(hash)" : set
        let verb = size > from ? "up" : "down"
        return [
            .event(
                on: deployment, kind: .deployments, reason: "ScalingReplicaSet",
                message: "Scaled \(verb) replica set \(name) from \(from) to \(size)")
        ]
    }
}
