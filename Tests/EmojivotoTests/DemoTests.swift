import AsyncHTTPClient
import Emojivoto
import Foundation
import GRPCCore
import Logging
import MeshModel
import NIOCore
import NIOHTTP1
import ServiceLifecycle
import Testing

/// The demo's servers on loopback, each on a port that the system chose.
enum DemoFixture {
    /// Runs `services` while `body` runs, then stops them gracefully and waits.
    static func running(
        _ services: [any Service], _ body: () async throws -> Void
    ) async throws {
        let group = ServiceGroup(
            configuration: .init(
                services: services.map { .init(service: $0) }, logger: Logger(label: "demo-tests")))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            do { try await body() } catch {
                tasks.cancelAll()
                throw error
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    /// A server's port, told once it listens.
    struct Port: Sendable {
        private let stream: AsyncStream<Int>
        let report: PortReport

        init() {
            let (stream, continuation) = AsyncStream.makeStream(
                of: Int.self, bufferingPolicy: .bufferingNewest(1))
            self.stream = stream
            report = { continuation.yield($0) }
        }

        func value() async throws -> Int {
            for await port in stream { return port }
            throw CancellationError()
        }
    }

    static func backend(_ strings: [String: String] = [:]) throws -> BackendConfig {
        try BackendConfig(
            from: DictionarySource(strings.merging(["GRPC_PORT": "0", "PROM_PORT": "0"]) { own, _ in own }))
    }

    static func get(_ client: HTTPClient, _ url: String) async throws -> (status: Int, body: String) {
        let response = try await client.execute(HTTPClientRequest(url: url), timeout: .seconds(20))
        let body = try await response.body.collect(upTo: 1 << 20)
        return (Int(response.status.code), String(buffer: body))
    }
}

@Suite("The demo application", .timeLimit(.minutes(2))) struct DemoTests {
    @Test("Votes are counted, unknown ones refused, and the faulty emoji fails")
    func votes() async throws {
        let logger = Logger(label: "demo-tests")
        let (emojiPort, votingPort, metricsPort, webPort) =
            (DemoFixture.Port(), DemoFixture.Port(), DemoFixture.Port(), DemoFixture.Port())
        let backends =
            try DemoServers.emoji(DemoFixture.backend(), logger: logger, onGRPC: emojiPort.report)
            + DemoServers.voting(
                DemoFixture.backend(), logger: logger, onGRPC: votingPort.report,
                onMetrics: metricsPort.report)
        try await DemoFixture.running(backends) {
            let config = try await WebConfig(
                from: DictionarySource([
                    "WEB_PORT": "0", "EMOJISVC_HOST": "localhost:\(emojiPort.value())",
                    "VOTINGSVC_HOST": "localhost:\(votingPort.value())",
                ]))
            let web = try DemoServers.web(config, logger: logger, onListening: webPort.report)
            let metrics = try await metricsPort.value()
            try await DemoFixture.running(web) {
                try await Self.checkVotes("http://localhost:\(webPort.value())", metricsPort: metrics)
            }
        }
    }

    private static func checkVotes(_ base: String, metricsPort: Int) async throws {
        let client = HTTPClient.shared
        let vote = "\(base)/api/vote?choice="
        #expect(try await DemoFixture.get(client, vote + ":joy:").status == 200)
        #expect(try await DemoFixture.get(client, vote + "%3Ajoy%3A").status == 200)
        #expect(try await DemoFixture.get(client, vote + ":rocket:").status == 200)
        let failed = try await DemoFixture.get(client, vote + ":doughnut:")
        #expect(failed.status == 500 && failed.body.contains("ERROR"))
        #expect(try await DemoFixture.get(client, vote + ":nope:").status == 400)
        #expect(try await DemoFixture.get(client, "\(base)/api/vote").status == 400)
        let list = try await DemoFixture.get(client, "\(base)/api/list")
        #expect(try JSONValue(parsing: list.body).arrayValue?.count == 100)
        let board = try await DemoFixture.get(client, "\(base)/api/leaderboard")
        let expected: JSONValue = [
            ["shortcode": ":joy:", "unicode": "😂", "votes": "2"],
            ["shortcode": ":rocket:", "unicode": "🚀", "votes": "1"],
        ]
        #expect(try JSONValue(parsing: board.body) == expected)
        for path in ["/", "/leaderboard", "/js", "/css", "/img/favicon.ico"] {
            #expect(try await DemoFixture.get(client, base + path).status == 200)
        }
        let scrape = try await DemoFixture.get(client, "http://localhost:\(metricsPort)/metrics").body
        #expect(scrape.contains(#"grpc_code="Unknown",grpc_method="VoteDoughnut""#))
        #expect(scrape.contains(#"emojivoto_votes_total{emoji=":joy:"} 2"#))
    }

    @Test(
        "The page appears and answers with errors when its backends are missing, and recovers when they come")
    func survivesMissingBackends() async throws {
        let logger = Logger(label: "demo-tests")
        // A port that was free a moment ago stands for a backend that is not up yet.
        let reserved = DemoFixture.Port()
        let reservation = try DemoServers.emoji(
            DemoFixture.backend(), logger: logger, onGRPC: reserved.report)
        let port = DemoFixture.Port()
        try await DemoFixture.running(reservation) { await port.report(try await reserved.value()) }
        let emojiPort = try await port.value()
        let config = try WebConfig(
            from: DictionarySource([
                "WEB_PORT": "0", "EMOJISVC_HOST": "localhost:\(emojiPort)",
                "VOTINGSVC_HOST": "no-such-host.invalid:8080",
            ]))
        let webPort = DemoFixture.Port()
        try await DemoFixture.running(
            try DemoServers.web(config, logger: logger, onListening: webPort.report)
        ) {
            let base = "http://localhost:\(try await webPort.value())"
            #expect(try await DemoFixture.get(.shared, "\(base)/").status == 200)
            #expect(try await DemoFixture.get(.shared, "\(base)/api/list").status == 500)
            let late = try DemoServers.emoji(
                DemoFixture.backend(["GRPC_PORT": "\(emojiPort)"]), logger: logger, onGRPC: { _ in })
            try await DemoFixture.running(late) {
                let deadline = ContinuousClock.now + .seconds(30)
                var status = 500
                while status != 200, ContinuousClock.now < deadline {
                    status = try await DemoFixture.get(.shared, "\(base)/api/list").status
                    if status != 200 { try await Task.sleep(for: .milliseconds(50)) }
                }
                #expect(status == 200)
                #expect(try await DemoFixture.get(.shared, "\(base)/api/leaderboard").status == 500)
            }
        }
    }
}

@Suite("Demo configuration and choices", .timeLimit(.minutes(1))) struct DemoConfigTests {
    @Test("Defaults are those of the well-known demo: the fault is permanent")
    func defaults() throws {
        let config = try BackendConfig(from: DictionarySource([:]))
        #expect(config.grpcPort == 8080 && config.metricsPort == 8801 && config.failureRate == 1)
        #expect(config.artificialDelay == .zero)
    }

    @Test("Every mistake is reported, together")
    func mistakes() {
        let source = DictionarySource(["FAILURE_RATE": "2", "ARTIFICIAL_DELAY": "soon", "GRPC_PORT": "x"])
        #expect(throws: ConfigError.self) { try BackendConfig(from: source) }
        do { _ = try BackendConfig(from: source) } catch {
            #expect(error.mistakes.map(\.key) == ["GRPC_PORT", "FAILURE_RATE", "ARTIFICIAL_DELAY"])
        }
        do { _ = try WebConfig(from: DictionarySource(["EMOJISVC_HOST": "nowhere"])) } catch {
            #expect(error.mistakes.map(\.key) == ["EMOJISVC_HOST", "VOTINGSVC_HOST"])
        }
    }

    @Test("A bot without TTL votes on; an unset web service is a mistake")
    func bot() throws {
        let config = try VoteBotConfig(from: DictionarySource(["WEB_HOST": "web:80", "REQUEST_RATE": "2.5"]))
        #expect(config.timeToLive == nil && config.requestRate == 2.5 && config.hostOverride == nil)
        #expect(throws: ConfigError.self) { try VoteBotConfig(from: DictionarySource([:])) }
    }

    @Test(
        "Fifteen in a hundred votes go to the faulty emoji, the rest anywhere",
        arguments: [1, 2, 3] as [UInt64])
    func picks(seed: UInt64) {
        var generator = SplitMix(state: seed)
        let all = EmojiCatalogue.all.map(\.shortcode)
        let picks = (0..<20_000).compactMap { _ in VotePicker.pick(from: all, using: &generator) }
        let share = Double(picks.count { $0 == EmojiCatalogue.faulty }) / Double(picks.count)
        // The faulty one is also one of the hundred that the others choose from.
        #expect(abs(share - (0.15 + 0.85 / 100)) < 0.02)
        #expect(Set(picks).count == all.count)
    }

    @Test("Names, characters and methods are each unique")
    func catalogue() {
        let all = EmojiCatalogue.all
        #expect(all.count == 100)
        #expect(Set(all.map(\.shortcode)).count == 100 && Set(all.map(\.voteMethod)).count == 100)
        #expect(EmojiCatalogue.choice(":100:")?.voteMethod == "Vote100")
    }
}

/// A seeded generator: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (SplitMix64).
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
