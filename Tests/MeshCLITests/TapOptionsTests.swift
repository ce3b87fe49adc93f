import ArgumentParser
import MeshAPI
import MeshCLI
import SwiftProtobuf
import Testing

@Suite("The tap command line", .timeLimit(.minutes(1))) struct TapOptionsTests {
    private func call(_ flags: [String], _ resource: [String] = ["deploy/web"]) throws -> TapCall {
        try TapSelection.parse(flags).call(resource, contextNamespace: "emojivoto", wantsHeaders: false)
    }

    @Test(
        "The path names the resource",
        arguments: [
            (["deploy/web"], "emojivoto/deployments/web/tap"), (["deploy", "web"], "emojivoto/deployments/web/tap"),
            (["deploy"], "emojivoto/deployments//tap"), (["ns/other"], "other/tap"), (["ns"], "emojivoto/tap"),
            (["po/a-b"], "emojivoto/pods/a-b/tap"),
        ])
    func paths(resource: [String], path: String) throws {
        #expect(try call([], resource).path == "/apis/tap.linkerd.io/v1alpha1/watch/namespaces/" + path)
    }

    @Test("Flags become matches that must all hold")
    func matches() throws {
        let call = try call([
            "--to", "svc/voting", "--to-namespace", "other", "--method", "POST", "--path", "/x", "--authority", "a:1",
            "--scheme", "http", "--max-rps", "7", "-l", "app=web", "-n", "mine",
        ])
        let parts = call.request.match.all.matches
        #expect(parts.count == 5)
        #expect(parts[0].destinations.resource.type == "service")
        #expect(parts[0].destinations.resource.namespace == "other")
        #expect(parts[4].http.path == "/x")
        #expect(call.request.maxRps == 7)
        #expect(call.request.target.labelSelector == "app=web")
        #expect(call.request.target.resource.namespace == "mine")
        #expect(call.more.wantsLosses)
        #expect(!call.more.hasFilter)
    }

    @Test("Filters on the response travel beside Linkerd's request, and Linkerd's own readers skip them")
    func filters() throws {
        let call = try call([
            "--status", "5xx,404,200-204", "--grpc-status", "Unknown,14", "--class", "failure", "--latency-above",
            "250ms", "--tls", "true", "--header", "User-Agent=me", "--response-header", "x-y",
        ])
        let filter = call.more.filter
        #expect(filter.statuses.map { [$0.min, $0.max] } == [[500, 599], [404, 404], [200, 204]])
        #expect(filter.grpcCodes == [2, 14])
        #expect(filter.classification == "failure")
        #expect(filter.latencyAboveUs == 250_000)
        #expect(filter.tls == "true")
        #expect(filter.headers.map(\.name) == ["user-agent", "x-y"])
        #expect(filter.headers.map(\.hasValue_p) == [true, false])
        #expect(filter.headers.map(\.isResponse) == [false, true])
        let bytes = try call.bytes()
        #expect(try Linkerd2_Tap_TapByResourceRequest(serializedBytes: bytes).target == call.request.target)
        #expect(try Linkerd2_Tap_Live_RequestExtension(serializedBytes: bytes).filter == filter)
    }

    @Test(
        "Mistakes are named",
        arguments: [
            ([], ["svc/x"], "unsupported resource type [service]"), ([], ["a/b/c"], "target resource invalid: Invalid resource string: a/b/c"),
            (["--to", "nope/x"], ["deploy/web"], "destination resource invalid: cannot find Kubernetes canonical name from friendly name [nope]"),
            (["--status", "6"], ["deploy/web"], "--status 6: expected 503, 5xx or 400-499"),
            (["--grpc-status", "Nope"], ["deploy/web"], "--grpc-status Nope: no gRPC status has that name or number"),
            (["--latency-above", "fast"], ["deploy/web"], "--latency-above fast: give a duration with a unit, such as 250ms"),
            (["--class", "bad"], ["deploy/web"], "--class bad: must be success or failure"),
        ] as [([String], [String], String)])
    func mistakes(flags: [String], resource: [String], message: String) {
        #expect(throws: ArgumentMistake(message)) { try call(flags, resource) }
    }
}
