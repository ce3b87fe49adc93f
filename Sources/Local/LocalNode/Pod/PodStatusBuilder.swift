package import MeshKubernetes

// A pod's status from what runs, in the words that kubectl turns into its STATUS column: `Init:0/1` counts
// terminated init containers with exit code 0, `CrashLoopBackOff` is a waiting reason, `Terminating` needs
// no help.

/// Why a container is not running.
package struct WaitingReason: Sendable, Hashable {
    package var reason: String
    package var message: String?
    package init(_ reason: String, _ message: String? = nil) {
        self.reason = reason
        self.message = message
    }
}

/// What is known about one container when its status is written.
package struct ObservedContainer: Sendable, Hashable {
    package var name: String
    package var image: String
    package var role: PlannedContainer.Role
    package var record: ContainerRecord?
    /// A run of an earlier sandbox.
    package var lastState: ContainerState?
    package var restartCount: Int
    package var isStarted: Bool
    package var isReady: Bool
    /// A problem with starting it, or the wait before the next start.
    package var waiting: WaitingReason?

    package init(name: String, image: String, role: PlannedContainer.Role, restartCount: Int = 0) {
        self.name = name
        self.image = image
        self.role = role
        self.restartCount = restartCount
        isStarted = false
        isReady = false
    }
}

/// Builds pod statuses.
package struct PodStatusBuilder {
    package var podUID: String
    package var hostIP: String
    package var podIP: String?
    package var startTime: String?
    package var phase: PodPlan.Phase
    package var isInitialized: Bool
    /// Without a sandbox, containers that wait say ContainerCreating.
    package var hasSandbox: Bool
    /// Conditions as they were, for their transition times.
    package var before: [Condition]
    package var qualityOfService: String

    package init(podUID: String, hostIP: String, phase: PodPlan.Phase) {
        self.podUID = podUID
        self.hostIP = hostIP
        self.phase = phase
        isInitialized = false
        hasSandbox = false
        before = []
        qualityOfService = "BestEffort"
    }

    /// The status for `containers`, in the order of the spec.
    package func status(of containers: [ObservedContainer], now: Timestamp) -> PodStatus {
        var status = PodStatus()
        let initial = containers.filter { $0.role != .main }
        let main = containers.filter { $0.role == .main }
        status.phase = phase.rawValue
        status.hostIP = hostIP
        status.hostIPs = [PodIP(ip: hostIP)]
        if let podIP {
            status.podIP = podIP
            status.podIPs = [PodIP(ip: podIP)]
        }
        status.startTime = startTime
        status.qosClass = qualityOfService
        if !initial.isEmpty { status.initContainerStatuses = initial.map { self.status(of: $0) } }
        status.containerStatuses = main.map { self.status(of: $0) }
        status.conditions = conditions(initial: initial, main: main, now: now)
        return status
    }

    private func status(of container: ObservedContainer) -> ContainerStatus {
        var status = ContainerStatus()
        status.name = container.name
        status.image = container.image
        status.imageID = container.record == nil ? "" : "local://\(container.image)"
        status.restartCount = container.restartCount
        status.lastState = lastState(of: container)
        status.state = state(of: container)
        let isRunning = container.record?.current.state == .running
        switch container.role {
        case .initial:
            status.ready =
                container.record?.current.state == .exited && container.record?.current.exitCode == 0
            status.started = isRunning
        case .sidecar, .main:
            status.ready = isRunning && container.isReady
            status.started = isRunning && container.isStarted
        }
        if let attempt = container.record?.current.attempt {
            status.containerID = id(container.name, attempt)
        }
        return status
    }

    private func id(_ name: String, _ attempt: Int) -> String { "local://\(podUID)/\(name)/\(attempt)" }

    private func state(of container: ObservedContainer) -> ContainerState {
        if let run = container.record?.current {
            if run.state == .running {
                return ContainerState(running: ContainerStateRunning(startedAt: run.startedAt.text))
            }
            if container.waiting == nil { return Self.terminated(run, id: id(container.name, run.attempt)) }
        }
        let standard = WaitingReason(
            container.role == .main && hasSandbox && !isInitialized || container.role != .main
                ? "PodInitializing" : "ContainerCreating")
        let waiting = container.waiting ?? standard
        return ContainerState(
            waiting: ContainerStateWaiting(reason: waiting.reason, message: waiting.message))
    }

    private func lastState(of container: ObservedContainer) -> ContainerState {
        guard let record = container.record else { return container.lastState ?? ContainerState() }
        // While it waits to restart, the run that just ended is the last one.
        if record.current.state == .exited, container.waiting != nil {
            return Self.terminated(record.current, id: id(container.name, record.current.attempt))
        }
        if let previous = record.previous {
            return Self.terminated(previous, id: id(container.name, previous.attempt))
        }
        return container.lastState ?? ContainerState()
    }

    /// A run that ended, as a container state.
    package static func terminated(_ run: ContainerRun, id: String) -> ContainerState {
        var ended = ContainerStateTerminated()
        ended.exitCode = Int(run.exitCode)
        if run.signal != 0 { ended.signal = Int(run.signal) }
        ended.reason = run.exitCode == 0 ? "Completed" : "Error"
        ended.startedAt = run.startedAt.text
        ended.finishedAt = (run.finishedAt ?? run.startedAt).text
        ended.containerID = id
        return ContainerState(terminated: ended)
    }

    private func conditions(initial: [ObservedContainer], main: [ObservedContainer], now: Timestamp)
        -> [Condition]
    {
        let isOver = phase == .succeeded || phase == .failed
        let unready = (main + initial.filter { $0.role == .sidecar })
            .filter { !($0.isReady && $0.record?.current.state == .running) }.map(\.name)
        let isReady = unready.isEmpty && isInitialized && !isOver
        let pendingInit = initial.filter { $0.role == .initial && status(of: $0).ready != true }.map(\.name)
        let notReady =
            phase == .succeeded
            ? WaitingReason("PodCompleted")
            : WaitingReason(
                "ContainersNotReady", "containers with unready status: [\(unready.joined(separator: " "))]")
        let notInitialized = WaitingReason(
            "ContainersNotInitialized",
            "containers with incomplete status: [\(pendingInit.joined(separator: " "))]")
        return [
            condition("PodReadyToStartContainers", hasSandbox, nil, now),
            condition("Initialized", isInitialized, notInitialized, now),
            condition("Ready", isReady, notReady, now),
            condition("ContainersReady", isReady, notReady, now),
            condition("PodScheduled", true, nil, now),
        ]
    }

    private func condition(_ type: String, _ isTrue: Bool, _ otherwise: WaitingReason?, _ now: Timestamp)
        -> Condition
    {
        var condition = Condition()
        condition.type = type
        condition.status = isTrue ? "True" : "False"
        if !isTrue {
            condition.reason = otherwise?.reason
            condition.message = otherwise?.message
        }
        let earlier = before.first { $0.type == type }
        condition.lastTransitionTime = earlier?.status == condition.status ? earlier?.lastTransitionTime : nil
        condition.lastTransitionTime = condition.lastTransitionTime ?? now.text
        return condition
    }
}
