internal import MeshKubernetes

extension PodWorker {
    /// One probe to run now.
    private struct DueProbe: Sendable {
        let name: String
        let kind: ProbeKind
        let attempt: Int
    }

    /// Runs the pod's probes as they fall due, until cancelled.
    func probe(_ client: InitClient) async {
        while !Task.isCancelled {
            let due = dueProbes(at: SystemClock.now())
            if due.isEmpty {
                try? await Task.sleep(for: .milliseconds(250))  // Cancellation ends the loop.
                continue
            }
            await withTaskGroup(of: Void.self) { group in
                for probe in due { group.addTask { await self.run(probe, client) } }
            }
        }
    }

    private func dueProbes(at now: Timestamp) -> [DueProbe] {
        guard termination == nil else { return [] }
        return progress.flatMap { container -> [DueProbe] in
            guard let run = records[container.spec.name]?.current, run.state == .running else { return [] }
            return container.probes.compactMap { kind, machine in
                let isOpen = kind == .startup ? machine.verdict == .undecided : container.isStarted
                guard isOpen, machine.dueAt <= now, container.killAt == nil else { return nil }
                return DueProbe(name: container.spec.name, kind: kind, attempt: run.attempt)
            }
        }
    }

    private func run(_ due: DueProbe, _ client: InitClient) async {
        guard let container = progress.first(where: { $0.spec.name == due.name }),
            let probe = container[due.kind]
        else {
            return
        }
        let message = await failure(of: probe, container: container, client)
        guard let index = progress.firstIndex(where: { $0.spec.name == due.name }),
            records[due.name]?.current.attempt == due.attempt, termination == nil
        else { return }
        let now = SystemClock.now()
        let change = progress[index].probes[due.kind]?.record(isSuccess: message == nil, at: now)
        if let message {
            context.recorder.record(
                pod, container: due.name, isWarning: true, reason: "Unhealthy",
                message: "\(due.kind.rawValue) probe failed: \(message)")
        }
        guard let change else { return }
        if change == .failed, due.kind != .readiness {
            await kill(
                due.name, client,
                why: "Container \(due.name) failed \(due.kind.rawValue.lowercased()) probe, will be restarted"
            )
        }
        wakeUp()
    }

    private func failure(of probe: Probe, container: ContainerProgress, _ client: InitClient) async -> String?
    {
        let timeout = max(1, probe.timeoutSeconds ?? 1)
        guard let address else { return "pod has no address" }
        if let action = probe.httpGet {
            guard let port = container.port(action.port) else { return "no port named \(action.port.text)" }
            return await context.prober.failure(
                of: action, port: port, address: address, timeoutSeconds: timeout)
        }
        if let action = probe.tcpSocket {
            guard let port = container.port(action.port) else { return "no port named \(action.port.text)" }
            return await context.prober.failure(
                ofConnectingTo: action.host ?? address, port: port, timeoutSeconds: timeout)
        }
        if let action = probe.exec {
            return await failure(
                of: action.command ?? [], in: container.spec.name, client, timeoutSeconds: timeout)
        }
        if let action = probe.grpc {
            return await context.prober.failure(
                ofHealthCheck: action.service ?? "", address: address, port: action.port, timeoutSeconds: timeout)
        }
        return nil
    }
}
