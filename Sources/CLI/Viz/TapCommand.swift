package import ArgumentParser
import MeshAPI
import MeshKubernetes
import MeshModel
import SwiftProtobuf
import Synchronization

/// `linkerd viz tap`: live requests.
package struct TapCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "tap", abstract: "Listen to a traffic stream.",
        subcommands: [TapWatchCommand.self, TapRecordCommand.self, TapReplayCommand.self],
        defaultSubcommand: TapWatchCommand.self)

    package init() {}
}

/// How `tap` prints.
package enum TapOutput: String, Sendable {
    case line = ""
    case wide
    case json
}

/// When a tap has seen enough.
package struct TapEnd: ParsableArguments {
    @Option(help: "Stop after so long, such as 30s.")
    package var until = ""

    @Option(help: "Stop after so many requests; 0 goes on.")
    package var count: UInt64 = 0

    package init() {}

    /// The time that is left from now; `nil` without an end.
    func duration() throws(ArgumentMistake) -> Duration? {
        guard !until.isEmpty else { return nil }
        guard let duration = GoDuration.parse(until), duration > .zero else {
            throw ArgumentMistake("--until \(until): give a duration with a unit, such as 30s or 5m")
        }
        return duration
    }
}

/// `linkerd viz tap TYPE/NAME`.
package struct TapWatchCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Print requests as they happen.",
        discussion: """
            The resource is TYPE, TYPE/NAME or TYPE NAME; TYPE is one of: cronjob, daemonset, deployment, job, namespace,
            pod, replicaset, replicationcontroller, statefulset.

            Examples:
              linkerd viz tap deploy/web -n emojivoto
              linkerd viz tap ns/emojivoto --grpc-status Unknown,Internal
              linkerd viz tap deploy/web -n emojivoto --to deploy/voting --status 5xx --latency-above 100ms
              linkerd viz tap deploy/web -n emojivoto -o json | jq -c .
              linkerd viz tap record requests.tap ns/emojivoto --until 1m
            """)

    @OptionGroup var global: GlobalOptions
    @OptionGroup var viz: VizOptions
    @OptionGroup var selection: TapSelection
    @OptionGroup var end: TapEnd

    @Option(name: .shortAndLong, help: "Output format: wide or json; lines by default.")
    var output = ""

    @Argument(help: "The resource: TYPE, TYPE/NAME or TYPE NAME.")
    var resource: [String]

    package init() {}

    package func run() async throws {
        let session: TapSession
        let format: TapOutput
        do {
            guard let known = TapOutput(rawValue: output) else {
                throw ArgumentMistake("output format \"\(output)\" not recognized")
            }
            format = known
            session = try TapSession(
                global: global, viz: viz, selection: selection, end: end, resource: resource,
                wantsHeaders: format == .json)
        } catch let mistake as ArgumentMistake {
            Terminal.say("validation error when executing tap command: \(mistake)")
            throw ExitCode(1)
        }
        try await session.run(TapReports(onLoss: { format.show($0) })) { entry in format.show(entry) }
    }
}

extension TapOutput {
    /// Prints an event.
    func show(_ entry: TapEntry) {
        switch self {
        case .line: Terminal.write(TapLine.text(entry) + "\n")
        case .wide: Terminal.write(TapLine.text(entry, isWide: true) + "\n")
        case .json: Terminal.write(TapJSON.pretty(entry) + "\n")
        }
    }

    /// Says what was not shown: in words on standard error, and to programs that read JSON as an object of its own.
    func show(_ loss: TapLoss) {
        Terminal.say("# \(loss.text)")
        if self == .json { Terminal.write(TapJSON.pretty(loss) + "\n") }
    }
}
