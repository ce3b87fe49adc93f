internal import Logging
internal import MeshKubernetes

extension PodWorker {
    /// Wait before another try to start what could not be started.
    private static func retrySeconds(_ failures: Int) -> Double {
        min(300, 5 * Double(1 << min(failures, 6)))
    }

    /// Starts one container, or notes why it cannot be started.
    func start(_ name: String, _ client: InitClient) async {
        guard let index = progress.firstIndex(where: { $0.spec.name == name }), let address else { return }
        let container = progress[index].spec
        let image = container.image ?? ""
        do {
            let builder = LaunchBuilder(
                config: context.config, layout: context.layout, images: context.images, pod: pod,
                podIP: address,
                volumes: mounted, services: Array(context.services.snapshot().values),
                objects: try await referencedObjects(of: container))
            let launch = try builder.launch(container, attempt: progress[index].nextAttempt)
            try Files.makeDirectory(
                "\(LaunchBuilder.logDirectory(of: pod, in: context.config.stateDirectory))/\(name)")
            context.recorder.record(
                pod, container: name, reason: "Pulled",
                message: "Container image \"\(image)\" already present on machine")
            context.recorder.record(
                pod, container: name, reason: "Created", message: "Created container: \(name)")
            try await client.request(.start(launch))
        } catch {
            failed(index, image: image, error)
            return
        }
        records = await client.containers
        progress[index].nextAttempt += 1
        progress[index].failedStarts = 0
        progress[index].waiting = nil
        progress[index].startAt = nil
        progress[index].killAt = nil
        progress[index].beginProbes(at: SystemClock.now())
        context.recorder.record(pod, container: name, reason: "Started", message: "Started container \(name)")
        if let hook = container.lifecycle?.postStart { await afterStart(hook, index: index, client) }
    }

    private func failed(_ index: Int, image: String, _ error: any Error) {
        let name = progress[index].spec.name
        let failures = progress[index].failedStarts
        progress[index].failedStarts += 1
        progress[index].startAt = SystemClock.now().adding(seconds: Self.retrySeconds(failures))
        let waiting: WaitingReason
        switch error {
        case let error as ImageError where error.kind == .notFound:
            context.recorder.record(
                pod, container: name, isWarning: true, reason: "Failed",
                message: "Failed to pull image \"\(image)\": \(error.message)")
            context.recorder.record(
                pod, container: name, isWarning: true, reason: "Failed", message: "Error: ErrImagePull")
            // The status between two tries, as on a real node.
            waiting =
                failures == 0
                ? WaitingReason("ErrImagePull", error.message)
                : WaitingReason("ImagePullBackOff", "Back-off pulling image \"\(image)\": \(error.message)")
            if failures > 0 {
                context.recorder.record(
                    pod, container: name, reason: "BackOff", message: "Back-off pulling image \"\(image)\"")
            }
        case let error as ImageError: waiting = WaitingReason(error.kind.rawValue, error.message)
        case let error as ConfigurationError:
            waiting = WaitingReason("CreateContainerConfigError", error.message)
        case let error as InitClient.RequestError:
            waiting = WaitingReason(
                error.isProgramMissing ? "RunContainerError" : "CreateContainerError", error.message)
        default: waiting = WaitingReason("CreateContainerError", "\(error)")
        }
        progress[index].waiting = waiting
        if !(error is ImageError) {
            context.recorder.record(
                pod, container: name, isWarning: true, reason: "Failed",
                message: "Error: \(waiting.message ?? "")")
        }
    }

    /// Fetches what the container's environment names. What is missing is the builder's to judge: it may be
    /// optional.
    private func referencedObjects(of container: Container) async throws -> ReferencedObjects {
        var maps: Set<String> = []
        var secrets: Set<String> = []
        for variable in container.env ?? [] {
            if let name = variable.valueFrom?.configMapKeyRef?.name { maps.insert(name) }
            if let name = variable.valueFrom?.secretKeyRef?.name { secrets.insert(name) }
        }
        for source in container.envFrom ?? [] {
            if let name = source.configMapRef?.name { maps.insert(name) }
            if let name = source.secretRef?.name { secrets.insert(name) }
        }
        var objects = ReferencedObjects()
        for name in maps { objects.configMaps[name] = try await find(ConfigMap.self, name) }
        for name in secrets { objects.secrets[name] = try await find(Secret.self, name) }
        return objects
    }

    private func find<T: KubernetesObject>(_ type: T.Type, _ name: String) async throws -> T? {
        do {
            return try await context.client.get(type, namespace: pod.metadata.namespace, name: name)
        } catch let error as KubernetesError where error.isNotFound {
            return nil
        }
    }

    // MARK: hooks

    /// Longest wait for a hook after the start.
    private static let postStartSecondsMax = 120

    private func afterStart(_ hook: LifecycleHandler, index: Int, _ client: InitClient) async {
        guard
            let message = await run(
                hook, container: progress[index], client, timeoutSeconds: Self.postStartSecondsMax)
        else { return }
        let name = progress[index].spec.name
        context.recorder.record(
            pod, container: name, isWarning: true, reason: "FailedPostStartHook",
            message: "PostStartHook failed: \(message)")
        await kill(name, client, why: "FailedPostStartHook")
    }

    /// Runs a life-cycle hook. `nil` when it succeeded, else why not.
    func run(
        _ hook: LifecycleHandler, container: ContainerProgress, _ client: InitClient, timeoutSeconds: Int
    ) async -> String? {
        if let action = hook.exec {
            return await failure(
                of: action.command ?? [], in: container.spec.name, client, timeoutSeconds: timeoutSeconds)
        }
        if let action = hook.httpGet, let port = container.port(action.port), let address {
            return await context.prober.failure(
                of: action, port: port, address: address, timeoutSeconds: timeoutSeconds)
        }
        if let action = hook.sleep {
            try? await Task.sleep(for: .seconds(min(action.seconds, timeoutSeconds)))  // Cancelled: the agent ends.
        }
        return nil
    }

    /// `nil` when the command exits with 0 inside the container.
    func failure(
        of command: [String], in name: String, _ client: InitClient, timeoutSeconds: Int
    ) async -> String? {
        do {
            let reply = try await client.request(
                .execute(container: name, command: command, timeoutSeconds: timeoutSeconds))
            if reply.exitCode == 0 { return nil }
            return "command exited with \(reply.exitCode ?? -1): \((reply.output ?? "").prefix(200))"
        } catch {
            return "command \"\(command.joined(separator: " "))\": \(error)"
        }
    }

    /// Asks a container to end; `killOverdue` follows up.
    func kill(_ name: String, _ client: InitClient, why: String) async {
        guard let index = progress.firstIndex(where: { $0.spec.name == name }) else { return }
        context.recorder.record(pod, container: name, reason: "Killing", message: why)
        let grace =
            progress[index].spec.livenessProbe?.terminationGracePeriodSeconds
            ?? pod.spec?.terminationGracePeriodSeconds ?? 30
        progress[index].killAt = SystemClock.now().adding(seconds: Double(grace))
        _ = try? await client.request(.signal(container: name, signal: Processes.terminate))  // Gone already, perhaps.
    }

    /// Kills what did not end in its time.
    func killOverdue(_ client: InitClient, now: Timestamp) async {
        for container in progress {
            guard let killAt = container.killAt, killAt <= now else { continue }
            _ = try? await client.request(.signal(container: container.spec.name, signal: Processes.kill9))  // As above.
        }
    }
}
