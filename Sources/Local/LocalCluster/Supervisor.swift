internal import LocalNode

// The one process of a cluster that lives in the host's namespaces. It holds the listening sockets on
// 127.0.0.1 and the life of everything else: the node's PID 1 is its child and dies with it (PDEATHSIG, and
// a pipe whose other end only we hold), and with that PID namespace go all pods, mounts, links and rules. So
// `kill -9` of the supervisor leaves nothing behind but the state directory. Single-threaded; the thread
// that starts the node never ends before the process.

/// Supervises one cluster.
public final class Supervisor {
    /// Time for the node to end before it is killed.
    static let stopSeconds = 12.0
    /// Longest wait before a node that keeps dying is started again.
    static let restartSecondsMax = 30.0

    private let config: LocalClusterConfig
    private let signals: SignalDescriptor
    private let lifeline: (readEnd: Descriptor, writeEnd: Descriptor)
    private let api: Descriptor
    private let dashboard: Descriptor
    private let lock: Descriptor
    private var node: Int32?
    private var stopDeadline: Timestamp?
    private var startAt: Timestamp
    private var startedAt = Timestamp(seconds: 0)
    private var failures = 0

    /// Takes the lock and the ports.
    ///
    /// - Throws: `LocalClusterError` that names the port and the flag, or says that the cluster is up.
    public init(config: LocalClusterConfig) throws {
        self.config = config
        guard let lock = try Descriptor.locking(path: config.lockPath) else {
            throw LocalClusterError(.notStarted, "another supervisor runs in \(config.stateDirectory)")
        }
        self.lock = lock
        api = try Self.listen(config.apiPort, flag: "--api-port")
        dashboard = try Self.listen(config.dashboardPort, flag: "--dashboard-port")
        signals = try SignalDescriptor()
        lifeline = try Descriptor.pipe()
        startAt = SystemClock.now()
        try Files.writeText("\(Processes.current)\n", to: config.pidPath)
    }

    private static func listen(_ port: UInt16, flag: String) throws -> Descriptor {
        do {
            return try Sockets.listen(host: "127.0.0.1", port: port)
        } catch {
            guard error.isAddressInUse else { throw error }
            throw LocalClusterError(
                .portInUse,
                "port \(port) on 127.0.0.1 is in use by another program; choose another with \(flag)")
        }
    }

    /// Supervises until SIGTERM; `started` is called once everything is in place.
    public func run(started: () -> Void) throws {
        try startNode()
        started()
        while true {
            _ = Sockets.poll(
                [Sockets.Interest(signals.descriptor.number)], timeoutMilliseconds: node == nil ? 200 : 1_000)
            let now = SystemClock.now()
            while let signal = signals.next() {
                if signal != Processes.childEnded { beginStop(now) }
            }
            while let ended = Processes.reap() { childEnded(ended, at: now) }
            if let stopDeadline {
                guard let node else { break }
                if stopDeadline <= now { Processes.signal(node, Processes.kill9) }
            } else if node == nil, startAt <= now {
                do { try startNode() } catch { retryLater(now) }
            }
        }
        Files.remove(config.pidPath)
    }

    private func beginStop(_ now: Timestamp) {
        guard stopDeadline == nil else { return }
        stopDeadline = now.adding(seconds: Self.stopSeconds)
        if let node { Processes.signal(node, Processes.terminate) }
    }

    private func childEnded(_ ended: ProcessExit, at now: Timestamp) {
        guard ended.process == node else { return }
        node = nil
        if now.seconds(since: startedAt) > 60 { failures = 0 }
        retryLater(now)
    }

    private func retryLater(_ now: Timestamp) {
        startAt = now.adding(seconds: min(Self.restartSecondsMax, Double(1 << min(failures, 5))))
        failures += 1
    }

    private func startNode() throws {
        let executable = Processes.executablePath ?? "/proc/self/exe"
        let log = try Descriptor.appending(path: config.componentLogs + "/node-init.log")
        let request = SpawnRequest(
            executables: [executable],
            arguments: ["linkerd", "local-run", "node-init", "--state-dir", config.stateDirectory],
            environment: [Tool.searchPath, "HOME=/root"])
        request.standard(input: try Descriptor.null(), output: log, error: log)
        request.pass(api, as: InheritedDescriptors.api)
        request.pass(dashboard, as: InheritedDescriptors.dashboard)
        request.pass(lifeline.readEnd, as: InheritedDescriptors.lifeline)
        request.create(namespaces: [.mount, .process, .network])
        request.setNewSession()
        request.setDiesWithParent()
        node = try request.start()
        startedAt = SystemClock.now()
    }
}

/// Numbers under which the supervisor's descriptors arrive in the node.
enum InheritedDescriptors {
    static let api: Int32 = 3
    static let dashboard: Int32 = 4
    static let lifeline: Int32 = 5
}
