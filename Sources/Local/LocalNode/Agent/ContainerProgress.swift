internal import MeshKubernetes

/// What a worker remembers of one container between two looks at it.
struct ContainerProgress {
    let spec: Container
    let role: PlannedContainer.Role
    /// Number of the next run.
    var nextAttempt = 0
    var backOff = CrashBackOff()
    /// Tries to pull, configure or start that failed in a row.
    var failedStarts = 0
    var startAt: Timestamp?
    var waiting: WaitingReason?
    /// How the last run of an earlier sandbox ended.
    var lastState: ContainerState?
    /// The run whose end has been taken in.
    var settledAttempt = -1
    var probes: [ProbeKind: ProbeMachine] = [:]
    /// When a container that was told to end is killed.
    var killAt: Timestamp?

    init(spec: Container, role: PlannedContainer.Role) {
        self.spec = spec
        self.role = role
    }

    /// Whether the startup probe is through, or there is none.
    var isStarted: Bool { probes[.startup].map { $0.verdict == .succeeded } ?? true }
    /// Whether the container takes traffic, given that it runs.
    var isReady: Bool { isStarted && (probes[.readiness].map { $0.verdict == .succeeded } ?? true) }

    /// Fresh probes for a run that began at `start`.
    mutating func beginProbes(at start: Timestamp) {
        probes = [:]
        for kind in ProbeKind.allCases {
            if let probe = self[kind] {
                probes[kind] = ProbeMachine(kind: kind, probe: probe, startedAt: start)
            }
        }
    }

    /// The spec's probe of a kind.
    subscript(_ kind: ProbeKind) -> Probe? {
        switch kind {
        case .startup: spec.startupProbe
        case .liveness: spec.livenessProbe
        case .readiness: spec.readinessProbe
        }
    }

    /// The number of a port given by name or number.
    func port(_ port: IntOrString) -> Int? {
        if let number = port.intValue { return number }
        return spec.ports?.first { $0.name == port.text }?.containerPort
    }
}
