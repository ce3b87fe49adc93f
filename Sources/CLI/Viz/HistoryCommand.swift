package import ArgumentParser
import Foundation
import MeshAPI
import MeshKubernetes
import MeshModel

/// `linkerd viz history`: one line per resource, drawn over time.
package struct HistoryCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "Draw how traffic changed: one sparkline per resource.",
        discussion: """
            A space is a stretch in which nothing was scraped; a dot is one without traffic.

            Examples:
              linkerd viz history deploy -n emojivoto -t 6h
              linkerd viz history deploy/web -n emojivoto -t 7d --metric p99
              linkerd viz history svc -n emojivoto --metric success --at 2026-11-20T14:00Z
            """)

    @OptionGroup var global: GlobalOptions
    @OptionGroup var viz: VizOptions

    @Option(name: .shortAndLong, help: "Namespace of the resource; the context's by default.")
    var namespace: String?

    @Option(name: [.customShort("t"), .long], help: "How far to look back (for example: 10m, 6h, 30d).")
    var timeWindow = "1h"

    @Option(help: "End of the window: a time such as 2026-11-20T14:00Z, or how long ago, such as 2h.")
    var at = ""

    @Option(help: "What to draw: rps, success, p50, p95, p99, connections or bytes.")
    var metric = "rps"

    @Option(help: "Characters of a sparkline, 10 to 200.")
    var width = 60

    @Option(name: .shortAndLong, help: "Output format: table or json.")
    var output = "table"

    @Flag(help: "Draw again every --interval until interrupted.")
    var watch = false

    @Option(help: "Time between two drawings of --watch.")
    var interval = "10s"

    @Argument(help: "The resource: TYPE or TYPE/NAME.")
    var resource: String

    package init() {}

    private struct Question {
        let resource: ResourceArgument
        let namespace: String
        let window: WindowOption
        let metric: HistoryTable.Metric
        let output: StatOutput
        let interval: Duration?
    }

    package func run() async throws {
        let question = try parsed()
        try await VizConnection.using(global: global, viz: viz) { connection in
            try await WatchLoop.run(every: question.interval) {
                let text = try await draw(question, connection)
                if text.isEmpty { Terminal.say("No traffic found.") }
                return text
            }
        }
    }

    private func parsed() throws -> Question {
        // A missing kubeconfig is reported when connecting; here it only means there is no context.
        let context = (try? global.kubernetesConfig())?.namespace ?? "default"
        do {
            let resource = try ResourceArguments.parse(resource)
            guard resource.kind.isWorkload || [.namespace, .service, .authority].contains(resource.kind) else {
                throw ArgumentMistake("Resource type is not supported: \(resource.kind.name)")
            }
            guard let metric = HistoryTable.Metric(rawValue: metric) else {
                let all = HistoryTable.Metric.allCases.map(\.rawValue).joined(separator: ", ")
                throw ArgumentMistake("--metric \"\(metric)\": choose one of \(all)")
            }
            guard (10...200).contains(width) else { throw ArgumentMistake("--width must be between 10 and 200") }
            guard let output = StatOutput(rawValue: output), output != .wide else {
                throw ArgumentMistake("--output supports table and json")
            }
            return Question(
                resource: resource, namespace: resource.kind == .namespace ? "" : namespace ?? context,
                window: try WindowOption(timeWindow, at: at, now: Date.now.timeIntervalSince1970),
                metric: metric, output: output, interval: watch ? try WatchLoop.interval(interval) : nil)
        } catch {
            Terminal.say("Error creating history request: \(error)")
            throw ExitCode(1)
        }
    }

    /// The resources there are come from a stat over the same window; each is then asked for by name.
    private func draw(_ question: Question, _ connection: VizConnection) async throws -> String {
        var stat = Linkerd2_Viz_StatSummaryRequest()
        stat.selector.resource.type = question.resource.kind.name
        stat.selector.resource.name = question.resource.name
        stat.selector.resource.namespace = question.namespace
        stat.timeWindow = question.window.requestText
        stat.tcpStats = true
        stat.none = Linkerd2_Viz_Empty()
        let rows = try await connection.statRows([stat]).filter { $0.hasStats || $0.hasTcpStats }
        let seconds = GoDuration.parse(question.window.text)?.seconds ?? 3_600
        var lines: [HistoryTable.Line] = []
        for row in rows.sorted(by: { $0.resource.name < $1.resource.name }) {
            var request = Linkerd2_Viz_History_SeriesRequest()
            request.resource = row.resource
            request.window = question.window.text
            request.atMs = question.window.endMilliseconds
            request.stepSeconds = UInt32(clamping: Int((seconds / Double(width)).rounded(.up)))
            lines.append(.init(name: row.resource.name, series: try await connection.series(request)))
        }
        return HistoryTable(metric: question.metric, output: question.output, width: width).rendered(lines)
    }
}
