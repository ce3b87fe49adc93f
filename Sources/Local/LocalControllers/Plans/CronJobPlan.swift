import MeshKubernetes
import MeshModel

/// Makes a Job whenever a CronJob's schedule says so, and takes the old ones away. Times are UTC: `timeZone` may
/// say so too, and nothing else.
package enum CronJobPlan {
    static let scheduledKey = "batch.kubernetes.io/cronjob-scheduled-timestamp"

    /// What to do now.
    package static func plan(_ state: ClusterState) -> [Action] {
        let jobs = Dictionary(grouping: state.all(.jobs)) { $0.controllerUID ?? "" }
        return state.all(.cronJobs).filter { !$0.isTerminating }.flatMap {
            CronRun($0, state, jobs[$0.uid] ?? []).actions()
        }
    }
}

private struct CronRun {
    private static let zones: Set = ["UTC", "Etc/UTC", "GMT", "Etc/GMT"]

    let cron: JSONValue
    let state: ClusterState
    let jobs: [JSONValue]

    init(_ cron: JSONValue, _ state: ClusterState, _ jobs: [JSONValue]) {
        self.cron = cron
        self.state = state
        self.jobs = jobs
    }

    private func spec(_ field: String) -> JSONValue? { cron.value(at: ["spec", field]) }

    private func isOver(_ job: JSONValue, _ type: String) -> Bool {
        job.condition(type)?["status"]?.stringValue == "True"
    }

    private var complete: [JSONValue] { jobs.filter { isOver($0, "Complete") } }
    private var failed: [JSONValue] { jobs.filter { isOver($0, "Failed") } }
    private var active: [JSONValue] { jobs.filter { !isOver($0, "Complete") && !isOver($0, "Failed") && !$0.isTerminating } }

    func actions() -> [Action] {
        let old = surplus(complete, limit: "successfulJobsHistoryLimit", default: 3)
            + surplus(failed, limit: "failedJobsHistoryLimit", default: 1)
        return old.map { .delete(.jobs, $0.key, uid: $0.uid, graceSeconds: nil) } + starts()
    }

    /// The oldest of finished jobs beyond a limit.
    private func surplus(_ finished: [JSONValue], limit: String, default count: Int) -> [JSONValue] {
        let kept = max(0, spec(limit)?.intValue ?? count)
        let sorted = finished.filter { !$0.isTerminating }.sorted { ($0.createdAt, $0.name) < ($1.createdAt, $1.name) }
        return Array(sorted.dropLast(kept))
    }

    private func starts() -> [Action] {
        let running = active
        guard spec("suspend")?.boolValue != true, let due = dueTime else { return status(running, scheduled: nil) }
        var actions: [Action] = []
        switch spec("concurrencyPolicy")?.stringValue {
        case "Forbid" where !running.isEmpty: return status(running, scheduled: nil)
        case "Replace":
            actions = running.map { .delete(.jobs, $0.key, uid: $0.uid, graceSeconds: nil) }
        default: break
        }
        let job = job(at: due)
        // The name follows from the time: when the job is there already, only the status is behind.
        if state[.jobs, job.key] != nil { return status(running, scheduled: due) }
        return actions + [.create(.jobs, job)] + status(running, scheduled: due)
    }

    /// The last time that is due and was not yet acted upon; missed ones before it are let go, as in Kubernetes.
    private var dueTime: Int? {
        guard let schedule = spec("schedule")?.stringValue.flatMap(CronSchedule.init) else { return nil }
        if let zone = spec("timeZone")?.stringValue, !zone.isEmpty, !Self.zones.contains(zone) { return nil }
        let last = cron.value(at: ["status", "lastScheduleTime"])?.stringValue.flatMap(UTCTime.seconds)
        guard let due = schedule.lastTime(after: last ?? cron.createdAt, upTo: state.now) else { return nil }
        if let deadline = spec("startingDeadlineSeconds")?.intValue, due + deadline < state.now { return nil }
        return due
    }

    private func job(at time: Int) -> JSONValue {
        let template = spec("jobTemplate") ?? [:]
        var annotations = template.annotations
        annotations[CronJobPlan.scheduledKey] = UTCTime.text(time)
        var metadata: JSONValue = [
            "name": .string("\(cron.name)-\(time / 60)"), "namespace": .string(cron.namespace),
            "ownerReferences": [PodMaker.reference(to: cron, kind: .cronJobs)], "annotations": JSONValue(annotations),
        ]
        if !template.labels.isEmpty { metadata["labels"] = JSONValue(template.labels) }
        return ["apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"] ?? [:]]
    }

    private func status(_ running: [JSONValue], scheduled: Int?) -> [Action] {
        let references = running.map { job -> JSONValue in
            [
                "apiVersion": "batch/v1", "kind": "Job", "name": .string(job.name),
                "namespace": .string(job.namespace), "uid": .string(job.uid),
            ]
        }
        var wanted: [String: JSONValue] = ["active": .array(references)]
        if let scheduled { wanted["lastScheduleTime"] = .string(UTCTime.text(scheduled)) }
        let ends = complete.compactMap { $0.value(at: ["status", "completionTime"])?.stringValue }
        if let last = ends.max() { wanted["lastSuccessfulTime"] = .string(last) }
        return StatusPatch.actions(.cronJobs, cron, wanted)
    }
}
