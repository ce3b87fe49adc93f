import GRPCCore
import MeshAPI
import MeshRollup
@testable import MetricsAPI
import RollupStore
import SwiftProtobuf
import Testing

/// The answers over the scenario's store.
private func withAnswers(_ body: (VizAnswers) async throws -> Void) async throws {
    let box = try await Scenario.filledStore()
    let index = Scenario.index()
    let sources = VizSources(
        backend: box.backend(index), index: { index }, isSynced: { true },
        now: { Scenario.end.advanced(by: 5_000) })
    try await body(VizAnswers(sources))
}

private func selector(_ type: String, _ name: String = "", namespace: String = "emojivoto")
    -> Linkerd2_Viz_ResourceSelection
{
    .with {
        $0.resource.type = type
        $0.resource.name = name
        $0.resource.namespace = namespace
    }
}

@Suite("TopRoutes", .timeLimit(.minutes(1)))
struct TopRoutesTests {
    private func routes(
        _ answers: VizAnswers, _ type: String, _ name: String = "", to: Linkerd2_Viz_Resource? = nil
    ) async throws -> Linkerd2_Viz_TopRoutesResponse {
        try await answers.topRoutes(
            .with {
                $0.selector = selector(type, name)
                $0.timeWindow = "5m"
                if let to { $0.toResource = to } else { $0.none = .init() }
            })
    }

    @Test("A row for each route of the profile and one for the rest, with or without traffic")
    func rows() async throws {
        try await withAnswers { answers in
            let tables = try await routes(answers, "deploy", "voting").ok.routes
            #expect(tables.map(\.resource) == ["deployment/voting"])
            let rows = try #require(tables.first?.rows)
            #expect(rows.map(\.route) == ["VoteDoughnut", "VotePoop", "[DEFAULT]"])
            #expect(Set(rows.map(\.authority)) == ["voting-svc"])
            #expect(rows.map(\.stats.successCount) == [90, 0, 90])
            #expect(rows.map(\.stats.failureCount) == [60, 0, 0])
            #expect(rows[0].timeWindow == "5m")
        }
    }

    @Test("Without a profile there is only [DEFAULT]; several objects have a table each")
    func defaults() async throws {
        try await withAnswers { answers in
            let tables = try await routes(answers, "deploy").ok.routes
            #expect(tables.map(\.resource) == ["deployment/voting", "deployment/web"])
            #expect(tables.last?.rows.map(\.route) == ["[DEFAULT]"])
            #expect(tables.last?.rows.first?.stats.successCount == 270, "all of it, until there is a profile")
            let bot = try await routes(answers, "deploy", "vote-bot", to: selector("svc", "web-svc").resource)
            #expect(bot.ok.routes.first?.rows.first?.stats.failureCount == 30)
            #expect(bot.ok.routes.first?.rows.first?.stats.actualFailureCount == 30)
            let service = try await routes(answers, "svc", "voting-svc").ok.routes
            #expect(service.first?.rows.first?.stats.failureCount == 60)
        }
    }

    @Test("With --to attempts are counted beside what was left after retries")
    func outbound() async throws {
        try await withAnswers { answers in
            let to = Linkerd2_Viz_Resource.with {
                ($0.type, $0.name, $0.namespace) = ("service", "voting-svc", "emojivoto")
            }
            let row = try #require(try await routes(answers, "deploy", "web", to: to).ok.routes.first?.rows.first)
            #expect(row.route == "VoteDoughnut")
            #expect(row.stats.failureCount == 60)
            #expect(row.stats.actualFailureCount == 150)
            #expect(row.stats.actualSuccessCount == 90)
            let authority = Linkerd2_Viz_Resource.with {
                ($0.type, $0.name) = ("authority", "voting-svc.emojivoto.svc.cluster.local:8080")
            }
            let named = try await routes(answers, "deploy", "web", to: authority).ok.routes.first?.rows
            #expect(named?.first?.authority == "voting-svc.emojivoto.svc.cluster.local:8080")
            #expect(named?.first?.stats.failureCount == 60)
        }
    }

    @Test("Questions at fault, in Linkerd's words")
    func mistakes() async throws {
        try await withAnswers { (answers: VizAnswers) async throws in
            #expect(try await answers.topRoutes(.init()).error.error == "TopRoutes request missing Selector Resource")
            #expect(
                try await routes(answers, "deploy", "vote-bot").error.error
                    == "No Service Profiles found for selected resources")
            #expect(
                try await routes(answers, "svc", "web-svc", to: selector("svc", "voting-svc").resource).error.error
                    == "The service resource type is not supported with 'to' queries")
            #expect(try await routes(answers, "au", "x").error.error.hasPrefix("Authority cannot be the target"))
            #expect(try await routes(answers, "server").error.error == "resource type is not supported: server")
        }
    }
}

@Suite("Splits, the past, and comparisons", .timeLimit(.minutes(1)))
struct PastTests {
    @Test("A traffic split has a row for each backend, a service with overrides one for each of them")
    func splits() async throws {
        try await withAnswers { answers in
            func rows(_ type: String, _ name: String) async throws -> [StatSummarizer.Row] {
                let response = try await answers.statSummary(
                    .with {
                        $0.selector = selector(type, name)
                        $0.timeWindow = "5m"
                        $0.tcpStats = true
                    })
                return response.ok.statTables.flatMap(\.podGroup.rows)
            }
            let split = try await rows("ts", "")
            #expect(split.map(\.tsStats.leaf) == ["voting-next", "voting-svc"])
            #expect(split.map(\.tsStats.weight) == ["100m", "900m"])
            #expect(split.map(\.tsStats.apex) == ["ballot", "ballot"])
            #expect(split.map(\.hasStats) == [false, true])
            #expect(split.last?.stats.successCount == 180)
            let overrides = try await rows("svc", "ballot")
            #expect(overrides.map(\.tsStats.leaf) == ["voting-svc"])
            #expect(overrides.first?.stats.failureCount == 60)
            #expect(try await rows("au", "").map(\.resource.name).contains(Scenario.webHost))
        }
    }

    @Test("A window may end in the past, and its length alone is echoed")
    func at() async throws {
        try await withAnswers { answers in
            let end = Scenario.start.advanced(by: 120_000).milliseconds / 1_000
            let response = try await answers.statSummary(
                .with {
                    $0.selector = selector("deploy", "web")
                    $0.timeWindow = "1m@\(end)"
                })
            let row = try #require(response.ok.statTables.first?.podGroup.rows.first)
            #expect(row.timeWindow == "1m")
            #expect(row.stats.successCount == 54)
            let before = try await answers.statSummary(
                .with {
                    $0.selector = selector("deploy", "web")
                    $0.timeWindow = "1m@\(Scenario.start.milliseconds / 1_000 - 600)"
                })
            #expect(before.ok.statTables.first?.podGroup.rows.first?.hasStats == false)
            let nonsense = try await answers.statSummary(
                .with {
                    $0.selector = selector("deploy")
                    $0.timeWindow = "1m@noon"
                })
            #expect(nonsense.error.error.contains("invalid time window: \"noon\""))
        }
    }

    @Test("Two windows side by side; a resource that is in one of them only is a row too")
    func compare() async throws {
        try await withAnswers { answers in
            let response = try await answers.compare(
                .with {
                    $0.selector = selector("deploy")
                    $0.window = "2m"
                    $0.beforeAtMs = Scenario.start.advanced(by: 60_000).milliseconds
                })
            #expect(response.rows.map(\.resource.name) == ["voting", "web"])
            #expect(response.rows.last?.before.successCount == 54, "half of the earlier window had traffic")
            #expect(response.rows.last?.after.successCount == 108)
            #expect(response.afterEndMs == Scenario.end.milliseconds)
            let quiet = try await answers.compare(
                .with {
                    $0.selector = selector("deploy", "web")
                    $0.window = "2m"
                    $0.beforeAtMs = Scenario.start.advanced(by: -600_000).milliseconds
                    $0.toResource = selector("deploy", "voting").resource
                })
            #expect(quiet.rows.first?.hasBefore == false)
            #expect(quiet.rows.first?.after.failureCount == 24)
            let error = await #expect(throws: RPCError.self) {
                _ = try await answers.compare(
                    .with {
                        $0.selector = selector("deploy")
                        $0.window = "2m"
                        $0.beforeAtMs = Scenario.end.milliseconds
                    })
            }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test("Edges that have closed are told apart from those still open")
    func pastEdges() async throws {
        let box = try await Scenario.filledStore()
        let index = Scenario.index()
        // web-1 is gone for five minutes: its connections closed with it.
        let gone = Scenario.end.advanced(by: 10_000)
        let parts = await box.store.knownKeys(.edges).compactMap { key -> ScrapeRecord.Part? in
            guard case .edge(let edge) = key, edge.src.name == "web" else { return nil }
            var rollup = Rollup()
            rollup.openConnections = ConnectionGauge(0)
            return ScrapeRecord.Part(key: key, bucket: Spread.bucket(endingAt: gone), rollup: rollup)
        }
        await box.store.ingest(ScrapeRecord(pod: "web-1", at: gone, step: [], base: nil, parts: parts))
        let now = Scenario.end.advanced(by: 300_000)
        let answers = HistoryAnswers(index: index, backend: box.backend(index), now: now)
        let edges = try await answers.pastEdges(
            .with {
                $0.type = "deploy"
                $0.namespace = "emojivoto"
                $0.window = "10m"
            }
        ).edges
        #expect(edges.map { "\($0.edge.src.name)>\($0.edge.dst.name)" } == ["vote-bot>web", "web>emoji", "web>voting"])
        #expect(edges.map(\.isOpen) == [true, false, false], "nobody said that vote-bot closed")
        let lastSeen = Scenario.end.advanced(by: -10_000).milliseconds
        #expect(edges.map(\.lastSeenMs).suffix(2) == [lastSeen, lastSeen])
        #expect(edges.last?.stats.failureCount ?? 0 > 0)
        #expect(edges.last?.edge.serverID == "voting.id")
    }
}
