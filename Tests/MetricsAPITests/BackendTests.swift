import MeshModel
import MeshRollup
@testable import MetricsAPI
import Testing

/// The two backends, told the same.
enum BackendKind: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case store, prometheus
    var testDescription: String { rawValue }
}

@Suite("Both backends answer the same", .serialized, .timeLimit(.minutes(2)))
struct BackendTests {
    /// Both are expensive to fill, and nothing changes them.
    private static let filled = Task { () async throws -> (box: StoreBox, server: PrometheusServer) in
        async let box = Scenario.filledStore()
        async let server = PrometheusServer.start(openMetrics: Scenario.openMetrics())
        return (try await box, try await server)
    }

    private func withBackend(
        _ kind: BackendKind, _ body: (any MetricsBackend) async throws -> Void
    ) async throws {
        let filled = try await Self.filled.value
        switch kind {
        case .store: try await body(filled.box.backend(Scenario.index()))
        case .prometheus:
            let client = try PrometheusClient(PrometheusConfig(url: filled.server.url))
            do { try await body(PrometheusBackend(client: client)) } catch {
                await client.shutdown()
                throw error
            }
            await client.shutdown()
        }
    }

    /// Five minutes that end two minutes before the traffic does: 30 steps.
    private func window(_ text: String = "5m") throws -> StatWindow {
        try StatWindow(text, end: Scenario.end.advanced(by: -120_000), now: Scenario.end.advanced(by: 5_000))
    }

    private func deployment(_ name: String = "", kind: ResourceKind = .deployment) -> TrafficEnd {
        TrafficEnd(kind: kind, namespace: "emojivoto", name: name)
    }

    private func traffic(
        _ backend: any MetricsBackend, _ selected: TrafficEnd, _ filter: TrafficFilter = .none
    ) async throws -> [String: TrafficStats] {
        let query = TrafficQuery(selected, filter: filter, window: try window())
        let answers = try await backend.traffic(query)
        return Dictionary(answers.map { ($0.key.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    @Test("Deployments, pods, replicasets' pods and namespaces, by what they received", arguments: BackendKind.allCases)
    func inbound(kind: BackendKind) async throws {
        try await withBackend(kind) { backend in
            let deployments = try await traffic(backend, deployment())
            #expect(deployments.keys.sorted() == ["voting", "web"])
            let web = try #require(deployments["web"])
            #expect(web.successes == 270)
            #expect(web.failures == 30)
            #expect(web.openConnections == 2)
            #expect(web.readBytes == 30_000)
            #expect(web.writeBytes == 90_000)
            let latency = try #require(web.latency)
            // 270 of 300 between 4 and 5 ms, 30 between 40 and 50 ms.
            #expect(abs(latency.p50 - (4 + 150.0 / 270)) < 0.01)
            #expect(abs(latency.p95 - 45) < 0.01)
            #expect(abs(latency.p99 - 49) < 0.01)
            #expect(try await traffic(backend, deployment("voting-1", kind: .pod))["voting-1"]?.failures == 60)
            #expect(try await traffic(backend, deployment("voting")).keys.sorted() == ["voting"])
            let namespaces = try await traffic(
                backend, TrafficEnd(kind: .namespace, namespace: "", name: "emojivoto"))
            #expect(namespaces["emojivoto"]?.successes == 450)
            let elsewhere = TrafficEnd(kind: .deployment, namespace: "nowhere", name: "")
            #expect(try await traffic(backend, elsewhere).isEmpty)
        }
    }

    @Test("--to and --from, by what clients saw", arguments: BackendKind.allCases)
    func filters(kind: BackendKind) async throws {
        try await withBackend(kind) { backend in
            let toVoting = try await traffic(backend, deployment(), .to(deployment("voting")))
            #expect(toVoting.keys.sorted() == ["web"])
            #expect(toVoting["web"]?.successes == 180)
            #expect(toVoting["web"]?.failures == 60)
            #expect(toVoting["web"]?.readBytes == 15_000)
            let toService = try await traffic(
                backend, deployment(), .to(deployment("emoji-svc", kind: .service)))
            #expect(toService["web"]?.successes == 120)
            let typeOnly = try await traffic(backend, deployment(), .to(deployment()))
            #expect(typeOnly["web"]?.successes == 300, "a type alone takes all outbound traffic")
            #expect(typeOnly["vote-bot"]?.successes == 270)
            let fromWeb = try await traffic(backend, deployment(), .from(deployment("web")))
            #expect(fromWeb.keys.sorted() == ["emoji", "voting"])
            #expect(fromWeb["emoji"]?.successes == 120)
            let podToPod = try await traffic(
                backend, deployment("web-1", kind: .pod), .to(deployment("voting-1", kind: .pod)))
            #expect(podToPod["web-1"]?.failures == 60)
            let authority = TrafficEnd(
                kind: .authority, namespace: "", name: "\(Scenario.emojiHost):8080")
            #expect(try await traffic(backend, deployment(), .to(authority))["web"]?.successes == 120)
        }
    }

    @Test("Services, authorities and the leaves of an apex", arguments: BackendKind.allCases)
    func services(kind: BackendKind) async throws {
        try await withBackend(kind) { backend in
            let services = try await traffic(backend, deployment(kind: .service))
            #expect(services.keys.sorted() == ["emoji-svc", "voting-svc", "web-svc"])
            #expect(services["voting-svc"]?.failures == 60)
            let fromBot = try await traffic(
                backend, deployment(kind: .service), .from(deployment("vote-bot")))
            #expect(fromBot.keys.sorted() == ["web-svc"])
            let authorities = try await traffic(backend, deployment(kind: .authority))
            #expect(
                authorities.keys.sorted() == ["voting-svc.emojivoto.svc.cluster.local:8080", Scenario.webHost])
            #expect(authorities[Scenario.webHost]?.successes == 270)
            let called = try await traffic(
                backend, deployment(kind: .authority), .from(deployment("web")))
            #expect(called.keys.sorted() == ["\(Scenario.ballotHost):8080", "\(Scenario.emojiHost):8080"])
            let leaves = try await backend.leaves(
                LeafQuery(apex: ObjectName("emojivoto", "ballot"), filter: .none, window: try window()))
            #expect(leaves.map(\.key.service) == ["voting-svc"])
            #expect(leaves.first?.value.successes == 180)
            let none = try await backend.leaves(
                LeafQuery(apex: ObjectName("emojivoto", "ball"), filter: .none, window: try window()))
            #expect(none.isEmpty, "a name that only begins alike is another service")
        }
    }

    @Test("Edges with identities, also between root workloads", arguments: BackendKind.allCases)
    func edges(kind: BackendKind) async throws {
        try await withBackend(kind) { backend in
            for edgeKind in [ResourceKind.deployment, nil] {
                let query = EdgeQuery(kind: edgeKind, namespace: "emojivoto", window: try window())
                let edges = try await backend.edges(query)
                let names = edges.map { "\($0.ends.src.name)>\($0.ends.dst.name)" }
                #expect(names == ["vote-bot>web", "web>emoji", "web>voting"])
                #expect(edges.map(\.isSecured) == [false, true, true])
                #expect(edges.map(\.serverID) == ["", "emoji.id", "voting.id"])
                #expect(edges.first?.noTLSReason == "not_provided_by_service_discovery")
                #expect(edges.last?.stats.failures == 60)
                #expect(edges.last?.stats.openConnections == 1)
                #expect(edges.map(\.wireProtocol) == [.http, .http, .http])
                let seen = try await backend.lastSeen(query)
                let end = query.window.window.to
                for edge in edges {
                    let last = try #require(seen[edge.ends])
                    #expect(end.since(last) <= 10_000, "\(last)")
                }
            }
            let pods = try await backend.edges(
                EdgeQuery(kind: .pod, namespace: "emojivoto", window: try window()))
            #expect(pods.map { "\($0.ends.src.name)>\($0.ends.dst.name)" }.contains("web-1>voting-1"))
            #expect(pods.first { $0.isSecured }?.srcPod == ObjectName("emojivoto", "web-1"))
            let elsewhere = EdgeQuery(kind: .deployment, namespace: "nowhere", window: try window())
            #expect(try await backend.edges(elsewhere).isEmpty)
        }
    }

    @Test("Routes, effective and actual", arguments: BackendKind.allCases)
    func routes(kind: BackendKind) async throws {
        let host = "voting-svc.emojivoto.svc.cluster.local"
        try await withBackend(kind) { backend in
            let served = try await backend.routes(
                RouteQuery(
                    selected: deployment("voting"), isOutbound: false, profiles: [host], window: try window()))
            #expect(served[RouteName(profile: host, route: "VoteDoughnut")]?.failures == 60)
            #expect(served[RouteName(profile: host, route: "")]?.successes == 90)
            #expect(served.count == 2)
            let called = try await backend.routes(
                RouteQuery(selected: deployment("web"), isOutbound: true, profiles: [host], window: try window()))
            let doughnut = try #require(called[RouteName(profile: host, route: "VoteDoughnut")])
            #expect(doughnut.successes == 90)
            #expect(doughnut.failures == 60)
            #expect(doughnut.actualSuccesses == 90)
            #expect(doughnut.actualFailures == 150)
            let p50 = try #require(doughnut.latency?.p50)
            #expect(abs(p50 - (4 + 75.0 / 90)) < 0.01)
            let service = try await backend.routes(
                RouteQuery(
                    selected: deployment("voting-svc", kind: .service), isOutbound: false, profiles: [host],
                    window: try window()))
            #expect(service[RouteName(profile: host, route: "")]?.successes == 90)
            let others = try await backend.routes(
                RouteQuery(
                    selected: deployment("web"), isOutbound: true, profiles: ["voting-svcxemojivoto.svc"],
                    window: try window()))
            #expect(others.isEmpty)
        }
    }

    @Test("A series adds up to its window, bucket by bucket", arguments: BackendKind.allCases)
    func series(kind: BackendKind) async throws {
        try await withBackend(kind) { backend in
            let answer = try await backend.series(
                SeriesQuery(deployment("web"), filter: .none, window: try window(), stepMilliseconds: 60_000))
            #expect(answer.stepMilliseconds == 60_000)
            #expect(try answer.start == window().window.from)
            #expect(answer.buckets.map { $0?.successes } == Array(repeating: 54, count: 5))
            #expect(answer.buckets.map { $0?.openConnections } == Array(repeating: 2, count: 5))
            let finest = try await backend.series(
                SeriesQuery(deployment("web"), filter: .none, window: try window(), stepMilliseconds: 10_000))
            let perStep = UInt64(9 * finest.stepMilliseconds / 10_000)
            #expect(finest.buckets.allSatisfy { $0?.successes == perStep }, "\(finest.stepMilliseconds)")
            let edge = try await backend.series(
                SeriesQuery(
                    deployment("web"), filter: .to(deployment("voting")), window: try window(),
                    stepMilliseconds: 60_000))
            #expect(edge.buckets.map { $0?.failures } == Array(repeating: 12, count: 5))
        }
    }

    @Test("Root workloads, and pods last heard of", arguments: BackendKind.allCases)
    func workloads(kind: BackendKind) async throws {
        try await withBackend(kind) { backend in
            let workloads = try await backend.workloads(namespace: "emojivoto", window())
            #expect(workloads.filter { $0.value.responses > 0 }.map(\.key.name).sorted() == ["voting", "web"])
            #expect(workloads[Fixtures.deployment("web")]?.successes == 270)
            #expect(await backend.problem() == nil)
        }
    }

    @Test("The Prometheus backend equals the same expression sent to the same server")
    func sameExpression() async throws {
        let server = try await Self.filled.value.server
        let client = try PrometheusClient(PrometheusConfig(url: server.url))
        let window = try window("3m")
        let raw = try await client.query(
            #"sum(increase(response_total{deployment="web", direction="inbound", namespace="emojivoto"}[180s])) by (classification)"#,
            at: window.queryTime)
        let p95 = try await client.query(
            #"histogram_quantile(0.95, sum(rate(response_latency_ms_bucket{deployment="web",direction="inbound"}[180s])) by (le))"#,
            at: window.queryTime)
        let stats = try await PrometheusBackend(client: client).traffic(
            TrafficQuery(deployment("web"), window: window))[ObjectName("emojivoto", "web")]
        let counts = Dictionary(
            raw.map { ($0.labels["classification"] ?? "", $0.count) }, uniquingKeysWith: { $1 })
        #expect(stats?.successes == counts["success"])
        #expect(stats?.failures == counts["failure"])
        #expect(stats?.latency?.p95 == p95.first?.value)
        await client.shutdown()
    }
}
