package import ArgumentParser
import MeshKubernetes
import MeshModel
import Synchronization

/// `linkerd viz check`: whether the viz extension works, and if not, why.
package struct VizCheckCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check the Linkerd Viz extension for potential problems.",
        discussion: "Exit code 1 when a check fails; warnings are no failures. Example: linkerd viz check --proxy -n emojivoto")

    @OptionGroup var global: GlobalOptions
    @OptionGroup var viz: VizOptions

    @Option(name: .shortAndLong, help: "Output format: table, json or short (only what failed).")
    var output = HealthReport.Format.table

    @Flag(help: "Check the data plane's pods too.")
    var proxy = false

    @Option(name: .shortAndLong, help: "Namespace of the pods for --proxy; all by default.")
    var namespace: String?

    @Option(help: "How long to wait for what may just be starting, such as 30s or 5m.")
    var wait = "5m"

    package init() {}

    package func run() async throws {
        guard let wait = GoDuration.parse(wait), wait >= .zero else {
            throw ValidationError("--wait \(wait): expected a duration such as 30s or 5m")
        }
        if let address = viz.apiAddr { _ = try VizConnection.direct(address) }
        let checks: VizChecks
        do {
            let client = try KubernetesClient(config: try global.kubernetesConfig(), logger: global.logger)
            checks = VizChecks(client: client, global: global, viz: viz)
        } catch {
            Terminal.say("Cannot connect to Kubernetes: \(error)")
            throw ExitCode(1)
        }
        let categories = [checks.extensionChecks] + (proxy ? [checks.dataPlaneChecks(of: namespace)] : [])
        let report = await run(wait: wait).report(on: categories)
        await checks.close()
        switch output {
        case .table, .basic: Terminal.write("\n" + report.conclusion(isColored: Terminal.isOutputTerminal))
        case .short: Terminal.write(report.short(isColored: Terminal.isOutputTerminal))
        case .json: Terminal.write(report.json())
        }
        if !report.isSuccess { throw ExitCode(1) }
    }

    /// A run that writes a table's lines as they come.
    private func run(wait: Duration) -> HealthRun {
        let isTable = output == .table || output == .basic
        let isColored = Terminal.isOutputTerminal
        let last = Mutex<String?>(nil)
        return HealthRun(wait: wait) {
            if isColored { Terminal.say("waiting for check to complete") }
        } heard: { category, line in
            guard isTable else { return }
            let before = last.withLock { last in
                defer { last = category }
                return last
            }
            if before != category { Terminal.write((before == nil ? "" : "\n") + HealthReport.heading(category)) }
            Terminal.write(line.text(isColored: isColored))
        }
    }
}

extension HealthReport.Format: ExpressibleByArgument {}
