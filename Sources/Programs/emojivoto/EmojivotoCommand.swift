import ArgumentParser
import Emojivoto
import MeshModel

/// The demo's parts; all configuration is in the environment.
struct EmojivotoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "emojivoto", abstract: "A small poll, to see a service mesh at work.",
        version: BuildVersion.current, subcommands: [Web.self, Emoji.self, Voting.self, Bot.self])

    struct Web: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The web page and its API.")
        func run() async throws {
            let config = try DemoProcess.reading { try WebConfig(from: DemoProcess.environment) }
            try await DemoProcess.serve(DemoServers.web(config, logger: DemoProcess.logger))
        }
    }

    struct Emoji: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The catalogue of emoji (gRPC).")
        func run() async throws {
            let config = try DemoProcess.reading { try BackendConfig(from: DemoProcess.environment) }
            try await DemoProcess.serve(DemoServers.emoji(config, logger: DemoProcess.logger))
        }
    }

    struct Voting: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The votes (gRPC); one emoji's vote fails on purpose.")
        func run() async throws {
            let config = try DemoProcess.reading { try BackendConfig(from: DemoProcess.environment) }
            try await DemoProcess.serve(DemoServers.voting(config, logger: DemoProcess.logger))
        }
    }

    struct Bot: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "vote-bot", abstract: "Votes for ever.")
        func run() async throws {
            let config = try DemoProcess.reading { try VoteBotConfig(from: DemoProcess.environment) }
            try await DemoProcess.serve([VoteBot(config, logger: DemoProcess.logger)])
        }
    }
}
