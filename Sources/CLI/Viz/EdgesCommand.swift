package import ArgumentParser
import Foundation
package import MeshAPI
import MeshKubernetes
import MeshModel

/// `linkerd viz edges`: which resources talk to which.
package struct EdgesCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edges",
        abstract: "Display connections between resources, and whether they are secured.",
        discussion: """
            With a window or a time, connections that have closed since are shown too.

            Examples:
              linkerd viz edges deploy -n emojivoto
              linkerd viz edges deploy -n emojivoto -t 6h
              linkerd viz edges deploy -n emojivoto -t 1h --at 2026-11-20T14:00Z
            """)

    @OptionGroup var global: GlobalOptions
    @OptionGroup var viz: VizOptions

    @Option(name: .shortAndLong, help: "Namespace of the resources; the context's by default.")
    var namespace: String?

    @Flag(name: [.customShort("A"), .long], help: "Resources of all namespaces.")
    var allNamespaces = false

    @Option(name: .shortAndLong, help: "Output format: table, wide or json.")
    var output = "table"

    @Option(name: [.customShort("t"), .long], help: "Also connections that were open in this window, such as 6h.")
    var timeWindow: String?

    @Option(help: "End of the window: a time such as 2026-11-20T14:00Z, or how long ago, such as 2h.")
    var at = ""

    @Argument(help: "The kind of resource, such as deploy or po.")
    var resource: String

    package init() {}

    package func run() async throws {
        let (request, format, window) = try parsed()
        let table = EdgesTable(output: format)
        let text = try await VizConnection.using(global: global, viz: viz) { connection in
            guard let window else { return table.rendered(try await connection.edges(request)) }
            var past = Linkerd2_Viz_History_PastEdgesRequest()
            past.type = request.selector.resource.type
            past.namespace = request.selector.resource.namespace
            past.window = window.text
            past.atMs = window.endMilliseconds
            return table.rendered(try await connection.pastEdges(past))
        }
        if text.isEmpty { Terminal.say("No edges found.") }
        Terminal.write(text)
    }

    private func parsed() throws -> (Linkerd2_Viz_EdgesRequest, StatOutput, WindowOption?) {
        // A missing kubeconfig is reported when connecting; here it only means there is no context.
        let context = (try? global.kubernetesConfig())?.namespace ?? "default"
        do {
            let own = allNamespaces ? "" : namespace ?? context
            var window: WindowOption?
            if timeWindow != nil || !at.isEmpty {
                window = try WindowOption(timeWindow ?? "1m", at: at, now: Date.now.timeIntervalSince1970)
            }
            return (try Self.request(resource, namespace: own), try Self.format(output), window)
        } catch {
            Terminal.say("Error creating edges request: \(error)")
            throw ExitCode(1)
        }
    }

    /// Checks the kind and makes the request.
    package static func request(
        _ argument: String, namespace: String
    ) throws(ArgumentMistake) -> Linkerd2_Viz_EdgesRequest {
        let resource = try ResourceArguments.parse(argument)
        if !resource.name.isEmpty {
            throw ArgumentMistake(
                "Edges cannot be returned for a specific resource name; remove \(resource.name) from query")
        }
        if [.authority, .service, .all].contains(resource.kind) {
            throw ArgumentMistake("Resource type is not supported: \(resource.kind.name)")
        }
        var request = Linkerd2_Viz_EdgesRequest()
        request.selector.resource.type = resource.kind.name
        request.selector.resource.namespace = resource.kind == .namespace ? "" : namespace
        return request
    }

    private static func format(_ output: String) throws(ArgumentMistake) -> StatOutput {
        guard let format = StatOutput(rawValue: output) else {
            throw ArgumentMistake("--output supports table, json and wide")
        }
        return format
    }
}
