internal import Logging
internal import MeshKubernetes

// One pod from its first sight to its removal. The worker looks (at the spec and at the init's records),
// asks `PodPlan` what to do, does it, and writes the status; it is woken by news from either side and once a
// second. When the agent ends, workers stop looking and pods go on; the next agent's workers adopt them.

actor PodWorker {
    /// A worker looks at least this often.
    static let tick: Duration = .seconds(1)
    /// Wait after a sandbox or volume that could not be made.
    static let retry: Duration = .seconds(2)

    let context: NodeContext
    let uid: String
    let volumes: PodVolumes
    var pod: Pod
    /// The object is gone from the API: end at once.
    var isGone = false
    var progress: [ContainerProgress]
    var address: String?
    var mounted: [String: VolumeDirectory] = [:]
    var published: PodStatus?
    var records: [String: ContainerRecord] = [:]
    var plan: PodPlan?
    var hasSandbox = false
    var termination: Termination?
    private var wake: AsyncStream<Void>.Continuation?

    init(pod: Pod, context: NodeContext) {
        self.pod = pod
        self.context = context
        uid = pod.metadata.uid ?? ""
        volumes = PodVolumes(context: context, uid: uid)
        progress = Self.initialProgress(of: pod)
        published = pod.status
    }

    var logger: Logger {
        var logger = context.logger
        logger[metadataKey: "pod"] = "\(pod.key)"
        return logger
    }

    /// Takes the newest version of the pod.
    func update(_ pod: Pod) {
        self.pod = pod
        wake?.yield()
    }

    /// Makes the worker look again soon.
    func wakeUp() { wake?.yield() }

    /// Hears that the object has gone.
    func remove() {
        isGone = true
        wake?.yield()
    }

    /// Works until the pod is gone, or until cancelled, which leaves the pod running.
    func run() async {
        while !Task.isCancelled {
            do {
                if isGone || isDeletionRequested && !hasAdoptableSandbox || isOver && isDeletionRequested {
                    try await finish()
                    return
                }
                if isOver {
                    await waitForChange()
                    continue
                }
                if try await live() { return }
            } catch is CancellationError {
                return
            } catch {
                report(error)
                await publishStatus()
                try? await Task.sleep(for: Self.retry)  // Cancellation ends the loop.
            }
        }
    }

    var isDeletionRequested: Bool { pod.metadata.deletionTimestamp != nil }

    /// Whether the pod has come to its end by itself.
    var isOver: Bool {
        let phase = published?.phase ?? pod.status?.phase
        return phase == "Succeeded" || phase == "Failed"
    }

    private var hasAdoptableSandbox: Bool { Files.exists(context.config.podDirectory(uid) + "/ready") }

    private func waitForChange() async {
        let (ticks, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        wake = continuation
        if isGone || isDeletionRequested { return }
        for await _ in ticks { return }
    }

    // MARK: one sandbox's life

    /// Serves one sandbox. True when the pod is finished, false when the sandbox was lost or the pod has
    /// ended by itself.
    private func live() async throws -> Bool {
        try Files.makeDirectory(context.config.podDirectory(uid))
        try Files.makeDirectory(LaunchBuilder.logDirectory(of: pod, in: context.config.stateDirectory))
        let address = try await context.addresses.address(of: uid)
        self.address = address
        let sandbox = Sandbox(context: context, pod: pod, address: address)
        mounted = try await volumes.prepare(pod, podIP: address)
        let adopted = await sandbox.adopt()
        let client: InitClient
        if let adopted {
            client = adopted
        } else {
            resetForNewSandbox()
            client = try await sandbox.create(dns: Sandbox.resolverConfig(for: pod, config: context.config))
        }
        let (ticks, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        wake = continuation
        let isFinished = await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await client.run { continuation.yield() }
                continuation.finish()
            }
            group.addTask {
                while (try? await Task.sleep(for: Self.tick)) != nil { continuation.yield() }  // Until cancelled.
            }
            group.addTask { await self.probe(client) }
            var isSetUp = false
            var isFinished = false
            for await _ in ticks {
                do {
                    if !isSetUp {
                        try await self.setUp(sandbox, client, isAdopted: adopted != nil)
                        isSetUp = true
                    }
                    isFinished = try await self.look(client)
                    if isFinished || self.isOver { break }
                } catch {
                    self.logger.warning("Pod could not be advanced", metadata: ["error": "\(error)"])
                    if !isSetUp { break }
                }
            }
            group.cancelAll()
            return isFinished
        }
        if isFinished { return true }
        if isOver, !Task.isCancelled { await end(client) }
        if !Task.isCancelled, !isOver { lostSandbox() }
        return false
    }

    private func setUp(_ sandbox: Sandbox, _ client: InitClient, isAdopted: Bool) async throws {
        if isAdopted {
            try await client.request(.list)
            await adopt(await client.containers)
        } else {
            try await sandbox.finish(client, volumes: mounted)
        }
        hasSandbox = true
    }

    /// Stops an init whose work is done.
    func end(_ client: InitClient) async {
        _ = try? await client.request(.shutdown)  // The answer may be the hang-up.
        hasSandbox = false
    }

    /// One look at the pod. True when it is finished and removed.
    private func look(_ client: InitClient) async throws -> Bool {
        records = await client.containers
        let now = SystemClock.now()
        settle(now)
        if isGone {
            await end(client)
            try await finish()
            return true
        }
        if isDeletionRequested { return try await terminate(client, now: now) }
        await killOverdue(client, now: now)
        let plan = PodPlan(policy: policy, containers: planned, now: now)
        self.plan = plan
        for name in plan.start {
            guard !isDeletionRequested, !isGone else { break }
            await start(name, client)
        }
        if !plan.start.isEmpty {
            records = await client.containers
            self.plan = PodPlan(policy: policy, containers: planned, now: SystemClock.now())
            self.plan?.start = []
        }
        await publishStatus()
        if let address { await volumes.refresh(pod, podIP: address) }
        return false
    }

    var policy: RestartPolicy { RestartPolicy(rawValue: pod.spec?.restartPolicy ?? "Always") ?? .always }

    private var planned: [PlannedContainer] {
        progress.map { container in
            PlannedContainer(
                name: container.spec.name, role: container.role, run: records[container.spec.name]?.current,
                isStarted: container.isStarted, startAt: container.startAt)
        }
    }
}
