public import ArgumentParser
import LocalCluster
import Logging

/// `linkerd local-run`: the processes of a local cluster. Started by one another, not by people.
public struct LocalRunCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "local-run", abstract: "Run one process of a local cluster.", shouldDisplay: false,
        subcommands: [
            SupervisorCommand.self, NodeInitCommand.self, PodInitCommand.self, APIServerCommand.self,
            ControllersCommand.self, NodeAgentCommand.self, ForwarderCommand.self,
        ])

    public init() {}
}

/// The flag that every process of the cluster takes.
struct StateDirectoryOption: ParsableArguments {
    @Option var stateDir = LocalClusterConfig.stateDirectoryDefault
}

// The first three run one blocking loop on the main thread: they are parents that their children must not
// outlive, or process 1 of a PID namespace. They must stay single-threaded: a second thread would take the
// signals that the loop reads from its descriptor.

/// The processes of a cluster that must run before the program has made a second thread.
public enum SingleThreadedProcess {
    /// Runs the process that `arguments` (the program's name first) ask for, when it is one of them.
    ///
    /// - Returns: False when they ask for anything else; otherwise only once the process is done.
    public static func run(_ arguments: [String]) -> Bool {
        guard arguments.count > 2, arguments[1] == LocalRunCommand.configuration.commandName else {
            return false
        }
        let processes: [any ParsableCommand.Type] = [
            SupervisorCommand.self, NodeInitCommand.self, PodInitCommand.self,
        ]
        guard let process = processes.first(where: { $0.configuration.commandName == arguments[2] }) else {
            return false
        }
        process.main(Array(arguments.dropFirst(3)))
        return true
    }
}

struct SupervisorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "supervisor", shouldDisplay: false)
    @OptionGroup var state: StateDirectoryOption
    @Option var apiPort = LocalClusterConfig.apiPortDefault
    @Option var dashboardPort = LocalClusterConfig.dashboardPortDefault

    func run() throws {
        let config = LocalClusterConfig(
            stateDirectory: state.stateDir, apiPort: apiPort, dashboardPort: dashboardPort)
        var isStarted = false
        do {
            try Supervisor(config: config).run {
                SupervisorReport.send(nil)
                isStarted = true
            }
        } catch {
            if !isStarted { SupervisorReport.send("\(error)") }
            Terminal.say("supervisor: \(error)")
            throw ExitCode(1)
        }
    }
}

struct NodeInitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node-init", shouldDisplay: false)
    @OptionGroup var state: StateDirectoryOption

    func run() throws {
        do {
            try NodeInit(stateDirectory: state.stateDir).run()
        } catch {
            Terminal.say("node-init: \(error)")
            throw ExitCode(1)
        }
    }
}

struct PodInitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "pod-init", shouldDisplay: false)
    @Option var socket: String

    func run() throws {
        do {
            try PodInitProcess.run(socketPath: socket)
        } catch {
            Terminal.say("pod-init: \(error)")
            throw ExitCode(1)
        }
    }
}

struct APIServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "apiserver", shouldDisplay: false)
    @OptionGroup var state: StateDirectoryOption
    func run() async throws { try await runComponent(.apiserver, state.stateDir) }
}

struct ControllersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "controllers", shouldDisplay: false)
    @OptionGroup var state: StateDirectoryOption
    func run() async throws { try await runComponent(.controllers, state.stateDir) }
}

struct NodeAgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node", shouldDisplay: false)
    @OptionGroup var state: StateDirectoryOption
    func run() async throws { try await runComponent(.node, state.stateDir) }
}

struct ForwarderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "forwarder", shouldDisplay: false)
    @OptionGroup var state: StateDirectoryOption
    func run() async throws { try await runComponent(.forwarder, state.stateDir) }
}

/// Runs a component with its log on standard error, which is its file under `logs/components`.
private func runComponent(_ component: Component, _ stateDirectory: String) async throws {
    var logger = Logger(label: component.rawValue) { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .info
    do {
        try await ComponentRunner(stateDirectory: stateDirectory, logger: logger).run(component)
    } catch {
        logger.error("Component failed", metadata: ["error": "\(error)"])
        throw ExitCode(1)
    }
}
