package import ArgumentParser
import Foundation
package import MeshAPI
import MeshKubernetes
import MeshModel

/// `linkerd viz compare`: the same resources in two windows, such as before and after a deployment.
package struct CompareCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compare traffic stats of two windows, such as before and after a deployment.",
        discussion: """
            The later window ends at --at, or now; the earlier one ends at --before, or where the later one begins.
            What changed is named: a success rate that moved by 1 % or more, a p99 by a fifth or more.

            Examples:
              linkerd viz compare deploy -n emojivoto -t 1h
              linkerd viz compare deploy/web -n emojivoto -t 10m --at 2026-11-20T14:30Z --before 2026-11-20T14:00Z
              linkerd viz compare svc -n emojivoto -t 1d --before 7d
            """)

    @OptionGroup var global: GlobalOptions
    @OptionGroup var viz: VizOptions
    @OptionGroup var selection: TrafficSelection

    @Option(name: [.customShort("t"), .long], help: "Length of both windows (for example: 1m, 1h, 1d).")
    var timeWindow = "1h"

    @Option(help: "End of the later window: a time such as 2026-11-20T14:00Z, or how long ago, such as 2h.")
    var at = ""

    @Option(help: "End of the earlier window, as --at; by default where the later one begins.")
    var before = ""

    @Option(name: .shortAndLong, help: "Output format: table or json.")
    var output = "table"

    @Argument(help: "The resources: TYPE, TYPE/NAME or TYPE NAME.")
    var resources: [String]

    package init() {}

    package func run() async throws {
        let (requests, format) = try parsed()
        let table = CompareTable(output: format, showsNamespace: selection.allNamespaces)
        let text = try await VizConnection.using(global: global, viz: viz) { connection in
            var responses: [Linkerd2_Viz_History_CompareResponse] = []
            for request in requests { responses.append(try await connection.compare(request)) }
            return table.rendered(responses)
        }
        if text.isEmpty { Terminal.say("No traffic found.") }
        Terminal.write(text)
    }

    private func parsed() throws -> ([Linkerd2_Viz_History_CompareRequest], StatOutput) {
        var options = selection.options(global)
        (options.timeWindow, options.at) = (timeWindow, at)
        do {
            guard let format = StatOutput(rawValue: output), format != .wide else {
                throw ArgumentMistake("--output supports table and json")
            }
            let now = Date.now.timeIntervalSince1970
            return (try options.comparisons(for: ResourceArguments.parse(resources), before: before, now: now), format)
        } catch {
            Terminal.say("error creating metrics request while making compare request: \(error)")
            throw ExitCode(1)
        }
    }
}

extension StatOptions {
    /// One comparison for each resource.
    package func comparisons(
        for resources: [ResourceArgument], before: String, now: Double
    ) throws(ArgumentMistake) -> [Linkerd2_Viz_History_CompareRequest] {
        let window = try WindowOption(timeWindow, at: at, now: now)
        let earlier = before.isEmpty ? nil : try PastTime.parse(before, now: now)
        if let earlier, earlier >= window.end ?? now {
            throw ArgumentMistake("--before must lie before the later window ends")
        }
        return try requests(for: resources, now: now).map { stat in
            var request = Linkerd2_Viz_History_CompareRequest()
            request.selector = stat.selector
            request.window = window.text
            request.afterAtMs = window.endMilliseconds
            request.beforeAtMs = earlier.map { Int64(($0 * 1_000).rounded()) } ?? 0
            switch stat.outbound {
            case .toResource(let end): request.toResource = end
            case .fromResource(let end): request.fromResource = end
            case nil, .some(.none): break
            }
            return request
        }
    }
}
