internal import Logging
internal import MeshKubernetes

// Book-keeping between looks: what ended, what an adopted or lost sandbox means for each container.

extension PodWorker {
    static func initialProgress(of pod: Pod) -> [ContainerProgress] {
        let initial = (pod.spec?.initContainers ?? []).map {
            ContainerProgress(spec: $0, role: $0.restartPolicy == "Always" ? .sidecar : .initial)
        }
        let main = (pod.spec?.containers ?? []).map { ContainerProgress(spec: $0, role: .main) }
        let known = (pod.status?.initContainerStatuses ?? []) + (pod.status?.containerStatuses ?? [])
        return (initial + main).map { container in
            guard let status = known.first(where: { $0.name == container.spec.name }),
                status.containerID?.isEmpty == false
            else { return container }
            var container = container
            // It ran in an earlier sandbox, perhaps under an earlier supervisor: the next run is a restart.
            container.nextAttempt = (status.restartCount ?? 0) + 1
            if status.state?.waiting?.reason == "CrashLoopBackOff" {
                container.backOff = CrashBackOff(restarts: status.restartCount ?? 0)
            }
            container.lastState = lost(status.state, id: status.containerID) ?? status.lastState
            return container
        }
    }

    /// The state of a container whose sandbox has gone without its exit being seen.
    private static func lost(_ state: ContainerState?, id: String?) -> ContainerState? {
        if let ended = state?.terminated { return ContainerState(terminated: ended) }
        guard let running = state?.running else { return nil }
        var ended = ContainerStateTerminated()
        ended.exitCode = 137
        ended.reason = "ContainerStatusUnknown"
        ended.message = "The container could not be located when the pod was restarted"
        ended.startedAt = running.startedAt
        ended.containerID = id
        return ContainerState(terminated: ended)
    }

    /// Continues with containers that ran on while no agent looked.
    func adopt(_ records: [String: ContainerRecord]) async {
        self.records = records
        for index in progress.indices {
            guard let record = records[progress[index].spec.name] else { continue }
            progress[index].nextAttempt = record.current.attempt + 1
            progress[index].lastState = nil
            progress[index].backOff = CrashBackOff(restarts: Self.quickRestarts(record))
            guard record.current.state == .running else { continue }
            progress[index].beginProbes(at: record.current.startedAt)
        }
        logger.info("Pod adopted", metadata: ["containers": "\(records.count)"])
    }

    /// How often a container was restarted in a row, as far as its newest runs tell.
    private static func quickRestarts(_ record: ContainerRecord) -> Int {
        guard let previous = record.previous, let finished = previous.finishedAt else { return 0 }
        let isQuick = finished.seconds(since: previous.startedAt) < CrashBackOff.healthySeconds
        return isQuick ? record.current.attempt : 0
    }

    /// Everything starts over, init containers too, when the sandbox is new.
    func resetForNewSandbox() {
        for index in progress.indices {
            progress[index].settledAttempt = progress[index].nextAttempt - 1
            progress[index].probes = [:]
            progress[index].startAt = nil
            progress[index].waiting = nil
            progress[index].killAt = nil
        }
        records = [:]
        hasSandbox = false
    }

    /// The init died, and all containers with it.
    func lostSandbox() {
        guard hasSandbox else { return }
        context.recorder.record(
            pod, reason: "SandboxChanged", message: "Pod sandbox changed, it will be killed and re-created.")
        for index in progress.indices {
            guard var record = records[progress[index].spec.name] else { continue }
            if record.current.state == .running {
                record.current.state = .exited
                record.current.exitCode = 137
                record.current.signal = 9
                record.current.finishedAt = SystemClock.now()
            }
            let id = "local://\(uid)/\(progress[index].spec.name)/\(record.current.attempt)"
            progress[index].lastState = PodStatusBuilder.terminated(record.current, id: id)
        }
        hasSandbox = false
    }

    /// Takes in containers that ended since the last look: when they may run again, and why they wait.
    func settle(_ now: Timestamp) {
        for index in progress.indices {
            let name = progress[index].spec.name
            guard let run = records[name]?.current, run.state == .exited,
                run.attempt > progress[index].settledAttempt
            else { continue }
            progress[index].settledAttempt = run.attempt
            progress[index].probes = [:]
            progress[index].killAt = nil
            let restarts =
                progress[index].role == .initial
                ? run.exitCode != 0 && policy != .never
                : progress[index].role == .sidecar || policy.restarts(after: run.exitCode)
            guard restarts, termination == nil, !isDeletionRequested else { continue }
            let finished = run.finishedAt ?? now
            let wait = progress[index].backOff.ended(ranSeconds: finished.seconds(since: run.startedAt))
            progress[index].startAt = finished.adding(seconds: Double(wait))
            guard wait > 0 else { continue }
            let pod = "\(pod.metadata.name ?? "")_\(pod.metadata.namespace ?? "")(\(uid))"
            let delay = wait >= 60 ? "\(wait / 60)m\(wait % 60)s" : "\(wait)s"
            progress[index].waiting = WaitingReason(
                "CrashLoopBackOff", "back-off \(delay) restarting failed container=\(name) pod=\(pod)")
            context.recorder.record(
                self.pod, container: name, isWarning: true, reason: "BackOff",
                message: "Back-off restarting failed container \(name) in pod \(pod)")
        }
    }

    /// Tells `kubectl describe` what kept the pod from starting.
    func report(_ error: any Error) {
        logger.warning("Pod could not start", metadata: ["error": "\(error)"])
        let isVolume = error is ConfigurationError || error is KubernetesError
        context.recorder.record(
            pod, isWarning: true, reason: isVolume ? "FailedMount" : "FailedCreatePodSandBox",
            message: isVolume
                ? "MountVolume.SetUp failed: \(error)" : "Failed to create pod sandbox: \(error)")
    }
}
