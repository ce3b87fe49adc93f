internal import Foundation
internal import LocalNode

// Process 1 of the node: sets up its network, then starts the components and starts them again when they
// end. It adopts the pods' inits, which the agent detaches from itself, and reaps whatever is left to it.
// When it ends, the kernel ends everything else in its PID namespace.

/// The node's first process.
public final class NodeInit {
    /// Time for components and pods to end on SIGTERM.
    static let stopSeconds = 5.0
    static let restartSecondsMax = 20.0
    /// A log beyond this is set aside when its component starts.
    static let logBytesMax = 8 * 1024 * 1024

    private struct Child {
        let component: Component
        var process: Int32?
        var restarts = 0
        var failures = 0
        var startedAt = Timestamp(seconds: 0)
        var startAt = Timestamp(seconds: 0)
    }

    private let config: LocalClusterConfig
    private let signals: SignalDescriptor
    private let lifeline: Descriptor
    private let null: Descriptor
    private let sockets: [Component: Descriptor]
    private var children: [Child] = Component.allCases.map { Child(component: $0) }
    private var stopDeadline: Timestamp?

    /// Must be process 1 of fresh namespaces, with the supervisor's descriptors.
    public init(stateDirectory: String) throws {
        config = LocalClusterConfig(stateDirectory: stateDirectory)
        lifeline = Descriptor(owning: InheritedDescriptors.lifeline)
        sockets = [
            .apiserver: Descriptor(owning: InheritedDescriptors.api),
            .forwarder: Descriptor(owning: InheritedDescriptors.dashboard),
        ]
        signals = try SignalDescriptor()
        null = try Descriptor.null()
        try NodeNetwork.setUp(stateDirectory: stateDirectory)
    }

    /// Runs until SIGTERM, or until the supervisor's end of the pipe closes.
    public func run() {
        let interests = [Sockets.Interest(signals.descriptor.number), Sockets.Interest(lifeline.number)]
        while true {
            let now = SystemClock.now()
            if stopDeadline == nil { startDue(now) }
            let ready = Sockets.poll(interests, timeoutMilliseconds: 250)
            if ready.contains(lifeline.number) { return }  // The supervisor is gone: end at once, and everything with us.
            while let signal = signals.next() {
                if signal != Processes.childEnded { beginStop(SystemClock.now()) }
            }
            reap()
            if let stopDeadline, stopDeadline <= SystemClock.now() || !hasProcesses { return }
        }
    }

    private func startDue(_ now: Timestamp) {
        var changed = false
        for index in children.indices where children[index].process == nil && children[index].startAt <= now {
            changed = true
            do {
                children[index].process = try start(children[index].component)
                children[index].startedAt = now
            } catch {
                delay(index, now)
            }
        }
        if changed { writeReport() }
    }

    private func start(_ component: Component) throws -> Int32 {
        let logPath = "\(config.componentLogs)/\(component.rawValue).log"
        if let size = Files.size(of: logPath), size > Self.logBytesMax {
            Files.rename(logPath, to: logPath + ".old")
        }
        let log = try Descriptor.appending(path: logPath)
        let request = SpawnRequest(
            executables: [Processes.executablePath ?? "/proc/self/exe"],
            arguments: ["linkerd", "local-run", component.rawValue, "--state-dir", config.stateDirectory],
            environment: [Tool.searchPath, "HOME=/root"])
        request.standard(input: null, output: log, error: log)
        if let socket = sockets[component] { request.pass(socket, as: InheritedDescriptors.api) }
        request.setNewSession()
        request.setDiesWithParent()
        return try request.start()
    }

    private func reap() {
        let now = SystemClock.now()
        var changed = false
        while let ended = Processes.reap() {
            guard let index = children.firstIndex(where: { $0.process == ended.process }) else { continue }
            changed = true
            children[index].process = nil
            children[index].restarts += 1
            delay(index, now)
        }
        if changed { writeReport() }
    }

    /// The first restart is immediate; those of a component that keeps ending wait longer each time.
    private func delay(_ index: Int, _ now: Timestamp) {
        if now.seconds(since: children[index].startedAt) > 30 { children[index].failures = 0 }
        let failures = children[index].failures
        let wait = failures == 0 ? 0 : min(Self.restartSecondsMax, 0.5 * Double(1 << min(failures, 6)))
        children[index].failures += 1
        children[index].startAt = now.adding(seconds: wait)
    }

    private func beginStop(_ now: Timestamp) {
        guard stopDeadline == nil else { return }
        stopDeadline = now.adding(seconds: Self.stopSeconds)
        Processes.signal(-1, Processes.terminate)
    }

    /// Whether anything but us lives in the PID namespace.
    private var hasProcesses: Bool {
        Files.names(in: "/proc").contains { name in Int32(name).map { $0 > 1 } ?? false }
    }

    private func writeReport() {
        let report = children.map {
            ComponentReport(
                name: $0.component.rawValue, isRunning: $0.process != nil, restarts: $0.restarts,
                startedAt: $0.startedAt.text)
        }
        guard let bytes = try? JSONEncoder().encode(report) else { return }  // Plain values always encode.
        try? Files.write([UInt8](bytes), to: config.componentsPath)  // Only `status` reads it.
    }
}

/// The processes that make a node a cluster.
public enum Component: String, Sendable, CaseIterable {
    case apiserver, controllers, node, forwarder
}

/// What `status` shows of a component.
struct ComponentReport: Sendable, Codable, Hashable {
    var name: String
    var isRunning: Bool
    var restarts: Int
    var startedAt: String
}
