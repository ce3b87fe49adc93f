package import ArgumentParser
package import MeshAPI
import MeshKubernetes
import MeshModel

/// `linkerd viz edges`: which resources talk to which.
package struct EdgesCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "edges",
        abstract: "Display connections between resources, and whether they are secured.",
        discussion: "Example: linkerd viz edges deploy -n emojivoto")

    @OptionGroup var global: GlobalOptions
    @OptionGroup var viz: VizOptions

    @Option(name: .shortAndLong, help: "Namespace of the resources; the context's by default.")
    var namespace: String?

    @Flag(name: [.customShort("A"), .long], help: "Resources of all namespaces.")
    var allNamespaces = false

    @Option(name: .shortAndLong, help: "Output format: table, wide or json.")
    var output = "table"

    @Argument(help: "The kind of resource, such as deploy or po.")
    var resource: String

    package init() {}

    package func run() async throws {
        let (request, format) = try parsed()
        let connection = try await VizConnection.open(global: global, viz: viz)
        let edges: [Linkerd2_Viz_Edge]
        do {
            edges = try await connection.edges(request)
        } catch let mistake as VizConnection.StatError {
            await connection.close()
            Terminal.say("\(mistake)")
            throw ExitCode(1)
        }
        await connection.close()
        let text = EdgesTable(output: format).rendered(edges)
        if text.isEmpty { Terminal.say("No edges found.") }
        Terminal.write(text)
    }

    private func parsed() throws -> (Linkerd2_Viz_EdgesRequest, StatOutput) {
        // A missing kubeconfig is reported when connecting; here it only means there is no context.
        let context = (try? global.kubernetesConfig())?.namespace ?? "default"
        do {
            let own = allNamespaces ? "" : namespace ?? context
            return (try Self.request(resource, namespace: own), try Self.format(output))
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
