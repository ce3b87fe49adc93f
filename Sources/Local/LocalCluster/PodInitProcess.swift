internal import LocalNode

/// The process 1 of a pod, for the program's entry point.
public enum PodInitProcess {
    /// Serves an agent on a unix socket until told to end; see `PodInit`.
    public static func run(socketPath: String) throws { try PodInit(socketPath: socketPath).run() }
}
