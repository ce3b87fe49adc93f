package import MeshKubernetes

// When a probe is due and what its results mean: thresholds as in the Kubernetes API (core/v1 Probe).
// Results and time are arguments; running the probe is `Prober`'s.

/// Which of a container's probes.
package enum ProbeKind: String, Sendable, Hashable, CaseIterable {
    case startup = "Startup"
    case liveness = "Liveness"
    case readiness = "Readiness"
}

/// The state of one probe of one run of a container.
package struct ProbeMachine: Sendable, Hashable {
    /// What a new result amounts to.
    package enum Verdict: Sendable, Hashable { case undecided, succeeded, failed }

    package let kind: ProbeKind
    private let periodSeconds: Double
    private let successThreshold: Int
    private let failureThreshold: Int
    private var successes = 0
    private var failures = 0
    package private(set) var verdict = Verdict.undecided
    /// When to probe next.
    package private(set) var dueAt: Timestamp

    package init(kind: ProbeKind, probe: Probe, startedAt: Timestamp) {
        self.kind = kind
        periodSeconds = Double(max(1, probe.periodSeconds ?? 10))
        // Liveness and startup must succeed once only; the API refuses anything else.
        successThreshold = kind == .readiness ? max(1, probe.successThreshold ?? 1) : 1
        failureThreshold = max(1, probe.failureThreshold ?? 3)
        dueAt = startedAt.adding(seconds: Double(max(0, probe.initialDelaySeconds ?? 0)))
    }

    /// Takes one result, and answers the verdict when it changed.
    package mutating func record(isSuccess: Bool, at now: Timestamp) -> Verdict? {
        // Until the first success a container is looked at every second, so that a pod is ready when it is.
        let isWaiting = verdict == .undecided || (kind == .readiness && verdict == .failed)
        dueAt = now.adding(
            seconds: isWaiting && !isSuccess && kind == .readiness ? min(1, periodSeconds) : periodSeconds)
        let before = verdict
        if isSuccess {
            successes += 1
            failures = 0
            if successes >= successThreshold { verdict = .succeeded }
        } else {
            failures += 1
            successes = 0
            // An unready container needs no further proof; one that was ready needs `failureThreshold`
            // failures.
            if failures >= failureThreshold { verdict = .failed }
        }
        return verdict == before ? nil : verdict
    }
}
