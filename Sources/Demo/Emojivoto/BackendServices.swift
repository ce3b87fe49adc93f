package import GRPCCore
import Synchronization

/// Full names of the demo's gRPC services.
package enum DemoService {
    /// Lists emoji and finds them by shortcode.
    package static let emoji = "emojivoto.v1.EmojiService"
    /// Counts votes, one method an emoji.
    package static let voting = "emojivoto.v1.VotingService"
}

/// `EmojiService`: a read-only catalogue.
package struct EmojiService: RegistrableRPCService {
    private let metrics: DemoMetrics

    /// Counts its calls in `metrics`.
    package init(metrics: DemoMetrics) { self.metrics = metrics }

    package func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerUnary(DemoService.emoji, "ListAll", metrics: metrics) {
            (_: Emojivoto_V1_ListAllEmojiRequest) in
            var response = Emojivoto_V1_ListAllEmojiResponse()
            response.list = EmojiCatalogue.all.map(\.message)
            return response
        }
        router.registerUnary(DemoService.emoji, "FindByShortcode", metrics: metrics) {
            (request: Emojivoto_V1_FindByShortcodeRequest) in
            // An unknown shortcode is an empty answer, not an error: the web server decides what it means.
            var response = Emojivoto_V1_FindByShortcodeResponse()
            if let choice = EmojiCatalogue.choice(request.shortcode) { response.emoji = choice.message }
            return response
        }
    }
}

extension EmojiChoice {
    fileprivate var message: Emojivoto_V1_Emoji {
        var message = Emojivoto_V1_Emoji()
        message.unicode = unicode
        message.shortcode = shortcode
        return message
    }
}

/// Votes in memory, from zero at each start.
package final class Poll: Sendable {
    private let votes = Mutex<[String: Int32]>([:])

    /// Starts without votes.
    package init() {}

    /// Adds one vote.
    package func vote(for shortcode: String) {
        votes.withLock { $0[shortcode, default: 0] &+= 1 }
    }

    /// Emoji with at least one vote: most votes first, ties by shortcode.
    package func results() -> [(shortcode: String, votes: Int32)] {
        votes.withLock { $0 }.map { (shortcode: $0.key, votes: $0.value) }
            .sorted { ($1.votes, $0.shortcode) < ($0.votes, $1.shortcode) }
    }
}

/// `VotingService`: one method an emoji, of which one fails on purpose.
package struct VotingService: RegistrableRPCService {
    private let poll: Poll
    private let metrics: DemoMetrics
    private let failureRate: Double
    private let artificialDelay: Duration
    private let randomUnit: @Sendable () -> Double

    /// - Parameter randomUnit: Draws from 0..<1; a faulty vote fails when the draw is below `failureRate`.
    package init(
        poll: Poll, metrics: DemoMetrics, failureRate: Double, artificialDelay: Duration,
        randomUnit: @escaping @Sendable () -> Double
    ) {
        self.poll = poll
        self.metrics = metrics
        self.failureRate = failureRate
        self.artificialDelay = artificialDelay
        self.randomUnit = randomUnit
    }

    package func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        for choice in EmojiCatalogue.all {
            router.registerUnary(DemoService.voting, choice.voteMethod, metrics: metrics) {
                (_: Emojivoto_V1_VoteRequest) in
                try await vote(for: choice)
                return Emojivoto_V1_VoteResponse()
            }
        }
        router.registerUnary(DemoService.voting, "Results", metrics: metrics) {
            (_: Emojivoto_V1_ResultsRequest) in
            var response = Emojivoto_V1_ResultsResponse()
            response.results = poll.results().map { result in
                var message = Emojivoto_V1_VotingResult()
                message.shortcode = result.shortcode
                message.votes = result.votes
                return message
            }
            return response
        }
    }

    private func vote(for choice: EmojiChoice) async throws {
        if artificialDelay > .zero { try await Task.sleep(for: artificialDelay) }
        if choice.shortcode == EmojiCatalogue.faulty, randomUnit() < failureRate {
            throw RPCError(code: .unknown, message: "ERROR")
        }
        poll.vote(for: choice.shortcode)
        metrics.voted(choice.shortcode)
    }
}
