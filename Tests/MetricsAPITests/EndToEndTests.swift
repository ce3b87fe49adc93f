import GRPCCore
import GRPCNIOTransportHTTP2Posix
import MeshAPI
import MeshGRPC
import MeshKubernetes
import MeshRollup
import MetricsAPI
import RollupStore
import SwiftProtobuf
import Synchronization
import Testing

/// What the test moves forward: the clock, and what the proxy has counted.
private final class World: Sendable {
    struct State {
        var now = Fixtures.start
        var served = 100
        var pods: [PodFacts]?
    }
    let state = Mutex(State())

    var now: UnixTime { state.withLock { $0.now } }

    /// A scrape, as the proxy answers it.
    func answer() -> AdminResponse {
        state.withLock { state in
            let start = Double(Fixtures.start.milliseconds) / 1_000 - 5_000
            return .metrics(exposition(inbound: state.served, outbound: 0, start: start))
        }
    }
}

/// Waits until `condition` holds, or the deadline passes.
private func eventually(within limit: Duration = .seconds(20), _ condition: () async throws -> Bool)
    async throws -> Bool
{
    let deadline = ContinuousClock.now.advanced(by: limit)
    while ContinuousClock.now < deadline {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(20))
    }
    return false
}

@Suite("From a proxy's port to a table", .timeLimit(.minutes(1)))
struct EndToEndTests {
    @Test("What a proxy counts is what StatSummary answers over gRPC")
    func wholePath() async throws {
        let world = World()
        let box = try StoreBox()
        let ingestor = Ingestor(
            store: box.store, rules: CursorRules(), clusterDomain: "cluster.local", logger: Fixtures.logger)
        let proxy = AdminServer(
            host: "127.0.0.1", port: 0, routes: ["/metrics": { world.answer() }], logger: Fixtures.logger)
        let index = Mutex(Fixtures.index())
        let sources = VizSources(
            store: box.store, ingestor: ingestor, index: { index.withLock { $0 } }, isSynced: { true },
            now: { world.now })
        let server = VizServer(host: "127.0.0.1", port: 0, sources: sources, logger: Fixtures.logger)
        let (ports, opened) = AsyncStream.makeStream(of: Int.self)
        let scraper = Scraper(
            intervalMilliseconds: 10_000, ingestor: ingestor, now: { world.now }, logger: Fixtures.logger
        ) {
            world.state.withLock { $0.pods }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await proxy.run { port in
                    let pod = Fixtures.pod(
                        "emojivoto", "web-1", owner: ("ReplicaSet", "web-abc"), adminPort: port)
                    let owners = [
                        WorkloadKey(namespace: "emojivoto", kind: "replicaset", name: "web-abc"),
                        Fixtures.deployment("web"),
                    ]
                    world.state.withLock { $0.pods = [PodFacts(pod, owners: owners)] }
                }
            }
            group.addTask { await scraper.run() }
            group.addTask { try await server.run { opened.yield($0) } }
            // Each round the proxy serves 20 more, and time passes until it is scraped again.
            for round in 0..<5 {
                let before = await ingestor.currentStatus().scrapes
                world.state.withLock { $0.served += round == 0 ? 0 : 20 }
                let isScraped = try await eventually {
                    world.state.withLock { $0.now = $0.now.advanced(by: 10_000) }
                    return try await eventually(within: .seconds(1)) {
                        await ingestor.currentStatus().scrapes > before
                    }
                }
                #expect(isScraped)
            }
            world.state.withLock { $0.now = $0.now.advanced(by: 12_000) }
            let port = try #require(await ports.first { _ in true })
            try await ask(port)
            group.cancelAll()
        }
    }

    private func ask(_ port: Int) async throws {
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
        try await withGRPCClient(transport: transport) { client in
            let api = Linkerd2_Viz_Api.Client(wrapping: client)
            var request = Linkerd2_Viz_StatSummaryRequest()
            request.selector.resource.type = "deployment"
            request.selector.resource.namespace = "emojivoto"
            request.timeWindow = "10m"
            let summary = try await api.statSummary(request)
            let rows = summary.ok.statTables.first?.podGroup.rows ?? []
            #expect(rows.first { $0.resource.name == "web" }?.stats.successCount == 80)
            #expect(rows.first { $0.resource.name == "web" }?.stats.latencyMsP99 == 3)

            request.selector.resource.type = "nonsense"
            #expect(try await api.statSummary(request).error.error.contains("[nonsense]"))

            let check = try await api.selfCheck(Linkerd2_Viz_SelfCheckRequest())
            #expect(check.results.map(\.status) == [.ok, .ok])
            let pods = try await api.listPods(Linkerd2_Viz_ListPodsRequest()).pods
            let web = try #require(pods.first { $0.name == "emojivoto/web-1" })
            #expect(web.added && web.deployment == "emojivoto/web" && web.proxyVersion == "v1")
            #expect(web.uptime.seconds > 5_000)
            #expect(pods.contains { $0.name == "other/db-0" && $0.statefulSet == "other/db" })
            #expect(
                try await api.listServices(Linkerd2_Viz_ListServicesRequest()).services.map(\.name) == [
                    "voting-svc", "web-svc",
                ])
            #expect(try await api.gateways(Linkerd2_Viz_GatewaysRequest()).ok.gatewaysTable.rows.isEmpty)
            let error = await #expect(throws: RPCError.self) {
                _ = try await api.authz(Linkerd2_Viz_AuthzRequest())
            }
            #expect(error?.code == .unimplemented)

            let history = Linkerd2_Viz_History_History.Client(wrapping: client)
            var series = Linkerd2_Viz_History_SeriesRequest()
            series.resource.type = "deployment"
            series.resource.namespace = "emojivoto"
            series.resource.name = "web"
            series.window = "10m"
            let buckets = try await history.series(series).buckets
            #expect(buckets.map(\.successCount).reduce(0, +) == 80)
        }
    }
}
