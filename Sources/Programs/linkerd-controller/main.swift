// The control plane's program: one sub-command for each controller.

import ArgumentParser
import MeshModel

/// `linkerd-controller <controller> [flags]`.
struct LinkerdController: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "linkerd-controller", abstract: "Runs a controller of the mesh.",
        version: BuildVersion.current,
        subcommands: [DestinationCommand.self, IdentityCommand.self, ProxyInjectorCommand.self])
}

extension LinkerdController {
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
await LinkerdController.start(
    GoFlags.normalise(
        Array(CommandLine.arguments.dropFirst()),
        booleans: DestinationCommand.booleanFlags.union(IdentityCommand.booleanFlags)))
