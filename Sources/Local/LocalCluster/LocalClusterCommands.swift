internal import Foundation
internal import LocalAPI
internal import LocalNode
public import Logging
public import MeshKubernetes
internal import MeshModel

// What `linkerd local` does, apart from words on the terminal: start a supervisor and wait for it, end it
// and what it left, say how things stand.

/// Starts, stops and describes a local cluster.
public struct LocalClusterCommands: Sendable {
    /// How a cluster was found or brought up.
    public enum UpOutcome: Sendable, Equatable { case started, alreadyUp }

    /// Longest wait for the API server of a cluster that starts.
    public static let startTimeout: Duration = .seconds(60)
    /// Longest wait for a cluster that ends.
    static let stopTimeout: Duration = .seconds(20)

    public let config: LocalClusterConfig
    let logger: Logger

    public init(config: LocalClusterConfig, logger: Logger) {
        self.config = config
        self.logger = logger
    }

    /// Whether a supervisor holds the state directory.
    public var isUp: Bool {
        guard Files.exists(config.lockPath) else { return false }
        do { return try Descriptor.locking(path: config.lockPath) == nil } catch { return false }
    }

    // MARK: up

    /// Brings the cluster up and waits for its API server.
    ///
    /// - Parameters:
    ///   - owner: The user whom the kubeconfig is for, when root acts for one.
    ///   - say: Takes lines of progress.
    public func up(owner: (user: UInt32, group: UInt32)?, say: (String) -> Void) async throws -> UpOutcome {
        try checkPreconditions(command: "up")
        try prepareDirectories()
        if isUp { return .alreadyUp }
        removeLeftovers()
        let pki = try LocalPKI.ensure(stateDirectory: config.stateDirectory, now: Date.now)
        try ComponentIdentity.ensureAll(pki, now: Date.now)
        try writeKubeconfig(pki, owner: owner)
        try rememberSettings()
        say("starting the cluster in \(config.stateDirectory)")
        try startSupervisor()
        say("waiting for the API server on 127.0.0.1:\(config.apiPort)")
        try await waitForAPI()
        return .started
    }

    private func checkPreconditions(command: String) throws {
        guard Processes.isRoot else {
            let program = CommandLine.arguments.first ?? "linkerd"
            let rest = CommandLine.arguments.dropFirst().joined(separator: " ")
            throw LocalClusterError(
                .needsRoot,
                "the local cluster makes network namespaces and mounts, which takes root; run: sudo \(program) \(rest)"
            )
        }
        let isShort = config.stateDirectory.utf8.count <= LocalClusterConfig.stateDirectoryBytesMax
        guard config.stateDirectory.hasPrefix("/"), isShort else {
            throw LocalClusterError(
                .badDirectory,
                "the state directory must be an absolute path of at most \(LocalClusterConfig.stateDirectoryBytesMax) bytes"
            )
        }
        for (tool, package) in [("ip", "iproute2"), ("iptables-restore", "iptables")] {
            let candidates = ProgramSearch.candidates(tool, environment: [Tool.searchPath])
            guard candidates.contains(where: { Files.exists($0) }) else {
                throw LocalClusterError(
                    .missingTool, "\(tool) is not installed; run: apt-get install \(package)")
            }
        }
    }

    private func prepareDirectories() throws {
        try Files.makeDirectory(config.stateDirectory)
        // Pods' content is below: other users of the machine may reach the kubeconfig, which has its own
        // owner, only.
        Files.setMode(config.stateDirectory, 0o711)
        for name in ["logs", "pods", "run", "volumes", "pki", "logs/components"] {
            try Files.makeDirectory("\(config.stateDirectory)/\(name)", mode: 0o700)
        }
    }

    /// What a crash can leave: stale sockets and process ids, and mounts if someone bound into the directory.
    private func removeLeftovers() {
        Files.remove(config.pidPath)
        Files.remove(config.componentsPath)
        for line in (Files.readText("/proc/self/mountinfo") ?? "").split(separator: "\n").reversed() {
            let fields = line.split(separator: " ")
            guard fields.count > 4, fields[4].hasPrefix(config.stateDirectory + "/") else { continue }
            try? Mounts.unmount(String(fields[4]))  // Best effort: an unmounted leftover is only untidy.
        }
    }

    private func writeKubeconfig(_ pki: LocalPKI, owner: (user: UInt32, group: UInt32)?) throws {
        let text = try pki.kubeconfig(server: "https://127.0.0.1:\(config.apiPort)", client: pki.admin)
        try Files.writeText(text, to: config.kubeconfigPath, mode: 0o600)
        if let owner {
            Processes.changeOwner(of: config.kubeconfigPath, user: owner.user, group: owner.group)
        }
    }

    private func startSupervisor() throws {
        let answer = try Self.answer(of: try spawnSupervisor())
        if answer.hasPrefix("OK") { return }
        let message =
            answer.isEmpty
            ? "the supervisor ended at once; see \(config.componentLogs)/supervisor.log" : answer
        throw LocalClusterError(answer.contains("in use") ? .portInUse : .notStarted, message)
    }

    /// The reading end of the supervisor's report; our copy of the other end closes with this function.
    private func spawnSupervisor() throws -> Descriptor {
        let status = try Descriptor.pipe()
        let log = try Descriptor.appending(path: config.componentLogs + "/supervisor.log")
        let request = SpawnRequest(
            executables: [Processes.executablePath ?? "/proc/self/exe"],
            arguments: [
                "linkerd", "local-run", "supervisor", "--state-dir", config.stateDirectory, "--api-port",
                "\(config.apiPort)", "--dashboard-port", "\(config.dashboardPort)",
            ],
            environment: [Tool.searchPath, "HOME=/root"])
        request.standard(input: try Descriptor.null(), output: log, error: log)
        request.pass(status.writeEnd, as: SupervisorReport.descriptor)
        request.setNewSession()
        request.setDetached()
        request.setDirectory("/")
        _ = try request.start()
        return status.readEnd
    }

    /// Reads one line; empty when the supervisor ended without one.
    private static func answer(of readEnd: Descriptor) throws -> String {
        var bytes: [UInt8] = []
        let deadline = SystemClock.now().adding(seconds: 15)
        while SystemClock.now() < deadline {
            _ = Sockets.poll([Sockets.Interest(readEnd.number)], timeoutMilliseconds: 500)
            guard let piece = try readEnd.read() else { continue }
            if piece.isEmpty { break }
            bytes += piece
            if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
                return String(decoding: bytes[..<end], as: UTF8.self)
            }
        }
        return ""
    }

    private func waitForAPI() async throws {
        let client = try adminClient()
        defer { Task { await client.shutdown() } }
        let clock = ContinuousClock()
        let deadline = clock.now + Self.startTimeout
        var problem = "no answer"
        while clock.now < deadline {
            do {
                _ = try await client.raw("GET", path: "/readyz")
                let node = try await client.get(Node.self, name: NodeAgentConfig(stateDirectory: "").nodeName)
                if node.status?.conditions?.contains(where: { $0.type == "Ready" && $0.status == "True" })
                    == true
                {
                    return
                }
                problem = "the node has not reported"
            } catch {
                problem = "\(error)"
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw LocalClusterError(
            .timedOut, "the cluster did not come up: \(problem); its logs are in \(config.componentLogs)")
    }

    /// A client for the cluster's administrator, from the host.
    public func adminClient() throws -> KubernetesClient {
        try KubernetesClient(
            config: try KubernetesConfig.load(kubeconfig: config.kubeconfigPath, context: nil), logger: logger
        )
    }

    // MARK: settings of a running cluster

    private func rememberSettings() throws {
        let text = "{\"apiPort\":\(config.apiPort),\"dashboardPort\":\(config.dashboardPort)}\n"
        try Files.writeText(text, to: config.settingsPath, mode: 0o644)
    }

    /// The configuration with the ports that the running cluster was started with.
    public func withRememberedPorts() -> LocalClusterConfig {
        guard let bytes = Files.read(config.settingsPath), let tree = try? JSONValue(parsing: bytes) else {
            return config
        }
        var remembered = config
        if let port = tree["apiPort"]?.intValue { remembered.apiPort = UInt16(clamping: port) }
        if let port = tree["dashboardPort"]?.intValue { remembered.dashboardPort = UInt16(clamping: port) }
        return remembered
    }

    // MARK: down

    /// Ends the cluster and everything in it.
    ///
    /// - Parameter purge: Also removes the state directory: objects, volumes, keys and logs.
    /// - Returns: Whether a cluster was running.
    public func down(purge: Bool) async throws -> Bool {
        try checkPreconditions(command: "down")
        let isOurs = Files.exists(config.lockPath) || Files.names(in: config.stateDirectory).isEmpty
        guard isOurs else {
            guard purge else { return false }
            throw LocalClusterError(
                .badDirectory, "\(config.stateDirectory) does not look like a cluster's state")
        }
        let wasUp = isUp
        if wasUp, let pid = Files.readText(config.pidPath).flatMap({ Int32($0.filter(\.isNumber)) }) {
            Processes.signal(pid, Processes.terminate)
            let clock = ContinuousClock()
            let deadline = clock.now + Self.stopTimeout
            while isUp {
                if clock.now >= deadline { Processes.signal(pid, Processes.kill9) }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
        removeLeftovers()
        Files.remove(config.stateDirectory + "/pods")
        Files.remove(config.stateDirectory + "/run")
        if purge { Files.remove(config.stateDirectory) }
        return wasUp
    }
}

/// How a supervisor tells the command that started it how it went.
public enum SupervisorReport {
    static let descriptor: Int32 = 3

    /// Sends the one line; `nil` means that all is well.
    public static func send(_ problem: String?) {
        let line = (problem ?? "OK").replacing("\n", with: " ") + "\n"
        try? Descriptor(owning: descriptor).writeAll(Array(line.utf8))  // Nobody listens any more: so be it.
    }
}
