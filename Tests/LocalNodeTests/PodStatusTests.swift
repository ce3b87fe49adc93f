import LocalNode
import MeshKubernetes
import Testing

@Suite("Pod status", .timeLimit(.minutes(1))) struct PodStatusTests {
    static let now = Timestamp(seconds: 2_000)

    static func builder(_ phase: PodPlan.Phase, isInitialized: Bool = true) -> PodStatusBuilder {
        var builder = PodStatusBuilder(podUID: "u", hostIP: "10.244.0.1", phase: phase)
        builder.isInitialized = isInitialized
        builder.hasSandbox = true
        builder.podIP = "10.244.0.5"
        return builder
    }

    static func container(_ name: String, _ role: PlannedContainer.Role = .main, run: ContainerRun? = nil)
        -> ObservedContainer
    {
        var container = ObservedContainer(name: name, image: "image", role: role)
        container.record = run.map { ContainerRecord(current: $0, previous: nil) }
        container.isStarted = true
        container.isReady = true
        return container
    }

    @Test("A running and ready pod says so four times")
    func running() {
        let status = Self.builder(.running).status(
            of: [Self.container("x", run: Fixtures.run())], now: Self.now)
        #expect(
            status.phase == "Running" && status.podIP == "10.244.0.5"
                && status.podIPs?.first?.ip == "10.244.0.5")
        for type in ["Ready", "ContainersReady", "Initialized", "PodScheduled"] {
            #expect(status.conditions?.first { $0.type == type }?.status == "True", "\(type)")
        }
        let container = status.containerStatuses?.first
        #expect(
            container?.ready == true && container?.started == true
                && container?.containerID == "local://u/x/0")
        #expect(container?.state?.running?.startedAt == Timestamp(seconds: 1_000).text)
    }

    @Test("While init containers run, the others say PodInitializing: kubectl shows Init:0/1")
    func initializing() {
        let containers = [Self.container("i", .initial, run: Fixtures.run()), Self.container("x")]
        let status = Self.builder(.pending, isInitialized: false).status(of: containers, now: Self.now)
        #expect(status.containerStatuses?.first?.state?.waiting?.reason == "PodInitializing")
        #expect(status.initContainerStatuses?.first?.state?.running != nil)
        #expect(status.initContainerStatuses?.first?.ready == false)
        #expect(status.conditions?.first { $0.type == "Initialized" }?.reason == "ContainersNotInitialized")
    }

    @Test("Without a sandbox containers say ContainerCreating")
    func creating() {
        var builder = Self.builder(.pending, isInitialized: false)
        builder.hasSandbox = false
        let status = builder.status(of: [Self.container("x")], now: Self.now)
        #expect(status.containerStatuses?.first?.state?.waiting?.reason == "ContainerCreating")
    }

    @Test("A crash loop is a waiting reason, with the crash as last state")
    func crashLoop() {
        var container = Self.container("x", run: Fixtures.run(3, exit: 7))
        container.waiting = WaitingReason("CrashLoopBackOff", "back-off 40s")
        container.restartCount = 3
        let status = Self.builder(.running).status(of: [container], now: Self.now)
        let shown = status.containerStatuses?.first
        #expect(shown?.state?.waiting?.reason == "CrashLoopBackOff")
        #expect(shown?.lastState?.terminated?.exitCode == 7)
        #expect(shown?.lastState?.terminated?.reason == "Error")
        #expect(shown?.restartCount == 3 && shown?.ready == false)
        #expect(status.conditions?.first { $0.type == "Ready" }?.status == "False")
    }

    @Test("A pod that is done is complete, not unready")
    func succeeded() {
        let status = Self.builder(.succeeded).status(
            of: [Self.container("x", run: Fixtures.run(exit: 0))], now: Self.now)
        #expect(status.containerStatuses?.first?.state?.terminated?.reason == "Completed")
        #expect(status.conditions?.first { $0.type == "Ready" }?.reason == "PodCompleted")
    }

    @Test("A condition keeps its transition time until it changes")
    func transitions() {
        var builder = Self.builder(.running)
        builder.before =
            builder.status(of: [Self.container("x", run: Fixtures.run())], now: Self.now).conditions ?? []
        let later = Self.now.adding(seconds: 60)
        let same = builder.status(of: [Self.container("x", run: Fixtures.run())], now: later)
        #expect(same.conditions?.first { $0.type == "Ready" }?.lastTransitionTime == Self.now.text)
        let changed = builder.status(of: [Self.container("x", run: Fixtures.run(exit: 1))], now: later)
        #expect(changed.conditions?.first { $0.type == "Ready" }?.lastTransitionTime == later.text)
    }
}
