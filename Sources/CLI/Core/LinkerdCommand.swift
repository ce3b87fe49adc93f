public import ArgumentParser
import MeshModel

/// The `linkerd` command.
public struct LinkerdCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "linkerd",
        abstract: "Manage and observe the Linkerd service mesh.",
        subcommands: [
            VersionCommand.self, InjectCommand.self, UninjectCommand.self, VizCommand.self, CompletionCommand.self,
            LocalCommand.self, LocalRunCommand.self,
        ])

    public init() {}
}

/// Observability: the viz extension's commands.
package struct VizCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "viz", abstract: "Golden metrics of the mesh, from the terminal.",
        subcommands: [
            StatCommand.self, RoutesCommand.self, EdgesCommand.self, TapCommand.self, TopCommand.self, ListCommand.self,
            CompareCommand.self, HistoryCommand.self, ExemplarsCommand.self, VizCheckCommand.self,
            AllowScrapesCommand.self,
        ])

    package init() {}
}

/// Scripts that complete commands and flags in a shell.
package struct CompletionCommand: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "completion", abstract: "Print a shell completion script.",
        discussion: "Example: source <(linkerd completion bash)")

    /// Shells that completion is written for.
    package enum Shell: String, CaseIterable, ExpressibleByArgument {
        case bash, zsh, fish
    }

    @Argument(help: "The shell: bash, zsh or fish.")
    var shell: Shell

    package init() {}

    package func run() {
        let target: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        Terminal.write(LinkerdCommand.completionScript(for: target) + "\n")
    }
}
