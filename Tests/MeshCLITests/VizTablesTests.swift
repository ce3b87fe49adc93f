import Foundation
import MeshAPI
import MeshCLI
import MeshKubernetes
import MeshModel
import SwiftProtobuf
import Testing

/// Compares with `Golden/<name>`; `UPDATE_GOLDEN=1` rewrites the file, and the diff is the review.
private func expectGolden(_ name: String, _ text: String, file: String = #filePath) throws {
    let path = URL(filePath: file).deletingLastPathComponent().appending(path: "Golden/\(name)")
    if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" { try Data(text.utf8).write(to: path) }
    #expect(try String(contentsOf: path, encoding: .utf8) == text)
}

@Suite("Stat tables of kinds with columns of their own", .timeLimit(.minutes(1))) struct StatKindTests {
    private func row(_ kind: String, _ name: String, success: UInt64 = 90, failure: UInt64 = 10) -> StatTable.Row {
        .with {
            $0.resource.namespace = "emojivoto"
            $0.resource.type = kind
            $0.resource.name = name
            $0.timeWindow = "1m"
            guard success + failure > 0 else { return }
            ($0.stats.successCount, $0.stats.failureCount) = (success, failure)
            ($0.stats.latencyMsP50, $0.stats.latencyMsP95, $0.stats.latencyMsP99) = (1, 20, 300)
            ($0.tcpStats.openConnections, $0.tcpStats.readBytesTotal, $0.tcpStats.writeBytesTotal) = (2, 600, 60)
        }
    }

    private func leaf(_ kind: String, _ name: String, apex: String, leaf: String, weight: String, idle: Bool = false)
        -> StatTable.Row
    {
        var row = row(kind, name, success: idle ? 0 : 90, failure: idle ? 0 : 10)
        (row.tsStats.apex, row.tsStats.leaf, row.tsStats.weight) = (apex, leaf, weight)
        return row
    }

    private func table(_ output: StatOutput = .table, namespaces: Bool = false) -> StatTable {
        StatTable(output: output, showsNamespace: namespaces, showsUnmeshed: false)
    }

    @Test("Traffic splits and services with overrides have a row for each leaf")
    func splits() throws {
        let rows = [
            leaf("trafficsplit", "ballot-split", apex: "ballot", leaf: "voting-svc", weight: "900m"),
            leaf("trafficsplit", "ballot-split", apex: "ballot", leaf: "voting-next", weight: "100m", idle: true),
        ]
        try expectGolden("stat-trafficsplit.txt", table(.wide).rendered(rows))
        try expectGolden("stat-trafficsplit.json", table(.json).rendered(rows))
        let service = leaf("service", "ballot", apex: "ballot", leaf: "voting-svc", weight: "90")
        try expectGolden("stat-service-overrides.txt", table(.table, namespaces: true).rendered([service]))
        try expectGolden("stat-service-overrides.json", table(.json).rendered([service]))
    }

    @Test("Authorities have no pods and no connections; policy objects have denials")
    func others() throws {
        let authority = row("authority", "web-svc.emojivoto.svc.cluster.local")
        var server = row("server", "web-http")
        (server.srvStats.allowedCount, server.srvStats.deniedCount) = (100, 30)
        var route = row("httproute", "web-route", success: 0, failure: 0)
        route.srvStats.srv.name = "web-http"
        try expectGolden("stat-others.txt", table(.wide).rendered([authority, server, route]))
        try expectGolden("stat-server.json", table(.json).rendered([server]))
    }
}

@Suite("The routes table", .timeLimit(.minutes(1))) struct RoutesTableTests {
    private func tables(_ names: [String]) -> [Linkerd2_Viz_RouteTable] {
        names.map { name in
            .with {
                $0.resource = name
                $0.rows = [
                    .with {
                        ($0.route, $0.authority, $0.timeWindow) = ("VoteDoughnut", "voting-svc", "1m")
                        ($0.stats.successCount, $0.stats.failureCount) = (30, 30)
                        ($0.stats.actualSuccessCount, $0.stats.actualFailureCount) = (30, 90)
                        ($0.stats.latencyMsP50, $0.stats.latencyMsP95, $0.stats.latencyMsP99) = (2, 5, 9)
                    },
                    .with { ($0.route, $0.authority, $0.timeWindow) = ("[DEFAULT]", "voting-svc", "1m") },
                    .with { ($0.route, $0.authority, $0.timeWindow) = ("[DEFAULT]", "emoji-svc", "1m") },
                ]
            }
        }
    }

    @Test("Table, wide and JSON, of one resource and of several")
    func renders() throws {
        let one = tables(["deployment/web"])
        try expectGolden("routes.txt", RoutesTable(output: .table, isOutbound: false).rendered(one))
        try expectGolden("routes-wide.txt", RoutesTable(output: .wide, isOutbound: true).rendered(one))
        try expectGolden("routes.json", RoutesTable(output: .json, isOutbound: false).rendered(one))
        let text = RoutesTable(output: .json, isOutbound: true).rendered(one)
        try expectGolden("routes-to.json", text)
        #expect(try JSONSerialization.jsonObject(with: Data(text.utf8)) is [String: [[String: Any]]])
        let several = tables(["deployment/web", "deployment/emoji"])
        try expectGolden("routes-several.txt", RoutesTable(output: .table, isOutbound: false).rendered(several))
        #expect(RoutesTable(output: .json, isOutbound: false).rendered([]) == "{}\n")
    }

    private func message(_ argument: String, _ change: (inout RoutesOptions) -> Void) -> String? {
        var options = RoutesOptions()
        change(&options)
        do {
            _ = try options.checkedOutput()
            _ = try options.request(for: argument, now: 1_700_000_000)
            return nil
        } catch { return "\(error)" }
    }

    @Test("Mistakes are answered in words")
    func mistakes() throws {
        #expect(message("deploy") { $0.output = "wide" } == "wide output is only available when --to is specified")
        #expect(message("deploy") { ($0.output, $0.to) = ("wide", "svc/x") } == nil)
        #expect(message("deploy/a/b") { _ in } == "Invalid resource string: deploy/a/b")
        #expect(message("deploy") { $0.at = "tomorrow" }?.hasPrefix("--at \"tomorrow\" is no time") == true)
        var options = RoutesOptions()
        (options.to, options.toNamespace, options.timeWindow, options.at) = ("svc/db", "other", "10m", "1h")
        let request = try options.request(for: "deploy/web", now: 1_700_000_000)
        #expect(request.toResource.namespace == "other" && request.toResource.type == "service")
        #expect(request.timeWindow == "10m@1699996400")
    }
}

@Suite("Past moments", .timeLimit(.minutes(1))) struct PastTimeTests {
    private let now = 1_763_647_200.0  // 2025-11-20T14:00:00Z

    @Test("Every form that people type", arguments: [
        ("2025-11-20T13:00:00Z", 1_763_643_600), ("2025-11-20T13:00Z", 1_763_643_600),
        ("2025-11-20 13:00", 1_763_643_600), ("2025-11-20T14:00+01:00", 1_763_643_600),
        ("2025-11-20T08:30:00-04:30", 1_763_643_600), ("2025-11-20", 1_763_596_800), ("2024-02-29", 1_709_164_800),
        ("1763643600", 1_763_643_600), ("1h", 1_763_643_600), ("-1h", 1_763_643_600), ("1d12h", 1_763_517_600),
    ] as [(String, Double)])
    func parses(text: String, seconds: Double) throws {
        #expect(try PastTime.parse(text, now: now) == seconds)
    }

    @Test("What is no time, or not past, is named", arguments: [
        ("yesterday", "is no time"), ("2025-13-01", "is no time"), ("2025-02-29", "is no time"),
        ("2025-11-20T25:00Z", "is no time"), ("2025-11-20T10:00+99:00", "is no time"), ("", "is no time"),
        ("2025-11-20T14:00:01Z", "is in the future"), ("12", "is no time"),
    ])
    func refuses(text: String, message: String) {
        let error = #expect(throws: ArgumentMistake.self) { try PastTime.parse(text, now: now) }
        #expect(error?.message.contains(message) == true)
    }

    @Test("Windows carry their end as PromQL does")
    func windows() throws {
        #expect(try WindowOption("1h", at: "", now: now).requestText == "1h")
        #expect(try WindowOption("1h", at: "2h", now: now).requestText == "1h@1763640000")
        #expect(PastTime.text(milliseconds: 1_763_643_605_000) == "2025-11-20 13:00:05")
    }
}

@Suite("Comparison and history", .timeLimit(.minutes(1))) struct CompareTests {
    private var response: Linkerd2_Viz_History_CompareResponse {
        func stats(_ success: UInt64, _ failure: UInt64, _ p99: UInt64) -> Linkerd2_Viz_BasicStats {
            .with {
                ($0.successCount, $0.failureCount) = (success, failure)
                ($0.latencyMsP50, $0.latencyMsP95, $0.latencyMsP99) = (1, 2, p99)
            }
        }
        return .with {
            ($0.beforeStartMs, $0.beforeEndMs) = (1_763_640_000_000, 1_763_643_600_000)
            ($0.afterStartMs, $0.afterEndMs) = (1_763_643_600_000, 1_763_647_200_000)
            $0.rows = ["emoji", "new", "old", "voting", "web"].map { name in
                .with {
                    $0.resource.namespace = "emojivoto"
                    $0.resource.type = "deployment"
                    $0.resource.name = name
                    if name != "new" { $0.before = stats(3_600, 0, 10) }
                    switch name {
                    case "emoji": $0.after = stats(3_590, 10, 11)
                    case "old": break
                    case "voting": $0.after = stats(3_240, 360, 40)
                    case "web": $0.after = stats(7_200, 0, 5)
                    default: $0.after = stats(36, 0, 3)
                    }
                }
            }
        }
    }

    @Test("What changed is said in words")
    func table() throws {
        let table = CompareTable(output: .table, showsNamespace: false)
        try expectGolden("compare.txt", table.rendered([response]))
        let json = CompareTable(output: .json, showsNamespace: false).rendered([response])
        try expectGolden("compare.json", json)
        #expect(try JSONSerialization.jsonObject(with: Data(json.utf8)) is [[String: Any]])
        #expect(table.rendered([.init()]).isEmpty)
    }

    @Test("Both windows' ends are read, and an order that makes no sense is refused")
    func requests() throws {
        var options = StatOptions()
        (options.timeWindow, options.at, options.to) = ("10m", "1h", "svc/db")
        let resources = [ResourceArgument(kind: .deployment, name: "web")]
        let request = try #require(try options.comparisons(for: resources, before: "1d", now: 1_763_647_200).first)
        #expect(request.window == "10m")
        #expect(request.afterAtMs == 1_763_643_600_000)
        #expect(request.beforeAtMs == 1_763_560_800_000)
        #expect(request.toResource.name == "db")
        #expect(throws: ArgumentMistake("--before must lie before the later window ends")) {
            try options.comparisons(for: resources, before: "30m", now: 1_763_647_200)
        }
    }

    @Test("Sparklines: gaps, quiet stretches, and the worst of what one character stands for")
    func history() throws {
        func series(_ counts: [(UInt64, UInt64)?]) -> Linkerd2_Viz_History_SeriesResponse {
            .with {
                $0.stepMs = 60_000
                $0.buckets = counts.enumerated().map { index, count in
                    .with {
                        $0.startMs = 1_763_640_000_000 + Int64(index) * 60_000
                        $0.hasData_p = count != nil
                        ($0.successCount, $0.failureCount) = count ?? (0, 0)
                        $0.latencyMsP99 = UInt64(index)
                    }
                }
            }
        }
        let lines = [
            HistoryTable.Line(
                name: "web", series: series([nil, (0, 0), (60, 0), (120, 0), (240, 0), (480, 0), (300, 180), (60, 0)])),
            HistoryTable.Line(name: "voting", series: series(Array(repeating: (60, 6), count: 8))),
        ]
        for metric in [HistoryTable.Metric.rps, .success, .p99] {
            let table = HistoryTable(metric: metric, output: .table, width: 20)
            try expectGolden("history-\(metric.rawValue).txt", table.rendered(lines))
        }
        try expectGolden("history-narrow.txt", HistoryTable(metric: .success, output: .table, width: 4).rendered(lines))
        let json = HistoryTable(metric: .rps, output: .json, width: 20).rendered(lines)
        try expectGolden("history.json", json)
        #expect(try JSONSerialization.jsonObject(with: Data(json.utf8)) is [[String: Any]])
        #expect(HistoryTable(metric: .rps, output: .table, width: 20).rendered([]).isEmpty)
    }
}

@Suite("Edges of a window, tap lists and scrape policy", .timeLimit(.minutes(1))) struct OtherVizTests {
    @Test("Closed edges are told from open ones")
    func pastEdges() throws {
        let response = Linkerd2_Viz_History_PastEdgesResponse.with {
            $0.edges = [true, false].map { isOpen in
                .with {
                    ($0.edge.src.name, $0.edge.src.namespace) = ("web", "emojivoto")
                    ($0.edge.dst.name, $0.edge.dst.namespace) = (isOpen ? "emoji" : "voting", "emojivoto")
                    $0.edge.clientID = "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"
                    $0.isOpen = isOpen
                    $0.lastSeenMs = 1_763_640_000_000
                    if !isOpen { ($0.stats.successCount, $0.stats.failureCount) = (75, 25) }
                }
            }
        }
        try expectGolden("edges-past.txt", EdgesTable(output: .wide).rendered(response))
        try expectGolden("edges-past.json", EdgesTable(output: .json).rendered(response))
        #expect(EdgesTable(output: .table).rendered(Linkerd2_Viz_History_PastEdgesResponse()).isEmpty)
    }

    @Test("Pods by whether they can be tapped")
    func list() {
        func pod(_ name: String, env: Bool = false, annotations: [String: String] = [:], namespace: String = "a") -> Pod {
            var pod = Pod()
            (pod.metadata.name, pod.metadata.namespace, pod.metadata.annotations) = (name, namespace, annotations)
            let variables = env ? [EnvVar { ($0.name, $0.value) = ("LINKERD2_PROXY_TAP_SVC_NAME", "tap") }] : []
            pod.spec = PodSpec { $0.containers = [Container { ($0.name, $0.env) = ("linkerd-proxy", variables) }] }
            return pod
        }
        var quiet = Namespace()
        (quiet.metadata.name, quiet.metadata.annotations) = ("b", ["viz.linkerd.io/disable-tap": "1"])
        let pods = [
            pod("z", env: true), pod("on", annotations: ["viz.linkerd.io/tap-enabled": "true"]),
            pod("off", annotations: ["viz.linkerd.io/disable-tap": "true"]), pod("off", namespace: "b"),
            pod("old"), Pod { $0.metadata.name = "unmeshed" },
        ]
        #expect(
            TapReport(pods: pods, namespaces: [quiet]).rendered() == """
                Pods with tap enabled:
                \t* a/on
                \t* a/z
                Pods with tap disabled:
                \t* a/off
                \t* b/off
                Pods missing tap configuration (restart these pods to enable tap):
                \t* a/old

                """)
        #expect(TapReport(pods: [], namespaces: []).rendered() == "No meshed pods found\n")
    }

    @Test("allow-scrapes: a server, two routes, and who may use them")
    func scrapes() throws {
        let documents = ScrapePolicy(namespace: "emojivoto", vizNamespace: "linkerd-viz").documents
        try expectGolden("allow-scrapes.json", documents.map { $0.jsonText + "\n" }.joined())
        #expect(documents.allSatisfy { $0.value(at: ["metadata", "namespace"]) == "emojivoto" })
    }

    @Test("A kind that is misspelt is answered with the likely one", arguments: [
        ("deployent", "deployment"), ("podds", "pods"), ("deplyo", "deploy"),
    ])
    func suggests(word: String, kind: String) {
        let error = #expect(throws: ArgumentMistake.self) { try ResourceArguments.parse(word) }
        #expect(error?.message.hasSuffix("[\(word)]: did you mean \"\(kind)\"?") == true)
    }
}
