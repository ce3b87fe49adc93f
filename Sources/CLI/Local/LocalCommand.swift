public import ArgumentParser
import LocalCluster
import Logging

/// `linkerd local`: a Kubernetes-compatible cluster on this machine.
public struct LocalCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "local",
        abstract: "Run a Kubernetes-compatible cluster on this machine.",
        discussion: """
            No containers, images or downloads: pods are Linux namespaces of processes. It needs root.

            Example: sudo linkerd local up --demo emojivoto
            """,
        subcommands: [LocalUpCommand.self, LocalDownCommand.self, LocalStatusCommand.self])

    public init() {}
}

/// Flags that say which cluster is meant.
struct LocalOptions: ParsableArguments {
    @Option(help: "Directory of the cluster's state.")
    var stateDir = LocalClusterConfig.stateDirectoryDefault

    @Flag(help: "Log debug messages to standard error.")
    var verbose = false

    var logger: Logger {
        var logger = Logger(label: "linkerd") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = verbose ? .debug : .critical
        return logger
    }

    func commands(
        apiPort: UInt16 = LocalClusterConfig.apiPortDefault,
        dashboardPort: UInt16 = LocalClusterConfig.dashboardPortDefault
    ) -> LocalClusterCommands {
        LocalClusterCommands(
            config: LocalClusterConfig(
                stateDirectory: stateDir, apiPort: apiPort, dashboardPort: dashboardPort),
            logger: logger)
    }
}

/// Runs a command's body; what went wrong is said in one line.
func reportingFailure(_ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let exit as ExitCode {
        throw exit
    } catch {
        Terminal.say("error: \(error)")
        throw ExitCode(1)
    }
}
