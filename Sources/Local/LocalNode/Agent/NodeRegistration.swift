internal import Logging
internal import MeshKubernetes
internal import MeshModel

/// The Node object: what this machine is, and a sign of life.
struct NodeRegistration: Sendable {
    /// Between two signs of life.
    static let interval: Duration = .seconds(30)

    let config: NodeAgentConfig
    let client: KubernetesClient
    let logger: Logger

    /// Registers, then reports until cancelled.
    func run() async {
        var wait: Duration = .seconds(1)
        while !Task.isCancelled {
            do {
                try await report()
                wait = Self.interval
            } catch {
                logger.debug("Node not reported", metadata: ["error": "\(error)"])
                wait = .seconds(1)
            }
            try? await Task.sleep(for: wait)  // Cancellation ends the loop.
        }
    }

    private func report() async throws {
        let now = SystemClock.now().text
        let existing: Node?
        do {
            existing = try await client.get(Node.self, name: config.nodeName)
        } catch let error as KubernetesError where error.isNotFound {
            existing = nil
        }
        if existing == nil {
            var node = Node()
            node.metadata.name = config.nodeName
            node.metadata.labels = labels
            node.spec = NodeSpec(podCIDR: "\(config.podPrefix).0.0/16")
            _ = try await client.create(node)
        }
        let since = existing?.status?.conditions?.first { $0.type == "Ready" && $0.status == "True" }?
            .lastTransitionTime
        _ = try await client.patch(
            Node.self, name: config.nodeName, subresource: "status",
            body: ["status": status(now: now, readySince: since ?? now)])
    }

    private var architecture: String {
        #if arch(arm64)
            "arm64"
        #else
            "amd64"
        #endif
    }

    private var labels: [String: String] {
        [
            "kubernetes.io/hostname": config.nodeName, "kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture,
            "node-role.kubernetes.io/control-plane": "",
        ]
    }

    private func status(now: String, readySince: String) -> JSONValue {
        let resources: JSONValue = [
            "cpu": .string("\(NodeCapacity.processors)"),
            "memory": .string("\(NodeCapacity.memoryKibibytes)Ki"),
            "pods": "250", "ephemeral-storage": "10Gi",
        ]
        let condition = { (type: String, status: String, reason: String, message: String) -> JSONValue in
            [
                "type": .string(type), "status": .string(status), "reason": .string(reason),
                "message": .string(message),
                "lastHeartbeatTime": .string(now), "lastTransitionTime": .string(readySince),
            ]
        }
        let trimmed = { (path: String) -> JSONValue in
            .string((Files.readText(path) ?? "").filter { !$0.isNewline })
        }
        let system =
            (Files.readText("/etc/os-release") ?? "").split(separator: "\n")
            .first { $0.hasPrefix("PRETTY_NAME=") }?.dropFirst(12).filter { $0 != "\"" } ?? "Linux"
        return [
            "capacity": resources, "allocatable": resources,
            "conditions": [
                condition(
                    "MemoryPressure", "False", "KubeletHasSufficientMemory",
                    "kubelet has sufficient memory available"),
                condition(
                    "DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition(
                    "PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "the local node is ready"),
            ],
            "addresses": [
                ["type": "InternalIP", "address": .string(config.nodeAddress)],
                ["type": "Hostname", "address": .string(config.nodeName)],
            ],
            "nodeInfo": [
                "machineID": trimmed("/etc/machine-id"), "systemUUID": "",
                "bootID": trimmed("/proc/sys/kernel/random/boot_id"),
                "kernelVersion": trimmed("/proc/sys/kernel/osrelease"), "osImage": .string(String(system)),
                "containerRuntimeVersion": .string("linkerd-local://\(BuildVersion.current)"),
                "kubeletVersion": .string("v1.31.0-linkerd-local-\(BuildVersion.current)"),
                "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": .string(architecture),
            ],
        ]
    }
}
