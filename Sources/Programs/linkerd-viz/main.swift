import ArgumentParser
import MeshModel

/// `linkerd-viz <component> [flags]`.
struct LinkerdViz: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "linkerd-viz", abstract: "Runs a component of the viz extension.",
        version: BuildVersion.current,
        subcommands: [
            MetricsAPICommand.self, WebCommand.self, TapCommand.self, TapInjectorCommand.self, StoreCommand.self,
        ])

    /// Flags that may stand alone, as Go's do.
    static let booleanFlags: Set<String> = ["enable-pprof", "reload", "prometheus-skip-verify", "disable-common-names"]

    /// Parses and runs; only returns when the command ends well.
    static func start(_ arguments: [String]) async {
        do {
            let command = try parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                var command = command  // Help and version.
                try command.run()
            }
        } catch {
            exit(withError: error)
        }
    }
}

// Manifests written for Linkerd use flags with a single dash.
await LinkerdViz.start(
    GoFlags.normalise(Array(CommandLine.arguments.dropFirst()), booleans: LinkerdViz.booleanFlags))
