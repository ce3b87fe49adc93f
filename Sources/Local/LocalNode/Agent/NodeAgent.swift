public import Logging
public import MeshKubernetes

internal import MeshModel

// The node agent: one worker for each pod, DNS, ClusterIP rules, the node's record and the port-forward
// socket. It keeps nothing that it could not read again: pods live under their own inits and are adopted by
// the next agent.

/// Runs the pods of one node.
public struct NodeAgent: Sendable {
    private let config: NodeAgentConfig
    private let client: KubernetesClient
    private let logger: Logger

    public init(config: NodeAgentConfig, client: KubernetesClient, logger: Logger) {
        self.config = config
        self.client = client
        self.logger = logger
    }

    /// Works until cancelled; pods keep running after that.
    ///
    /// - Throws: When DNS or the port-forward socket cannot listen.
    public func run() async throws {
        for directory in ["pods", "logs", "run", "volumes/pvc"] {
            try Files.makeDirectory("\(config.stateDirectory)/\(directory)", mode: 0o700)
        }
        var layout = HostLayout.current()
        if let programs = config.programs { layout.programs = programs }
        let services = ObjectCache<Service>(client: client, logger: logger)
        let slices = ObjectCache<EndpointSlice>(client: client, logger: logger)
        let pods = ObjectCache<Pod>(client: client, logger: logger)
        let context = NodeContext(
            config: config, client: client, layout: layout, images: ImageTable(programs: layout.programs),
            addresses: AddressPool(config: config),
            recorder: EventRecorder(client: client, nodeName: config.nodeName, logger: logger),
            prober: Prober(),
            services: services, logger: logger)
        let names = ClusterNames(clusterDomain: config.clusterDomain)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await services.run() }
            group.addTask { await slices.run() }
            group.addTask { await pods.run() }
            group.addTask { await context.recorder.run() }
            group.addTask { await NodeRegistration(config: config, client: client, logger: logger).run() }
            group.addTask {
                await ServiceProxy(
                    config: config, services: services, slices: slices, names: names, logger: logger
                ).run()
            }
            group.addTask {
                try await DNSServer(address: config.dnsAddress, port: 53, names: names, logger: logger).run()
            }
            group.addTask { try await PortForwardServer(config: config, logger: logger).run() }
            group.addTask { await PodDispatcher(context: context, pods: pods).run() }
            try await group.next()
            group.cancelAll()
        }
        await context.prober.shutdown()
    }
}

/// Gives each pod of the node its worker.
struct PodDispatcher: Sendable {
    let context: NodeContext
    let pods: ObjectCache<Pod>

    /// Dispatches until cancelled.
    func run() async {
        let roster = Roster()
        await withDiscardingTaskGroup { group in
            var isFirst = true
            for await _ in pods.changes() {
                let snapshot = pods.snapshot()
                if isFirst {
                    isFirst = false
                    await removeOrphans(keeping: Set(snapshot.values.compactMap(\.metadata.uid)))
                }
                let mine = snapshot.values.filter { $0.spec?.nodeName == context.config.nodeName }
                for pod in snapshot.values
                where (pod.spec?.nodeName ?? "").isEmpty && pod.metadata.deletionTimestamp == nil {
                    group.addTask { await bind(pod) }
                }
                for worker in await roster.assign(mine, context: context) {
                    group.addTask {
                        await worker.run()
                        await roster.forget(worker.uid)
                    }
                }
            }
        }
    }

    /// There is one node: an unscheduled pod is ours. A pod that is bound already answers 409.
    private func bind(_ pod: Pod) async {
        let namespace = pod.metadata.namespace ?? "default"
        let name = pod.metadata.name ?? ""
        do {
            _ = try await context.client.raw(
                "POST", path: "/api/v1/namespaces/\(namespace)/pods/\(name)/binding",
                body: [
                    "apiVersion": "v1", "kind": "Binding",
                    "metadata": ["name": .string(name), "namespace": .string(namespace)],
                    "target": ["apiVersion": "v1", "kind": "Node", "name": .string(context.config.nodeName)],
                ])
        } catch {
            context.logger.debug("Pod not bound", metadata: ["pod": "\(pod.key)", "error": "\(error)"])
        }
    }

    /// Sandboxes whose pods went away while no agent looked.
    private func removeOrphans(keeping known: Set<String>) async {
        for uid in Files.names(in: context.config.stateDirectory + "/pods") where !known.contains(uid) {
            var pod = Pod()
            pod.metadata.uid = uid
            let worker = PodWorker(pod: pod, context: context)
            await worker.remove()
            await worker.run()
        }
        for directory in Files.names(in: context.config.stateDirectory + "/logs") {
            if let uid = directory.split(separator: "_").last.map(String.init), uid.count == 36,
                !known.contains(uid)
            {
                Files.remove("\(context.config.stateDirectory)/logs/\(directory)")
            }
        }
    }
}

/// The workers by pod.
private actor Roster {
    private var workers: [String: PodWorker] = [:]

    /// Tells workers about their pods, and answers the new ones, to be run.
    func assign(_ pods: [Pod], context: NodeContext) async -> [PodWorker] {
        var fresh: [PodWorker] = []
        var seen: Set<String> = []
        for pod in pods {
            guard let uid = pod.metadata.uid else { continue }
            seen.insert(uid)
            if let worker = workers[uid] {
                await worker.update(pod)
            } else {
                let worker = PodWorker(pod: pod, context: context)
                workers[uid] = worker
                fresh.append(worker)
                guard pod.status?.startTime == nil, pod.metadata.deletionTimestamp == nil else { continue }
                context.recorder.record(
                    pod, reason: "Scheduled",
                    message: "Successfully assigned \(pod.key) to \(context.config.nodeName)")
            }
        }
        for (uid, worker) in workers where !seen.contains(uid) { await worker.remove() }
        return fresh
    }

    func forget(_ uid: String) { workers[uid] = nil }
}
