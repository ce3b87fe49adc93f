internal import MeshKubernetes

// A pod's sandbox: its init, namespaces, address and link to the node. The init is nobody's child but the
// node's PID 1's, so it outlives the agent; `pods/<uid>/ready` says that it was set up to the end and may be
// adopted.

struct Sandbox: Sendable {
    let context: NodeContext
    let pod: Pod
    let address: String

    private var uid: String { pod.metadata.uid ?? "" }
    private var directory: String { context.config.podDirectory(uid) }
    private var socketPath: String { directory + "/init.sock" }
    private var readyPath: String { directory + "/ready" }

    /// Waiting for a fresh init to listen, in steps of 10 ms.
    static let connectAttemptsMax = 1_000

    /// Connects to the init of a sandbox that an earlier agent made; `nil` when there is none that works.
    func adopt() async -> InitClient? {
        guard Files.exists(readyPath) else { return nil }
        return try? await InitClient.connect(socketPath: socketPath)  // Refused: the init is gone.
    }

    /// Starts an init and leaves the rest to `finish`.
    func create(dns: String) async throws -> InitClient {
        Files.remove(readyPath)
        try await Self.killInit(listeningOn: socketPath)
        Files.remove(socketPath)
        Files.remove(directory + "/scratch")
        for part in ["etc", "scratch", "volumes"] { try Files.makeDirectory("\(directory)/\(part)") }
        try Files.writeText(dns, to: directory + "/etc/resolv.conf")
        try Files.writeText(hosts, to: directory + "/etc/hosts")
        try Files.writeText(LaunchBuilder.hostname(of: pod) + "\n", to: directory + "/etc/hostname")
        let executable = context.layout.executable
        let (socket, directory, hostname) = (socketPath, directory, LaunchBuilder.hostname(of: pod))
        let process = try await onBlockingThread {
            let log = try Descriptor.appending(path: directory + "/init.log")
            let request = SpawnRequest(
                executables: [executable],
                arguments: ["linkerd", "local-run", "pod-init", "--socket", socket],
                environment: [Tool.searchPath])
            let null = try Descriptor.null()
            request.standard(input: null, output: log, error: log)
            request.create(namespaces: [.mount, .process, .network, .hostname])
            request.setHostname(hostname)
            request.setNewSession()
            request.setDetached()
            return try request.start()
        }
        try await attach(process)
        return try await connect()
    }

    /// Gives the network and the memory to a connected init, and marks the sandbox as complete.
    func finish(_ client: InitClient, volumes: [String: VolumeDirectory]) async throws {
        try await client.request(.network(address: address, gateway: context.config.nodeAddress))
        try await client.request(
            .memoryVolume(path: directory + "/scratch", megabytes: InitLimits.scratchMegabytesMax))
        for volume in volumes.values {
            if let megabytes = volume.memoryMegabytes {
                try await client.request(.memoryVolume(path: volume.path, megabytes: megabytes))
            }
        }
        try Files.write([], to: readyPath)
    }

    /// Kills a pod's init, and with it everything in the pod, whether or not it has got as far as listening.
    static func killInit(listeningOn socketPath: String) async throws {
        try await onBlockingThread {
            for process in Files.names(in: "/proc").compactMap({ Int32($0) }) {
                let words = (Files.readText("/proc/\(process)/cmdline") ?? "").split(separator: "\0")
                if words.contains("pod-init"), words.contains(where: { $0 == socketPath }) {
                    Processes.signal(process, Processes.kill9)
                }
            }
        }
    }

    private func connect() async throws -> InitClient {
        for _ in 0..<Self.connectAttemptsMax {
            if let client = try? await InitClient.connect(socketPath: socketPath) { return client }  // Not yet.
            try await Task.sleep(for: .milliseconds(10))
        }
        throw SystemError(
            operation: "pod init did not start: \(Files.readText(directory + "/init.log") ?? "")", code: 110)
    }

    /// The pod's end of the link is made inside its namespace; the node's end gets the pod's /32. No bridge:
    /// every packet passes the node's netfilter, whatever br_netfilter is set to.
    private func attach(_ process: Int32) async throws {
        let name = Self.linkName(of: address)
        let address = address
        let node = context.config.nodeAddress
        try await onBlockingThread {
            // The link of an earlier sandbox goes with its namespace, a moment after its init.
            _ = try? Tool.run(["ip", "link", "delete", name])
            try Tool.run([
                "ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", "\(process)",
            ])
            try Tool.run(["ip", "link", "set", name, "up"])
            try Tool.run(["ip", "route", "replace", "\(address)/32", "dev", name, "src", node])
        }
    }

    /// At most 15 bytes, unique as the address is: 10.244.1.7 → pod1-7.
    static func linkName(of address: String) -> String {
        let parts = address.split(separator: ".")
        return "pod" + parts.suffix(2).joined(separator: "-")
    }

    private var hosts: String {
        var text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        let name = LaunchBuilder.hostname(of: pod)
        if let subdomain = pod.spec?.subdomain, !subdomain.isEmpty {
            let namespace = pod.metadata.namespace ?? "default"
            text +=
                "\(address)\t\(name).\(subdomain).\(namespace).svc.\(context.config.clusterDomain)\t\(name)\n"
        } else {
            text += "\(address)\t\(name)\n"
        }
        for alias in pod.spec?.hostAliases ?? [] {
            if let ip = alias.ip { text += "\(ip)\t\((alias.hostnames ?? []).joined(separator: "\t"))\n" }
        }
        return text
    }

    /// The text of a pod's resolv.conf: search domains of its namespace, `ndots:5` as on Kubernetes.
    static func resolverConfig(for pod: Pod, config: NodeAgentConfig) -> String {
        let namespace = pod.metadata.namespace ?? "default"
        let domain = config.clusterDomain
        return """
            nameserver \(config.dnsAddress)
            search \(namespace).svc.\(domain) svc.\(domain) \(domain)
            options ndots:5

            """
    }
}
