import LocalNode
import MeshKubernetes
import Testing

@Suite("Pod plan", .timeLimit(.minutes(1))) struct PodPlanTests {
    static let now = Timestamp(seconds: 2_000)

    static func plan(_ policy: RestartPolicy = .always, _ containers: [PlannedContainer]) -> PodPlan {
        PodPlan(policy: policy, containers: containers, now: now)
    }

    @Test("Init containers run one after the other, the others all at once")
    func order() {
        let a = PlannedContainer(name: "a", role: .initial)
        let b = PlannedContainer(name: "b", role: .initial)
        let x = PlannedContainer(name: "x", role: .main)
        let y = PlannedContainer(name: "y", role: .main)
        #expect(Self.plan(.always, [a, b, x, y]).start == ["a"])
        var running = a
        running.run = Fixtures.run()
        #expect(Self.plan(.always, [running, b, x, y]).start == [])
        var done = a
        done.run = Fixtures.run(exit: 0)
        let second = Self.plan(.always, [done, b, x, y])
        #expect(second.start == ["b"] && !second.isInitialized && second.phase == .pending)
        var both = b
        both.run = Fixtures.run(exit: 0)
        let third = Self.plan(.always, [done, both, x, y])
        #expect(third.start == ["x", "y"] && third.isInitialized)
    }

    @Test(
        "Restart policy decides what ends a pod",
        arguments: [
            (RestartPolicy.always, Int32(0), true, PodPlan.Phase.running), (.always, 1, true, .running),
            (.onFailure, 0, false, .succeeded), (.onFailure, 1, true, .running),
            (.never, 0, false, .succeeded), (.never, 1, false, .failed),
        ])
    func restarts(policy: RestartPolicy, code: Int32, starts: Bool, phase: PodPlan.Phase) {
        let main = PlannedContainer(name: "x", role: .main, run: Fixtures.run(exit: code))
        let plan = Self.plan(policy, [main])
        #expect(plan.start == (starts ? ["x"] : []))
        #expect(plan.phase == phase)
    }

    @Test("A container waits for its back-off")
    func backOff() {
        let later = PlannedContainer(
            name: "x", role: .main, run: Fixtures.run(exit: 1), startAt: Self.now.adding(seconds: 5))
        #expect(Self.plan(.always, [later]).start == [])
    }

    @Test("A failed init container is tried again, or fails a pod that never restarts")
    func initFailure() {
        let failed = PlannedContainer(name: "a", role: .initial, run: Fixtures.run(exit: 1))
        let main = PlannedContainer(name: "x", role: .main)
        #expect(Self.plan(.always, [failed, main]).start == ["a"])
        #expect(Self.plan(.never, [failed, main]).phase == .failed)
    }

    @Test("A sidecar lets the pod go on once it has started, and comes back whatever the policy")
    func sidecars() {
        var sidecar = PlannedContainer(name: "s", role: .sidecar, run: Fixtures.run(), isStarted: false)
        let main = PlannedContainer(name: "x", role: .main)
        #expect(!Self.plan(.never, [sidecar, main]).isInitialized)
        sidecar.isStarted = true
        #expect(Self.plan(.never, [sidecar, main]).start == ["x"])
        sidecar.run = Fixtures.run(exit: 0)
        #expect(Self.plan(.never, [sidecar, main]).start == ["s"])
    }

    @Test("A pod is pending until every container has run once")
    func pending() {
        let x = PlannedContainer(name: "x", role: .main, run: Fixtures.run())
        let y = PlannedContainer(name: "y", role: .main, startAt: Self.now.adding(seconds: 60))
        #expect(Self.plan(.always, [x, y]).phase == .pending)
        #expect(Self.plan(.always, [x]).phase == .running)
    }
}

@Suite("Crash back-off", .timeLimit(.minutes(1))) struct CrashBackOffTests {
    @Test("The first restart is immediate, then 10 s doubling to 5 minutes")
    func doubles() {
        var backOff = CrashBackOff()
        let waits = (0..<8).map { _ in backOff.ended(ranSeconds: 1) }
        #expect(waits == [0, 10, 20, 40, 80, 160, 300, 300])
    }

    @Test("A long run starts the count anew")
    func resets() {
        var backOff = CrashBackOff(restarts: 5)
        #expect(backOff.ended(ranSeconds: 5) == 160)
        #expect(backOff.ended(ranSeconds: 601) == 0)
        #expect(backOff.ended(ranSeconds: 1) == 10)
    }
}

@Suite("Probe thresholds", .timeLimit(.minutes(1))) struct ProbeMachineTests {
    static let start = Timestamp(seconds: 100)

    static func machine(_ kind: ProbeKind, _ fill: (inout Probe) -> Void = { _ in }) -> ProbeMachine {
        var probe = Probe()
        fill(&probe)
        return ProbeMachine(kind: kind, probe: probe, startedAt: start)
    }

    @Test("The first probe waits for the initial delay, the next for the period")
    func due() {
        var machine = Self.machine(.liveness) {
            $0.initialDelaySeconds = 7; $0.periodSeconds = 20
        }
        #expect(machine.dueAt == Timestamp(seconds: 107))
        _ = machine.record(isSuccess: true, at: Timestamp(seconds: 108))
        #expect(machine.dueAt == Timestamp(seconds: 128))
    }

    @Test("Liveness fails after its threshold of failures in a row")
    func liveness() {
        var machine = Self.machine(.liveness) { $0.failureThreshold = 2 }
        #expect(machine.record(isSuccess: false, at: Self.start) == nil)
        #expect(machine.record(isSuccess: true, at: Self.start) == .succeeded)
        #expect(machine.record(isSuccess: false, at: Self.start) == nil)
        #expect(machine.record(isSuccess: false, at: Self.start) == .failed)
    }

    @Test("Readiness comes and goes, each by its own threshold")
    func readiness() {
        var machine = Self.machine(.readiness) {
            $0.successThreshold = 2; $0.failureThreshold = 1
        }
        #expect(machine.record(isSuccess: true, at: Self.start) == nil)
        #expect(machine.record(isSuccess: true, at: Self.start) == .succeeded)
        #expect(machine.record(isSuccess: false, at: Self.start) == .failed)
        #expect(machine.record(isSuccess: true, at: Self.start) == nil)
        #expect(machine.record(isSuccess: true, at: Self.start) == .succeeded)
    }

    @Test("A container that is not ready yet is looked at every second")
    func eager() {
        var machine = Self.machine(.readiness) { $0.periodSeconds = 30 }
        _ = machine.record(isSuccess: false, at: Self.start)
        #expect(machine.dueAt == Self.start.adding(seconds: 1))
    }
}
