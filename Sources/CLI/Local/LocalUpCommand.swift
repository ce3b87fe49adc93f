import ArgumentParser
import LocalCluster
import MeshKubernetes

/// `linkerd local up`.
struct LocalUpCommand: AsyncParsableCommand {
    /// Applications that can be brought up with the cluster.
    enum Demo: String, CaseIterable, ExpressibleByArgument { case emojivoto }

    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Start the cluster, with a demo application if asked.",
        discussion: """
            Starting a cluster that is up changes nothing. The kubeconfig is written into the state directory, never over
            your own.

            Example: sudo linkerd local up --demo emojivoto
            """)

    @OptionGroup var options: LocalOptions

    @Option(help: "Port of the API server on 127.0.0.1.")
    var apiPort = LocalClusterConfig.apiPortDefault

    @Option(help: "Port of the dashboard on 127.0.0.1.")
    var dashboardPort = LocalClusterConfig.dashboardPortDefault

    @Option(help: "Install Linkerd and a meshed demo application: emojivoto.")
    var demo: Demo?

    @Option(help: "Directory with charts and examples; by default found from the executable upwards.")
    var deployDir: String?

    @Flag(inversion: .prefixedNo, help: "Wait until the demo's workloads are ready.")
    var wait = true

    @Option(help: "Longest wait for the demo's workloads, e.g. 3m.")
    var waitTimeout = "5m"

    func run() async throws {
        try await reportingFailure {
            let timeout = try DemoInstaller.duration(waitTimeout)
            let deploy = demo == nil ? nil : try DeployDirectory.find(named: deployDir)
            let commands = options.commands(apiPort: apiPort, dashboardPort: dashboardPort)
            let outcome = try await commands.up(owner: Self.owner) { Terminal.say($0) }
            let config = commands.withRememberedPorts()
            if outcome == .alreadyUp { Terminal.say("the cluster in \(config.stateDirectory) is already up") }
            if let deploy {
                let client = try commands.adminClient()
                let installer = DemoInstaller(client: client, deployDirectory: deploy) { Terminal.say($0) }
                do {
                    try await installer.install()
                    if wait { try await installer.waitUntilReady(within: timeout) }
                } catch {
                    await client.shutdown()
                    throw error
                }
                await client.shutdown()
            }
            Self.sayNext(config, hasDemo: demo != nil)
        }
    }

    /// Who called sudo: the kubeconfig is for them.
    private static var owner: (user: UInt32, group: UInt32)? {
        guard let user = CommandEnvironment.string("SUDO_UID").flatMap({ UInt32($0) }),
            let group = CommandEnvironment.string("SUDO_GID").flatMap({ UInt32($0) })
        else { return nil }
        return (user, group)
    }

    private static func sayNext(_ config: LocalClusterConfig, hasDemo: Bool) {
        var lines = ["", "the cluster is up"]
        if hasDemo { lines.append("dashboard: http://127.0.0.1:\(config.dashboardPort)/") }
        lines += [
            "", "next:", "  export KUBECONFIG=\(config.kubeconfigPath)",
            "  kubectl get pods --all-namespaces",
        ]
        if hasDemo {
            lines += ["  linkerd viz stat deploy --namespace emojivoto", "  linkerd viz stat namespace"]
        } else {
            lines.append("  sudo linkerd local up --demo emojivoto")
        }
        lines.append("  sudo linkerd local down")
        for line in lines { Terminal.say(line) }
    }
}

/// `linkerd local down`.
struct LocalDownCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down", abstract: "Stop the cluster.",
        discussion: """
            Objects and volumes stay in the state directory for the next `up`, unless --purge removes them.

            Example: sudo linkerd local down --purge
            """)

    @OptionGroup var options: LocalOptions

    @Flag(help: "Also remove the state: objects, volumes, keys and logs.")
    var purge = false

    func run() async throws {
        try await reportingFailure {
            let wasUp = try await options.commands().down(purge: purge)
            Terminal.say(wasUp ? "the cluster is down" : "no cluster was running in \(options.stateDir)")
            if purge { Terminal.say("removed \(options.stateDir)") }
        }
    }
}

/// `linkerd local status`.
struct LocalStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show whether the cluster is up, its processes and its pods.",
        discussion:
            "Example: sudo linkerd local status\nExits with 1 when the cluster is down or a component is not running."
    )

    @OptionGroup var options: LocalOptions

    func run() async throws {
        try await reportingFailure {
            let commands = options.commands()
            let status = await commands.status()
            guard status.isUp else {
                Terminal.write("cluster: down (\(options.stateDir))\n")
                throw ExitCode(1)
            }
            let config = commands.withRememberedPorts()
            Terminal.write(LocalStatusText.render(status, config: config))
            if status.problem != nil || status.components.contains(where: { !$0.isRunning }) {
                throw ExitCode(1)
            }
        }
    }
}

/// The text of `linkerd local status`.
enum LocalStatusText {
    /// Lines of names and values, then one of each component and namespace.
    static func render(_ status: LocalClusterStatus, config: LocalClusterConfig) -> String {
        var lines = [
            "cluster:    up (\(config.stateDirectory))", "kubeconfig: \(config.kubeconfigPath)",
            "API server: https://127.0.0.1:\(config.apiPort)",
            "dashboard:  http://127.0.0.1:\(config.dashboardPort)/", "",
        ]
        for component in status.components {
            let state = component.isRunning ? "running" : "waiting to restart"
            let restarts = component.restarts == 0 ? "" : ", restarted \(component.restarts) times"
            lines.append("\(padded(component.name))\(state)\(restarts)")
        }
        if let problem = status.problem { lines.append("\nthe API server does not answer: \(problem)") }
        if !status.pods.isEmpty { lines.append("") }
        for pods in status.pods {
            lines.append("\(padded(pods.namespace))\(pods.ready)/\(pods.total) pods ready")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func padded(_ name: String) -> String {
        name + String(repeating: " ", count: max(2, 16 - name.count))
    }
}
