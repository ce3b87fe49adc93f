package import ArgumentParser
import Foundation
package import MeshAPI
import MeshKubernetes
import MeshModel

/// `linkerd viz routes`: traffic by the routes of ServiceProfiles.
package struct RoutesCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "routes",
        abstract: "Display route stats.",
        discussion: """
            Routes come from the ServiceProfiles of the services in front of the resource; requests that none matches
            are shown as [DEFAULT].

            Examples:
              linkerd viz routes deploy/web -n emojivoto
              linkerd viz routes deploy/web -n emojivoto --to svc/voting-svc -o wide
              linkerd viz routes svc/web-svc -n emojivoto -t 1h --at 2026-11-20T14:00Z
            """)

    @OptionGroup var global: GlobalOptions
    @OptionGroup var viz: VizOptions

    @Option(name: .shortAndLong, help: "Namespace of the resource; the context's by default.")
    var namespace: String?

    @Option(name: [.customShort("t"), .long], help: "Stat window (for example: 15s, 1m, 10m, 1h, 7d).")
    var timeWindow = "1m"

    @Option(help: "End of the window: a time such as 2026-11-20T14:00Z, or how long ago, such as 2h.")
    var at = ""

    @Option(help: "Only traffic to this resource, as its clients saw it: TYPE or TYPE/NAME.")
    var to = ""

    @Option(help: "Namespace of the resource of --to; the selected one by default.")
    var toNamespace = ""

    @Option(name: .shortAndLong, help: "Output format: table, wide or json.")
    var output = "table"

    @Option(name: [.customShort("l"), .long], help: "Label selector, as kubectl's.")
    var selector = ""

    @Argument(help: "The resource: TYPE or TYPE/NAME.")
    var resource: String

    package init() {}

    package func run() async throws {
        let (request, table) = try parsed()
        let text = try await VizConnection.using(global: global, viz: viz) { connection in
            table.rendered(try await connection.routes(request))
        }
        Terminal.write(text)
    }

    private func parsed() throws -> (Linkerd2_Viz_TopRoutesRequest, RoutesTable) {
        var options = RoutesOptions()
        options.namespace = namespace
        // A missing kubeconfig is reported when connecting; here it only means there is no context.
        if let config = try? global.kubernetesConfig() { options.contextNamespace = config.namespace }
        (options.timeWindow, options.at, options.selector, options.output) = (timeWindow, at, selector, output)
        (options.to, options.toNamespace) = (to, toNamespace)
        do {
            let format = try options.checkedOutput()
            let request = try options.request(for: resource, now: Date.now.timeIntervalSince1970)
            return (request, RoutesTable(output: format, isOutbound: !to.isEmpty || !toNamespace.isEmpty))
        } catch {
            Terminal.say("error creating metrics request while making routes request: \(error)")
            throw ExitCode(1)
        }
    }
}

/// What the user asked of `linkerd viz routes`, before it is checked.
package struct RoutesOptions: Sendable {
    package var namespace: String?
    package var contextNamespace = "default"
    package var timeWindow = "1m"
    package var at = ""
    package var to = ""
    package var toNamespace = ""
    package var output = "table"
    package var selector = ""

    package init() {}

    /// The output format.
    package func checkedOutput() throws(ArgumentMistake) -> StatOutput {
        guard let format = StatOutput(rawValue: output.isEmpty ? "table" : output) else {
            throw ArgumentMistake("--output currently only supports table, wide and json")
        }
        if format == .wide, to.isEmpty, toNamespace.isEmpty {
            throw ArgumentMistake("wide output is only available when --to is specified")
        }
        return format
    }

    /// Checks and makes the request.
    package func request(
        for argument: String, now: Double
    ) throws(ArgumentMistake) -> Linkerd2_Viz_TopRoutesRequest {
        let resource = try ResourceArguments.parse(argument)
        // The server knows the scrape interval; no minimum of our own here, as Linkerd has none.
        let window = try WindowOption(timeWindow, at: at, now: now, secondsMin: 0)
        var request = Linkerd2_Viz_TopRoutesRequest()
        request.selector.resource = message(resource, namespace: namespace ?? contextNamespace)
        request.selector.labelSelector = selector
        request.timeWindow = window.requestText
        guard !to.isEmpty || !toNamespace.isEmpty else {
            request.none = Linkerd2_Viz_Empty()
            return request
        }
        let end =
            to.isEmpty
            ? ResourceArgument(kind: .namespace, name: toNamespace) : try ResourceArguments.parse(to)
        request.toResource = message(
            end, namespace: toNamespace.isEmpty ? namespace ?? contextNamespace : toNamespace)
        return request
    }

    private func message(_ resource: ResourceArgument, namespace: String) -> Linkerd2_Viz_Resource {
        var message = Linkerd2_Viz_Resource()
        message.type = resource.kind.name
        message.name = resource.name
        message.namespace = resource.kind == .namespace ? "" : namespace
        return message
    }
}
