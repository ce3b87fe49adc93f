import ArgumentParser
import MeshAPI
import MeshCLI
import MeshModel
import SwiftProtobuf
import Testing

@Suite("The past of top", .timeLimit(.minutes(1))) struct PastTopTests {
    private static func workload(_ name: String, _ namespace: String = "emojivoto", kind: String = "deployment") -> Linkerd2_Viz_Resource {
        .with { ($0.type, $0.name, $0.namespace) = (kind, name, namespace) }
    }

    private var response: Linkerd2_Viz_History_TopResponse {
        func row(
            _ src: Linkerd2_Viz_Resource, _ path: String, _ success: UInt64, _ failure: UInt64, count: UInt64, micros: UInt64
        ) -> Linkerd2_Viz_History_TopResponse.Row {
            .with {
                ($0.src, $0.dst) = (src, Self.workload("web"))
                ($0.method, $0.path) = ("GET", path)
                ($0.stats.successCount, $0.stats.failureCount, $0.estimatedCount) = (success, failure, count)
                ($0.bestUs, $0.worstUs, $0.lastUs) = (micros, micros * 4, micros * 2)
            }
        }
        return .with {
            ($0.startMs, $0.endMs) = (1_763_643_600_000, 1_763_644_200_000)
            $0.rows = [
                row(Self.workload("vote-bot"), "/api/vote", 3, 1, count: 40, micros: 500),
                row(Self.workload("", "", kind: ""), "/api/vote", 4, 0, count: 4, micros: 2_000),
                row(Self.workload("bot", "load"), "/orders/{number}", 6, 0, count: 60, micros: 1_000_000),
                row(Self.workload("other", "", kind: "other"), "other", 1, 1, count: 2, micros: 1),
            ]
        }
    }

    private func table(_ shape: TopShape = TopShape(), _ response: Linkerd2_Viz_History_TopResponse? = nil) -> PastTopTable {
        PastTopTable(response ?? self.response, shape: shape, namespace: "emojivoto")
    }

    @Test("The columns are those of live top; counts are estimates, success is of what was sampled")
    func renders() {
        let lines = table().table.split(separator: "\n").map { $0.split(separator: " ", omittingEmptySubsequences: true).map(String.init) }
        #expect(lines[0] == ["Source", "Destination", "Method", "Path", "Count", "Best", "Worst", "Last", "Success", "Rate"])
        #expect(lines[1] == ["deployment/bot.load", "deployment/web", "GET", "/orders/{number}", "60", "1s", "4s", "2s", "100.00%"])
        #expect(lines[2] == ["deployment/vote-bot", "deployment/web", "GET", "/api/vote", "40", "500µs", "2ms", "1ms", "75.00%"])
        #expect(lines[3].first == "(unknown)" && lines[4].prefix(2) == ["(other)", "deployment/web"])
        #expect(table().notice == "16 of about 106 requests were sampled (15.1%), from 2025-11-20 13:00:00 to 2025-11-20 13:10:00 UTC.")
    }

    @Test("Without sources rows are added up over them")
    func hides() throws {
        let table = table(TopShape(hidesSources: true))
        let row = try #require(table.rows.first { $0.path == "/api/vote" })
        #expect((row.count, row.successRate) == (44, 0.875))
        #expect((row.best, row.worst) == (.microseconds(500), .milliseconds(8)))
        #expect(!table.table.contains("Source") && table.rows.count == 3)
    }

    @Test("JSON parses, with both counts")
    func json() throws {
        let tree = try JSONValue(parsing: table().json)
        let row = try #require(tree["rows"]?[1])
        #expect(row["count"] == 40 && row["sampled_count"] == 4 && row["worst_us"] == 2_000 && row["success"] == 0.75)
        #expect(tree["end_ms"]?.doubleValue == 1_763_644_200_000)
        let nothing = try JSONValue(parsing: self.table(TopShape(), .init()).json)
        #expect(nothing["rows"]?.arrayValue?.isEmpty == true)
    }

    @Test("When nothing was sampled that is said, with the window")
    func nothing() {
        let response = Linkerd2_Viz_History_TopResponse.with { ($0.startMs, $0.endMs) = (1_763_643_600_000, 1_763_644_200_000) }
        #expect(table(TopShape(), response).table.isEmpty)
        #expect(table(TopShape(), response).notice == "No requests were sampled from 2025-11-20 13:00:00 to 2025-11-20 13:10:00 UTC.")
    }

    @Test("Flags become a request; what samples do not know is refused by name")
    func flags() throws {
        let now = 1_763_647_200.0
        func request(_ arguments: [String]) throws -> Linkerd2_Viz_History_TopRequest {
            let command = try TopCommand.parse(arguments)
            return try command.selection.pastTop(
                command.resource, contextNamespace: "default",
                window: WindowOption(command.timeWindow.isEmpty ? "10m" : command.timeWindow, at: command.at, now: now))
        }
        let asked = try request(["deploy/web", "-n", "emojivoto", "--to", "deploy/voting", "--method", "post", "--path", "/e", "--at", "1h", "-t", "5m"])
        #expect((asked.resource.type, asked.resource.name, asked.resource.namespace) == ("deployment", "web", "emojivoto"))
        #expect((asked.toResource.name, asked.toResource.namespace, asked.method, asked.path) == ("voting", "emojivoto", "POST", "/e"))
        #expect((asked.window, asked.atMs) == ("5m", 1_763_643_600_000))
        #expect(try request(["ns/emojivoto", "--at", "now"]).atMs == 1_763_647_200_000)
        #expect(try request(["ns", "--at", "now"]).resource.name == "default")
        #expect(try request(["deploy", "--to-namespace", "shop", "--at", "now"]).toResource.type == "namespace")
        for (arguments, words) in [
            (["po/web-1", "--at", "1h"], "samples are kept by workload, not by pod"),
            (["deploy/web", "--at", "1h", "--status", "5xx", "--tls", "true"], "--status, --tls: samples of the past do not know it"),
            (["deploy/web", "--at", "1h", "-l", "app=web"], "--selector"), (["deploy/web", "-t", "5s"], "at least 15s"),
        ] {
            let error = #expect(throws: ArgumentMistake.self) { try request(arguments) }
            #expect(error?.message.contains(words) == true, "\(arguments)")
        }
    }

    @Test("Exemplars: failed first, pods where they are known, statuses by name, no control characters")
    func exemplars() throws {
        var response = Linkerd2_Viz_History_ExemplarsResponse()
        response.failed = [
            .with {
                ($0.atMs, $0.method, $0.path, $0.dstPod) = (1_763_643_600_000, "POST", "/emojivoto.v1.VotingService/VoteDoughnut", "voting-1")
                ($0.src, $0.dst) = (Self.workload("web"), Self.workload("voting"))
                ($0.httpStatus, $0.grpcStatus, $0.latencyUs, $0.isFailure) = (200, 2, 1_200, true)
                $0.traceID = "463ac35c9f6413ad"
            }
        ]
        response.slowest = [.with { ($0.path, $0.httpStatus, $0.latencyUs) = ("/a\u{1B}[2J", 200, 3_000_000) }]
        let table = ExemplarsTable(response, namespace: "emojivoto")
        let lines = table.rendered.split(separator: "\n").map { $0.split(separator: " ", omittingEmptySubsequences: true).map(String.init) }
        #expect(lines[0] == ["Failed"])
        #expect(lines[1] == ["TIME", "SOURCE", "DESTINATION", "METHOD", "PATH", "STATUS", "LATENCY", "TRACE"])
        #expect(
            lines[2] == [
                "2025-11-20", "13:00:00", "deployment/web", "voting-1", "POST", "/emojivoto.v1.VotingService/VoteDoughnut",
                "Unknown", "1ms", "463ac35c9f6413ad",
            ])
        #expect(lines[3] == ["Slowest"] && lines[5].contains("3s") && !table.rendered.contains("\u{1B}"))
        let tree = try JSONValue(parsing: table.json)
        #expect(tree["failed"]?[0]?["grpc_status"] == 2 && tree["slowest"]?[0]?["grpc_status"] == .null)
        let nothing = ExemplarsTable(.init(), namespace: "emojivoto")
        #expect(nothing.isEmpty && nothing.rendered.isEmpty && nothing.notice.hasPrefix("No requests were sampled"))
    }
}
