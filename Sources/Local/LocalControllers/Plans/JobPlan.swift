import MeshModel

/// Runs each Job's pods until enough have succeeded or too many have failed.
package enum JobPlan {
    /// Pause before the pod after the n-th failure: this, doubled n - 1 times, at most `retrySecondsMax`.
    static let retrySeconds = 10
    static let retrySecondsMax = 360

    /// What to do now.
    package static func plan(_ state: ClusterState) -> [Action] {
        state.all(.jobs).filter { !$0.isTerminating }.flatMap { JobRun($0, state).actions() }
    }
}

private struct JobRun {
    let job: JSONValue
    let state: ClusterState
    let pods: [JSONValue]

    init(_ job: JSONValue, _ state: ClusterState) {
        self.job = job
        self.state = state
        pods = state.controlled(.pods, by: job.uid)
    }

    private func spec(_ field: String) -> JSONValue? { job.value(at: ["spec", field]) }
    private func time(_ field: String) -> Int? {
        job.value(at: ["status", field])?.stringValue.flatMap(UTCTime.seconds)
    }

    private var active: [JSONValue] { pods.filter(\.isActivePod) }
    private var failed: [JSONValue] { pods.filter { $0.phase == "Failed" } }
    private var succeededCount: Int { pods.count { $0.phase == "Succeeded" } }
    private var failedCount: Int { failed.count }
    private var parallelism: Int { max(0, spec("parallelism")?.intValue ?? 1) }
    private var isSuspended: Bool { spec("suspend")?.boolValue ?? false }
    private var isOver: Bool {
        ["Complete", "Failed"].contains { job.condition($0)?["status"]?.stringValue == "True" }
    }

    func actions() -> [Action] {
        if isOver { return expiry() }
        if isSuspended { return stopAll() + status(conditions: nil) }
        if let reason = failure() {
            return stopAll()
                + status(
                    conditions: finalConditions("Failed", reason: reason, message: "The job has failed."))
        }
        // Without `completions`, one success means that the work is done once the others have ended too.
        let completions = spec("completions")?.intValue
        let isComplete = completions.map { succeededCount >= $0 } ?? (succeededCount > 0 && active.isEmpty)
        if isComplete {
            let conditions = finalConditions(
                "Complete", reason: "CompletionsReached",
                message: "Reached expected number of succeeded pods.")
            return stopAll() + status(conditions: conditions, isComplete: true)
        }
        return starts(completions) + status(conditions: nil)
    }

    private func failure() -> String? {
        if failedCount > spec("backoffLimit")?.intValue ?? 6 { return "BackoffLimitExceeded" }
        if let deadline = spec("activeDeadlineSeconds")?.intValue, let started = time("startTime"),
            started + deadline <= state.now
        {
            return "DeadlineExceeded"
        }
        return nil
    }

    private func starts(_ completions: Int?) -> [Action] {
        let wanted: Int
        if let completions {
            wanted = min(parallelism, completions - succeededCount)
        } else {
            wanted = succeededCount > 0 ? active.count : parallelism
        }
        if active.count > wanted {
            return PodRanking.firstToGo(active).prefix(active.count - wanted).map {
                .delete(.pods, $0.key, uid: $0.uid, graceSeconds: nil)
            }
        }
        guard active.count < wanted, !isWaiting, !pods.contains(where: { $0.isTerminating && !$0.isFinished })
        else {
            return []
        }
        let labels = [
            "batch.kubernetes.io/controller-uid": job.uid, "batch.kubernetes.io/job-name": job.name,
            "controller-uid": job.uid, "job-name": job.name,
        ]
        let pod = PodMaker.pod(from: spec("template") ?? [:], owner: job, kind: .jobs, labels: labels)
        return Array(repeating: .create(.pods, pod), count: wanted - active.count)
    }

    /// Whether the pause after the last failure still runs.
    private var isWaiting: Bool {
        let lastFailure = failed.map { pod in
            let ends = (pod.value(at: ["status", "containerStatuses"])?.arrayValue ?? []).compactMap {
                $0.value(at: ["state", "terminated", "finishedAt"])?.stringValue.flatMap(UTCTime.seconds)
            }
            return ends.max() ?? pod.createdAt
        }.max()
        guard let lastFailure else { return false }
        let pause = min(JobPlan.retrySecondsMax, JobPlan.retrySeconds << min(10, failedCount - 1))
        return lastFailure + pause > state.now
    }

    private func stopAll() -> [Action] {
        active.map { .delete(.pods, $0.key, uid: $0.uid, graceSeconds: nil) }
    }

    private func expiry() -> [Action] {
        guard let life = spec("ttlSecondsAfterFinished")?.intValue else { return [] }
        let ended =
            time("completionTime")
            ?? job.condition("Failed")?["lastTransitionTime"]?.stringValue.flatMap(UTCTime.seconds)
        guard let ended, ended + life <= state.now else { return [] }
        return [.delete(.jobs, job.key, uid: job.uid, graceSeconds: nil)]
    }

    private func finalConditions(_ type: String, reason: String, message: String) -> [JSONValue] {
        Conditions.setting(
            type, "True", reason: reason, message: message, at: state.now,
            in: job.value(at: ["status", "conditions"])?.arrayValue ?? [])
    }

    private func status(conditions: [JSONValue]?, isComplete: Bool = false) -> [Action] {
        let isOver = conditions != nil
        var wanted: [String: JSONValue] = [
            "active": JSONValue(isOver ? 0 : active.count),
            "ready": JSONValue(isOver ? 0 : active.count(where: \.isReadyPod)),
            "succeeded": JSONValue(succeededCount), "failed": JSONValue(failedCount),
        ]
        if job.value(at: ["status", "startTime"]) == nil, !isSuspended {
            wanted["startTime"] = .string(UTCTime.text(state.now))
        }
        if let conditions { wanted["conditions"] = .array(conditions) }
        if isComplete { wanted["completionTime"] = .string(UTCTime.text(state.now)) }
        return StatusPatch.actions(.jobs, job, wanted)
    }
}
