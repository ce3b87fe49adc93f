// What the node agent and a pod's init say to each other over pods/<uid>/init.sock: one JSON document a
// line. The init holds everything that must survive the agent (processes, exit codes, log pumps, the network
// namespace); the agent holds every decision. Agent and init always come from the same executable of one
// `local up`.

/// A container to start: everything is resolved, the init looks nothing up.
package struct ContainerLaunch: Sendable, Codable, Hashable {
    /// Name in the pod's spec.
    package var name: String
    /// 0 for the first start, one more for each restart; names the log file.
    package var attempt: Int
    /// Paths tried in order inside the container's root.
    package var executables: [String]
    package var arguments: [String]
    /// `NAME=value`, in order.
    package var environment: [String]
    /// Mounts and files of the container's root, in order.
    package var steps: [FileStep]
    package var directory: String
    package var user: UInt32
    package var group: UInt32
    package var groups: [UInt32]
    package var noNewPrivileges: Bool
    /// Bit masks of Linux capabilities.
    package var capabilitiesAdd: UInt64
    package var capabilitiesDrop: UInt64
    package var logPath: String
}

/// How one run of a container stands.
package struct ContainerRun: Sendable, Codable, Hashable {
    package enum State: String, Sendable, Codable { case running, exited }
    package var attempt: Int
    package var state: State
    /// In the pod's PID namespace.
    package var process: Int32
    package var exitCode: Int32
    /// 0 unless a signal ended it.
    package var signal: Int32
    package var startedAt: Timestamp
    package var finishedAt: Timestamp?

    /// A run that has just started.
    package init(attempt: Int, process: Int32, startedAt: Timestamp) {
        self.attempt = attempt
        state = .running
        self.process = process
        exitCode = 0
        signal = 0
        self.startedAt = startedAt
    }
}

/// The current run of a container and the one before.
package struct ContainerRecord: Sendable, Codable, Hashable {
    package var current: ContainerRun
    package var previous: ContainerRun?

    package init(current: ContainerRun, previous: ContainerRun? = nil) {
        self.current = current
        self.previous = previous
    }
}

/// What the agent asks of an init.
package enum InitCommand: Sendable, Codable {
    /// Gives `eth0`, already in the namespace, its address and the way out.
    case network(address: String, gateway: String)
    /// Mounts memory of at most `megabytes` at a path.
    case memoryVolume(path: String, megabytes: Int)
    case start(ContainerLaunch)
    case signal(container: String, signal: Int32)
    /// Runs a command inside a running container; answers its exit code and the head of its output.
    case execute(container: String, command: [String], timeoutSeconds: Int)
    case list
    /// Connects to the pod's loopback; the answer is the connection itself (a descriptor), or one byte and a
    /// hang-up.
    case connect(port: UInt16)
    /// Ends the init and with it the pod's namespaces.
    case shutdown
}

/// One line to the init.
package struct InitRequest: Sendable, Codable {
    package var id: Int
    package var command: InitCommand
}

/// One line from the init: an answer when `id` is that of a request, news when it is 0.
package struct InitReply: Sendable, Codable {
    package var id: Int
    /// Why the request failed.
    package var error: String?
    /// The errno's stage, so that a missing program can be told from a missing mount.
    package var isProgramMissing: Bool?
    package var exitCode: Int32?
    package var output: String?
    /// All containers of the pod, by name: the answer of `list` and `start`, and the news.
    package var containers: [String: ContainerRecord]?
}

/// Bounds of the pod's init.
package enum InitLimits {
    /// A line longer than this is cut in two in the log.
    package static let logLineBytesMax = 16_384
    /// A log file is set aside as `.old` beyond this size.
    package static let logFileBytesMax = 10 * 1024 * 1024
    /// Output kept of one `execute`.
    package static let outputBytesMax = 8_192
    /// Requests longer than this close the connection.
    package static let requestBytesMax = 4 * 1024 * 1024
    /// Memory that one pod's containers may write to their roots.
    package static let scratchMegabytesMax = 512
}
