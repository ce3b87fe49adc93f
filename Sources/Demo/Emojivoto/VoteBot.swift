import AsyncHTTPClient
import Foundation
package import Logging
import NIOCore
import NIOHTTP1
import ServiceLifecycle

/// Picks what to vote for: the faulty emoji in a fixed share of votes, otherwise any entry.
package enum VotePicker {
    /// Share of votes that go to the faulty emoji.
    package static let faultyShare = 0.15

    /// - Returns: `nil` when there is nothing to choose from and the draw did not pick the faulty one.
    package static func pick(
        from shortcodes: [String], using generator: inout some RandomNumberGenerator
    ) -> String? {
        if Double.random(in: 0..<1, using: &generator) < faultyShare { return EmojiCatalogue.faulty }
        return shortcodes.randomElement(using: &generator)
    }
}

/// `emojivoto vote-bot`: makes traffic at a steady rate. Whatever answer or silence it meets, it votes on.
package struct VoteBot: Service {
    /// A request that takes longer is given up, so that one lost answer does not end the traffic.
    static let requestTimeout = TimeAmount.seconds(10)
    static let bodyBytesMax = 1 << 20

    private let config: VoteBotConfig
    private let logger: Logger

    /// Votes at the web service that `config` names.
    package init(_ config: VoteBotConfig, logger: Logger) {
        self.config = config
        self.logger = logger
    }

    package func run() async throws {
        let client = HTTPClient(eventLoopGroupProvider: .singleton)
        let clock = ContinuousClock()
        let deadline = config.timeToLive.map { clock.now + $0 }
        let period = Duration.seconds(1 / config.requestRate)
        logger.info("Voting", metadata: ["web": "\(config.webHost)", "rate": "\(config.requestRate)"])
        await cancelWhenGracefulShutdown {
            var next = clock.now
            while !Task.isCancelled, deadline.map({ clock.now < $0 }) ?? true {
                await vote(with: client)
                // After a pause longer than a period, the rate starts anew instead of catching up.
                next = max(next + period, clock.now)
                do { try await clock.sleep(until: next) } catch { break }  // Throws only when cancelled.
            }
        }
        try await client.shutdown()
    }

    /// One round: list, pick, vote. Failures are what the demo is about, hence logged quietly.
    func vote(with client: HTTPClient) async {
        do {
            let list = try await get("/api/list", with: client)
            let entries = try JSONDecoder().decode([WebAPI.ListEntry].self, from: list.body)
            var generator = SystemRandomNumberGenerator()
            guard let choice = VotePicker.pick(from: entries.map(\.shortcode), using: &generator) else {
                return
            }
            let answer = try await get("/api/vote?choice=\(choice)", with: client)
            logger.debug("Voted", metadata: ["choice": "\(choice)", "status": "\(answer.status)"])
        } catch {
            logger.debug("Vote failed", metadata: ["error": "\(error)"])
        }
    }

    private func get(_ path: String, with client: HTTPClient) async throws -> (status: UInt, body: Data) {
        var request = HTTPClientRequest(url: "http://\(config.webHost)\(path)")
        if let host = config.hostOverride { request.headers.replaceOrAdd(name: "host", value: host) }
        let response = try await client.execute(request, timeout: Self.requestTimeout)
        let body = try await response.body.collect(upTo: Self.bodyBytesMax)
        return (response.status.code, Data(body.readableBytesView))
    }
}
