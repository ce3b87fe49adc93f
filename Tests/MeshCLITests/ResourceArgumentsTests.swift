import MeshAPI
import MeshCLI
import MeshModel
import Testing

@Suite("Resource arguments", .timeLimit(.minutes(1))) struct ResourceArgumentsTests {
    @Test("Every form of the grammar", arguments: [
        (["deploy"], [(ResourceKind.deployment, "")]),
        (["deploy", "web", "voting"], [(.deployment, "web"), (.deployment, "voting")]),
        (["deploy/web", "po/foo"], [(.deployment, "web"), (.pod, "foo")]),
        (["deploy/", "po/"], [(.deployment, ""), (.pod, "")]),
        (["ns/emojivoto"], [(.namespace, "emojivoto")]),
        (["deploy", "po"], [(.deployment, "po")]),
        (["all"], [(.all, "")]),
    ])
    func parses(arguments: [String], expected: [(ResourceKind, String)]) throws {
        let resources = try ResourceArguments.parse(arguments)
        #expect(resources == expected.map { ResourceArgument(kind: $0.0, name: $0.1) })
    }

    @Test("Mistakes are answered in words", arguments: [
        (["deploy/web/x"], "Invalid resource string: deploy/web/x"),
        (["deploy/web", "deploy/web"], "cannot supply duplicate resources"),
        (["all", "po"], "'all' can't be supplied alongside other resources"),
        (["frobnicator"], "cannot find Kubernetes canonical name from friendly name [frobnicator]"),
        ([], "no resource arguments provided"),
    ])
    func refuses(arguments: [String], message: String) {
        #expect(throws: ArgumentMistake(message)) { try ResourceArguments.parse(arguments) }
    }
}

@Suite("Stat options", .timeLimit(.minutes(1))) struct StatOptionsTests {
    private func message(_ arguments: [String], _ change: (inout StatOptions) -> Void) -> String? {
        var options = StatOptions()
        change(&options)
        do {
            _ = try options.checkedOutput()
            _ = try options.requests(for: ResourceArguments.parse(arguments))
            return nil
        } catch { return "\(error)" }
    }

    @Test("Combinations that make no sense are named")
    func refusesCombinations() {
        #expect(message(["deploy"]) { ($0.to, $0.from) = ("deploy/a", "deploy/b") } == "--to and --from flags are mutually exclusive")
        #expect(message(["deploy"]) { $0.timeWindow = "10s" } == "metrics time window needs to be at least 15s")
        #expect(message(["deploy"]) { $0.timeWindow = "soon" }?.hasPrefix("invalid duration \"soon\"") == true)
        #expect(message(["deploy"]) { $0.output = "xml" } == "--output currently only supports table, json and wide")
        #expect(
            message(["deploy", "web"]) { $0.allNamespaces = true }
                == "stats for a resource cannot be retrieved by name across all namespaces")
        #expect(
            message(["deploy"]) { ($0.allNamespaces, $0.namespace) = (true, "emojivoto") }
                == "--all-namespaces and --namespace flags are mutually exclusive")
        #expect(message(["deploy"]) { $0.from = "svc/web-svc" }?.hasPrefix("service is not supported as a target on 'from'") == true)
        #expect(message(["deploy"]) { $0.to = "all" } == "resource type 'all' is not supported as a filter")
        #expect(
            message(["ns"]) { $0.toNamespace = "x" } == "--to-namespace flag is incompatible with namespace resource type")
    }

    @Test("A request carries the selector, the window and the filter")
    func buildsRequests() throws {
        var options = StatOptions()
        (options.namespace, options.timeWindow, options.to) = ("emojivoto", "10m", "deploy/voting")
        let request = try #require(try options.requests(for: ResourceArguments.parse(["deploy/web"])).first)
        #expect(request.selector.resource.namespace == "emojivoto")
        #expect(request.selector.resource.type == "deployment")
        #expect(request.selector.resource.name == "web")
        #expect(request.timeWindow == "10m")
        #expect(request.toResource.name == "voting")
        #expect(request.toResource.namespace == "emojivoto")
        #expect(request.tcpStats)
    }

    @Test("Without a filter the request says so, and namespaces ignore the context")
    func buildsPlainRequests() throws {
        let request = try #require(try StatOptions().requests(for: ResourceArguments.parse(["ns"])).first)
        #expect(request.selector.resource.namespace.isEmpty)
        #expect(request.outbound == .none(.init()))
    }
}
