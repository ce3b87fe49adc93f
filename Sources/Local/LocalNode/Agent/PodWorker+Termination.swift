internal import Logging
internal import MeshKubernetes

// The way out: hooks, SIGTERM, grace, SIGKILL, then the object itself.

extension PodWorker {
    /// How far a pod's end has come.
    struct Termination {
        let deadline: Timestamp
        /// Containers that were sent SIGTERM.
        var signalled: Set<String> = []
    }

    /// One step of ending the pod. True when it is gone.
    func terminate(_ client: InitClient, now: Timestamp) async throws -> Bool {
        if termination == nil { await beginTermination(client, now: now) }
        records = await client.containers
        let running = progress.filter { records[$0.spec.name]?.current.state == .running }
        if running.isEmpty {
            plan?.phase = records.values.allSatisfy { $0.current.exitCode == 0 } ? .succeeded : .failed
            await publishStatus()
            await end(client)
            try await finish()
            return true
        }
        if let termination, termination.deadline <= SystemClock.now() {
            for container in running {
                try await client.request(.signal(container: container.spec.name, signal: Processes.kill9))
            }
        } else if running.allSatisfy({ $0.role == .sidecar }) {
            // Sidecars serve the others to their end.
            for container in running { await signal(container.spec.name, client) }
        }
        await publishStatus()
        return false
    }

    private func beginTermination(_ client: InitClient, now: Timestamp) async {
        let grace = pod.metadata.deletionGracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? 30
        termination = Termination(deadline: now.adding(seconds: Double(grace)))
        await publishStatus()
        let ending = progress.filter {
            $0.role != .sidecar && records[$0.spec.name]?.current.state == .running
        }
        await withTaskGroup(of: Void.self) { group in
            for container in ending {
                context.recorder.record(
                    pod, container: container.spec.name, reason: "Killing",
                    message: "Stopping container \(container.spec.name)")
                group.addTask { await self.stop(container, client, graceSeconds: grace) }
            }
        }
    }

    private func stop(_ container: ContainerProgress, _ client: InitClient, graceSeconds: Int) async {
        if let hook = container.spec.lifecycle?.preStop, graceSeconds > 0,
            let message = await run(hook, container: container, client, timeoutSeconds: graceSeconds)
        {
            context.recorder.record(
                pod, container: container.spec.name, isWarning: true, reason: "FailedPreStopHook",
                message: "PreStopHook failed: \(message)")
        }
        await signal(container.spec.name, client)
    }

    private func signal(_ name: String, _ client: InitClient) async {
        guard termination?.signalled.insert(name).inserted == true else { return }
        _ = try? await client.request(.signal(container: name, signal: Processes.terminate))  // Gone already, perhaps.
    }

    /// Removes what the pod left on the node, and the object when it still exists.
    func finish() async throws {
        // Nothing that deserved a grace period runs any more.
        try await Sandbox.killInit(listeningOn: context.config.podDirectory(uid) + "/init.sock")
        hasSandbox = false
        await context.addresses.release(uid)
        Files.remove(context.config.podDirectory(uid))
        Files.remove(LaunchBuilder.logDirectory(of: pod, in: context.config.stateDirectory))
        guard !isGone else { return }
        do {
            let current = try await context.client.get(
                Pod.self, namespace: pod.metadata.namespace, name: pod.metadata.name ?? "")
            guard current.metadata.uid == uid else { return }
            try await context.client.delete(
                Pod.self, namespace: pod.metadata.namespace, name: pod.metadata.name ?? "",
                gracePeriodSeconds: 0)
        } catch let error as KubernetesError where error.isNotFound {
            return
        }
    }
}
