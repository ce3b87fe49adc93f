// What to do next with a pod's containers: a pure function of what was asked (spec), what is (the init's
// records) and the time. The worker performs the answer and asks again. Follows the pod life cycle of the
// Kubernetes documentation: init containers one after the other, sidecars (init containers with
// restartPolicy Always) running on, then all others.

/// One container as the plan sees it.
package struct PlannedContainer: Sendable, Hashable {
    package enum Role: Sendable, Hashable { case initial, sidecar, main }
    package var name: String
    package var role: Role
    /// The newest run, `nil` before the first start in this sandbox.
    package var run: ContainerRun?
    /// Whether the startup probe (or the start itself, without one) has succeeded.
    package var isStarted: Bool
    /// When the next start may happen; `nil`: at once.
    package var startAt: Timestamp?

    package init(
        name: String, role: Role, run: ContainerRun? = nil, isStarted: Bool = false, startAt: Timestamp? = nil
    ) {
        self.name = name
        self.role = role
        self.run = run
        self.isStarted = isStarted
        self.startAt = startAt
    }
}

/// When containers of a pod run again.
package enum RestartPolicy: String, Sendable {
    case always = "Always"
    case onFailure = "OnFailure"
    case never = "Never"

    func restarts(after exitCode: Int32) -> Bool {
        switch self {
        case .always: true
        case .onFailure: exitCode != 0
        case .never: false
        }
    }
}

/// What a pod has come to, and which containers to start now.
package struct PodPlan: Sendable, Hashable {
    package enum Phase: String, Sendable {
        case pending = "Pending", running = "Running", succeeded = "Succeeded", failed = "Failed"
    }
    /// Containers to start at once.
    package var start: [String] = []
    /// Whether every init container is done and every sidecar started.
    package var isInitialized = false
    package var phase = Phase.pending

    /// Plans for `containers`, in the order of the spec, init containers first.
    package init(policy: RestartPolicy, containers: [PlannedContainer], now: Timestamp) {
        let initial = containers.filter { $0.role != .main }
        let main = containers.filter { $0.role == .main }
        for container in initial {
            if isDone(container) { continue }
            if hasFailedForGood(container, policy: policy) {
                phase = .failed
                return
            }
            if canStart(container, now: now) { start.append(container.name) }
            keepSidecars(initial.prefix { $0.name != container.name }, now: now)
            return
        }
        isInitialized = true
        keepSidecars(initial[...], now: now)
        for container in main {
            guard let run = container.run else {
                if isDue(container, now: now) { start.append(container.name) }
                continue
            }
            if run.state == .exited, policy.restarts(after: run.exitCode), isDue(container, now: now) {
                start.append(container.name)
            }
        }
        decidePhase(main, policy: policy)
    }

    private func isDone(_ container: PlannedContainer) -> Bool {
        switch container.role {
        case .sidecar: container.run?.state == .running && container.isStarted
        case .initial: container.run?.state == .exited && container.run?.exitCode == 0
        case .main: true
        }
    }

    private func hasFailedForGood(_ container: PlannedContainer, policy: RestartPolicy) -> Bool {
        container.role == .initial && policy == .never && container.run?.state == .exited
    }

    private func isDue(_ container: PlannedContainer, now: Timestamp) -> Bool {
        container.startAt.map { $0 <= now } ?? true
    }

    private func canStart(_ container: PlannedContainer, now: Timestamp) -> Bool {
        container.run?.state != .running && isDue(container, now: now)
    }

    /// A sidecar that ended comes back, whatever the pod's policy.
    private mutating func keepSidecars(_ containers: ArraySlice<PlannedContainer>, now: Timestamp) {
        for container in containers where container.role == .sidecar && container.run != nil {
            if canStart(container, now: now) { start.append(container.name) }
        }
    }

    private mutating func decidePhase(_ main: [PlannedContainer], policy: RestartPolicy) {
        let runs = main.map(\.run)
        guard !runs.contains(nil) else { return }
        let ended = runs.compactMap { $0 }.filter {
            $0.state == .exited && !policy.restarts(after: $0.exitCode)
        }
        if ended.count == main.count {
            phase = ended.allSatisfy { $0.exitCode == 0 } ? .succeeded : .failed
        } else {
            phase = .running
        }
    }
}
