package import ArgumentParser
import Foundation
import MeshAPI
import MeshKubernetes
import MeshModel

/// `linkerd viz stat`: golden metrics of resources over a window.
package struct StatCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "stat",
        abstract: "Display traffic stats about one or many resources.",
        discussion: """
            The resources are given as TYPE, TYPE NAME..., or TYPE/NAME...; TYPE is one of: deployments (deploy),
            pods (po), namespaces (ns), services (svc), daemonsets (ds), statefulsets (sts), replicasets (rs),
            replicationcontrollers (rc), jobs, cronjobs (cj), authorities (au), trafficsplits (ts), or all.

            Examples:
              linkerd viz stat deploy -n emojivoto
              linkerd viz stat deploy/web -n emojivoto --to deploy/voting
              linkerd viz stat ns -t 1h
              linkerd viz stat po -A -o wide
              linkerd viz stat deploy -n emojivoto -t 30d
              linkerd viz stat deploy -n emojivoto -t 10m --at 2026-11-20T14:00Z
              linkerd viz stat deploy -n emojivoto --watch
            """)

    @OptionGroup var global: GlobalOptions
    @OptionGroup var viz: VizOptions
    @OptionGroup var selection: TrafficSelection

    @Option(name: [.customShort("t"), .long], help: "Stat window (for example: 15s, 1m, 10m, 1h, 7d).")
    var timeWindow = "1m"

    @Option(help: "End of the window: a time such as 2026-11-20T14:00Z, or how long ago, such as 2h.")
    var at = ""

    @Flag(help: "Show again every --interval until interrupted.")
    var watch = false

    @Option(help: "Time between two tables of --watch.")
    var interval = "2s"

    @Option(name: .shortAndLong, help: "Output format: table, wide or json.")
    var output = "table"

    @Flag(help: "Also show resources none of whose pods is meshed.")
    var unmeshed = false

    @Argument(help: "Resources: TYPE, TYPE NAME..., or TYPE/NAME...", completion: .list(ResourceKind.allCases.map(\.name)))
    var resources: [String]

    package init() {}

    package func run() async throws {
        let (requests, output, interval) = try parsed()
        let table = StatTable(
            output: output, showsNamespace: selection.allNamespaces, showsUnmeshed: unmeshed || !selection.from.isEmpty)
        try await VizConnection.using(global: global, viz: viz) { connection in
            try await WatchLoop.run(every: interval) {
                let text = table.rendered(try await connection.statRows(requests))
                if text.isEmpty { Terminal.say("No traffic found.") }
                return text
            }
        }
    }

    /// Checks everything that can be checked without a cluster's answer.
    private func parsed() throws -> ([Linkerd2_Viz_StatSummaryRequest], StatOutput, Duration?) {
        var options = selection.options(global)
        (options.timeWindow, options.at, options.output, options.showsUnmeshed) = (timeWindow, at, output, unmeshed)
        do {
            let format = try options.checkedOutput()
            if watch, !at.isEmpty { throw ArgumentMistake("--watch shows what happens now; it makes no sense with --at") }
            let requests = try options.requests(
                for: ResourceArguments.parse(resources), now: Date.now.timeIntervalSince1970)
            return (requests, format, watch ? try WatchLoop.interval(interval) : nil)
        } catch {
            Terminal.say("error creating metrics request while making stats request: \(error)")
            throw ExitCode(1)
        }
    }
}
