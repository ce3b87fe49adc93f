package import ArgumentParser
import Foundation
import MeshAPI
import MeshKubernetes
import MeshModel

/// `linkerd viz exemplars`: the requests behind a spike.
package struct ExemplarsCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "exemplars",
        abstract: "Show the slowest and the failed requests of a workload in a window.",
        discussion: """
            They are chosen from samples of live requests; paths are shown without their query, and trace ids where the
            requests carried any (traceparent, b3).

            Examples:
              linkerd viz exemplars deploy/voting -n emojivoto
              linkerd viz exemplars deploy/voting -n emojivoto -t 10m --at 2026-11-20T14:00Z
              linkerd viz exemplars deploy/web -n emojivoto --to deploy/voting -o json
            """)

    @OptionGroup var global: GlobalOptions
    @OptionGroup var viz: VizOptions

    @Option(name: .shortAndLong, help: "Namespace of the resource; the context's by default.")
    var namespace: String?

    @Option(name: [.customShort("t"), .long], help: "How far to look back (for example: 1m, 1h, 7d).")
    var timeWindow = "10m"

    @Option(help: "End of the window: a time such as 2026-11-20T14:00Z, now, or how long ago, such as 2h.")
    var at = ""

    @Option(help: "Only requests from the resource to this: TYPE or TYPE/NAME. Without it, those that reached the resource.")
    var to = ""

    @Option(help: "Namespace of the resource of --to; the selected one by default.")
    var toNamespace = ""

    @Option(help: "Requests of each list, 1 to 100.")
    var limit: UInt32 = 10

    @Option(name: .shortAndLong, help: "Output format: table or json.")
    var output = "table"

    @Argument(help: "The resource: a workload or a namespace, TYPE/NAME or TYPE.")
    var resource: String

    package init() {}

    package func run() async throws {
        let (request, format, own) = try parsed()
        let text = try await VizConnection.using(global: global, viz: viz) { connection in
            let table = ExemplarsTable(try await connection.exemplars(request), namespace: own)
            if table.isEmpty { Terminal.say(table.notice) }
            return format == .json ? table.json : table.rendered
        }
        Terminal.write(text)
    }

    private func parsed() throws -> (Linkerd2_Viz_History_ExemplarsRequest, StatOutput, String) {
        // A missing kubeconfig is reported when connecting; here it only means there is no context.
        let own = namespace ?? (try? global.kubernetesConfig())?.namespace ?? "default"
        do {
            guard let format = StatOutput(rawValue: output), format != .wide else {
                throw ArgumentMistake("--output supports table and json")
            }
            guard (1...100).contains(limit) else { throw ArgumentMistake("--limit must be between 1 and 100") }
            let window = try WindowOption(timeWindow, at: at, now: Date.now.timeIntervalSince1970)
            var request = Linkerd2_Viz_History_ExemplarsRequest()
            request.resource = try TapSelection.sampledResource(resource, namespace: own)
            if let far = try TapSelection.sampledFarEnd(to, namespace: toNamespace, own: own) { request.toResource = far }
            (request.window, request.atMs, request.limit) = (window.text, window.endMilliseconds, limit)
            return (request, format, request.resource.type == "namespace" ? request.resource.name : own)
        } catch {
            Terminal.say("Error creating exemplars request: \(error)")
            throw ExitCode(1)
        }
    }
}
