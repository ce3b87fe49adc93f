import Foundation
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
import Tap
import Testing

/// Who may sample: whoever shows `good`.
private struct SampleAuthority: TapAuthority {
    func user(bearerToken: String) async throws(TapRefusal) -> TapUser {
        guard bearerToken != "bad" else { throw TapRefusal(.unauthenticated, "the bearer token is not valid") }
        return TapUser(name: bearerToken)
    }

    func authorize(_ user: TapUser, _ request: TapAccessRequest) async throws(TapRefusal) {
        guard user.name == "good", request.resource == "samples" else { throw TapRefusal(.forbidden, "no") }
    }
}

/// Batches that a test was sent.
private final class Batches: Sendable {
    private let state = Mutex<[Sampler.Batch]>([])

    func add(_ batch: Sampler.Batch) { state.withLock { $0.append(batch) } }
    var all: [Sampler.Batch] { state.withLock { $0 } }
    var rows: [Sampler.Batch.Row] { all.flatMap(\.rows) }
}

@Suite("The sampler", .timeLimit(.minutes(2))) struct SamplerTests {
    private func sampler(_ cluster: TapCluster, port: Int, totals: TapTotals = TapTotals()) -> Sampler {
        Sampler(
            cluster: cluster, privacy: HeaderPrivacy(), tapPort: port, totals: totals, period: .milliseconds(100),
            logger: Fixtures.logger, now: { .current })
    }

    private let ask = Linkerd2_Tap_Samples_SampleRequest.with {
        $0.requestsPerSecond = 3
        $0.exemplars = 2
    }

    /// An exchange that web-1's proxy at `address` saw.
    private func exchange(_ stream: UInt64, at address: UInt32, path: String, status: UInt32 = 200) -> [ProxyEvent] {
        Fixtures.exchange(stream, status: status, path: path).map { event in
            var event = event
            event.destination.ip.ipv4 = address
            return event
        }
    }

    @Test("Every proxy that may be tapped is asked for a few of the requests that it receives, with headers")
    func asks() async throws {
        try await FakeProxy.run(["127.0.0.2", "127.0.0.3"]) { proxies, port in
            let cluster = FakeCluster([
                Fixtures.pod("a", ip: "127.0.0.2"), Fixtures.pod("b", ip: "127.0.0.3", deployment: "voting"),
                Fixtures.pod("c", ip: "127.0.0.4", annotations: ["viz.linkerd.io/disable-tap": "true"]),
            ])
            let (batches, totals) = (Batches(), TapTotals())
            let sampler = sampler(cluster.cluster, port: port, totals: totals)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await sampler.run(ask) { batches.add($0) } }
                try await eventually("both streams") { proxies.allSatisfy { $0.openCount == 1 } }
                let request = proxies[0].requests[0]
                #expect(request.limit == 3 && request.extract.http.extract != nil)
                #expect(request.match.destination.netmask.ip.ipv4 == 0x7F00_0002 && request.match.destination.netmask.mask == 32)
                proxies[0].send(exchange(0, at: 0x7F00_0002, path: "/orders/1"))
                proxies[1].send(exchange(0, at: 0x7F00_0003, path: "/vote", status: 503))
                try await eventually("both rows") { batches.rows.count == 2 }
                #expect(Set(batches.rows.map { "\($0.dst.name) \($0.path) \($0.failures)" }) == ["web /orders/{number} 0", "voting /vote 1"])
                #expect(batches.all.last?.knownProxies == 2)
                try await eventually("the count of streams") { batches.all.last?.observedProxies == 2 }
                // A pod that goes is left, one that opts out too.
                cluster.set([Fixtures.pod("a", ip: "127.0.0.2", annotations: ["viz.linkerd.io/disable-tap": "true"])])
                try await eventually("no stream") { proxies.allSatisfy { $0.openCount == 0 } }
                group.cancelAll()
            }
            #expect(totals.taps.active == 0)
        }
    }

    @Test(
        "The network of one address, in both families; what is none is refused",
        arguments: [
            ("10.0.1.2", 0, 0x0A00_0102), ("fd00::1", 0xFD00_0000_0000_0000, 1), ("1:2:3:4:5:6:7:8", 0x0001_0002_0003_0004, 0x0005_0006_0007_0008),
            ("::", 0, 0), ("10.0.1", nil, 0), ("10.0.1.256", nil, 0), ("a::b::c", nil, 0), ("1:2:3", nil, 0), ("", nil, 0), ("x", nil, 0),
            ("1:2:3:4:5:6:7:8::", nil, 0), ("1:::2", nil, 0),
        ] as [(String, UInt64?, UInt64)])
    func networks(text: String, first: UInt64?, last: UInt64) throws {
        guard let first else {
            #expect(throws: TapRefusal.self) { try TapQuestion.sampling(rate: 1, address: text) }
            return
        }
        let netmask = try TapQuestion.sampling(rate: 1, address: text).match.destination.netmask
        if text.contains(".") {
            #expect(netmask.ip.ipv4 == UInt32(last) && netmask.mask == 32)
        } else {
            #expect(netmask.ip.ipv6.first == first && netmask.ip.ipv6.last == last && netmask.mask == 128)
        }
    }

    @Test("What proxies say they did not show makes the shown ones count for more, each proxy's its own")
    func weights() async throws {
        try await FakeProxy.run(["127.0.0.2", "127.0.0.3"]) { proxies, port in
            let cluster = FakeCluster([Fixtures.pod("a", ip: "127.0.0.2"), Fixtures.pod("b", ip: "127.0.0.3", deployment: "voting")])
            let batches = Batches()
            let sampler = sampler(cluster.cluster, port: port)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await sampler.run(ask) { batches.add($0) } }
                try await eventually("both streams") { proxies.allSatisfy { $0.openCount == 1 } }
                for stream in 0..<UInt64(4) {
                    var events = exchange(stream, at: 0x7F00_0002, path: "/a")
                    let more = Linkerd2_Tap_Live_EventExtension.with { $0.losses.limited = 9 * (stream + 1) }
                    try events[0].merge(serializedBytes: more.serializedBytes() as [UInt8])
                    proxies[0].send(events)
                    proxies[1].send(exchange(stream, at: 0x7F00_0003, path: "/b"))
                }
                func sum(_ name: String, _ value: (Sampler.Batch.Row) -> UInt64) -> UInt64 {
                    batches.rows.filter { $0.dst.name == name }.reduce(0) { $0 + value($1) }
                }
                try await eventually("all requests") { sum("web", \.successes) == 4 && sum("voting", \.successes) == 4 }
                #expect(sum("web", \.requests) == 40)
                #expect(sum("voting", \.requests) == 4)
                group.cancelAll()
            }
        }
    }

    @Test("A rate that cannot be is refused, and a third reader too")
    func refuses() async throws {
        let sampler = sampler(FakeCluster([]).cluster, port: 1)
        for rate in [0, -1, 1_000, Double.nan] {
            #expect(throws: TapRefusal.self) { try sampler.check(.with { $0.requestsPerSecond = rate }) }
        }
        #expect(throws: TapRefusal.self) { try sampler.check(.with { ($0.requestsPerSecond, $0.exemplars) = (1, 101) }) }
        try sampler.check(ask)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<Sampler.readersMax { group.addTask { try await sampler.run(ask) { _ in } } }
            try await eventually("two readers") { sampler.totals.taps.active == Sampler.readersMax }
            #expect(throws: TapRefusal.self) { try sampler.check(ask) }
            group.cancelAll()
        }
    }

    @Test("From a proxy's events over the doors of both services to a table and the requests behind it")
    func wholePath() async throws {
        try await FakeProxy.run(["127.0.0.2"]) { proxies, port in
            let pods = [Fixtures.pod("web-1", ip: "127.0.0.2"), Self.bot]
            let sampler = sampler(FakeCluster(pods).cluster, port: port)
            let tap = TapServer.makeServer(
                host: "127.0.0.1", port: 0, [SamplerDoor(sampler: sampler, authority: SampleAuthority())])
            let box = try SampleStore()
            let index = Fixtures.index(pods)
            let sources = VizSources(
                backend: StoreBackend(store: box.store, index: { index }), index: { index }, isSynced: { true },
                now: { .current.advanced(by: 15_000) })
            let viz = VizServer(host: "127.0.0.1", port: 0, sources: sources, logger: Fixtures.logger)
            let (ports, opened) = AsyncStream.makeStream(of: Int.self)
            let token = Token("bad")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await tap.serve() }
                group.addTask { try await viz.run { opened.yield($0) } }
                let address = try #require(try await tap.listeningAddress?.ipv4)
                let reader = Self.reader(port: address.port, token)
                group.addTask { await reader.run(into: SampleIntake(store: box.store)) }
                try await eventually("the refusal") { reader.status.problem.contains("not valid") }
                token.set("stranger")
                try await eventually("the other refusal") { reader.status.problem == "no" }
                token.set("good")
                try await eventually("the stream") { proxies[0].openCount == 1 }
                for stream in 0..<UInt64(10) {
                    proxies[0].send(exchange(stream, at: 0x7F00_0002, path: "/orders/\(stream)?secret=1", status: stream < 3 ? 503 : 200))
                }
                try await eventually("all of them") { reader.status.requests == 10 && reader.status.isConnected }
                await box.store.flush(now: .current)
                try await ask(try #require(await ports.first { _ in true }))
                group.cancelAll()
            }
        }
    }

    /// Asks as the CLI does.
    private func ask(_ port: Int) async throws {
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
        try await withGRPCClient(transport: transport) { client in
            let history = Linkerd2_Viz_History_History.Client(wrapping: client)
            var request = Linkerd2_Viz_History_TopRequest()
            (request.resource.type, request.resource.name, request.resource.namespace) = ("deployment", "web", "emojivoto")
            request.window = "10m"
            let row = try #require(try await history.top(request).rows.first)
            #expect((row.src.name, row.dst.name, row.path) == ("vote-bot", "web", "/orders/{number}"))
            #expect((row.stats.successCount, row.stats.failureCount, row.estimatedCount) == (7, 3, 10))
            #expect((row.bestUs, row.worstUs) == (1_000, 1_000))
            request.path = "/nothing"
            #expect(try await history.top(request).rows.isEmpty)
            var exemplars = Linkerd2_Viz_History_ExemplarsRequest()
            (exemplars.resource, exemplars.window) = (request.resource, "10m")
            let found = try await history.exemplars(exemplars)
            #expect(!found.failed.isEmpty && found.failed.allSatisfy { $0.httpStatus == 503 && $0.path.hasPrefix("/orders/") })
            #expect(!(found.slowest + found.failed).contains { $0.path.contains("secret") })
            request.resource.type = "pod"
            let error = await #expect(throws: RPCError.self) { _ = try await history.top(request) }
            #expect(error?.message.contains("samples are kept by workload") == true)
        }
    }

    private static var bot: Pod { Fixtures.pod("bot-1", ip: "10.0.0.9", deployment: "vote-bot", isMeshed: false) }

    /// A reader that sees the tap service, and one in another namespace that calls itself so.
    private static func reader(port: Int, _ token: Token) -> SampleReader {
        func tap(_ namespace: String, ip: String) -> PodFacts {
            var pod = Fixtures.pod("tap-1", ip: ip, namespace: namespace, deployment: "tap")
            pod.metadata.labels = ["component": "tap", "linkerd.io/extension": "viz"]
            return PodFacts(pod, owners: [])
        }
        let pods = [tap("elsewhere", ip: "127.0.0.99"), tap("linkerd-viz", ip: "127.0.0.1")]
        var config = SampleConfig()
        config.port = port
        return SampleReader(
            config: config, pods: { pods }, token: { token.text }, now: { .current }, logger: Fixtures.logger)
    }
}

/// A token that a test changes.
private final class Token: Sendable {
    private let value: Mutex<String>

    init(_ text: String) { value = Mutex(text) }

    var text: String { value.withLock { $0 } }
    func set(_ text: String) { value.withLock { $0 = text } }
}

/// A store in a folder that goes away with the test.
private final class SampleStore: Sendable {
    let store: RollupStore
    private let folder: String

    init() throws {
        folder = NSTemporaryDirectory() + "samples-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        store = try RollupStore(path: folder + "/rollups.db", now: .current, logger: Fixtures.logger)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }
}
