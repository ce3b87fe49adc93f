import ArgumentParser
import Foundation
import Logging
import MeshModel
import ServiceLifecycle
import UnixSignals

/// What every part of the demo needs from its process.
enum DemoProcess {
    /// Work in flight may take this long after SIGTERM.
    static let drainMax = Duration.seconds(10)

    /// Runs the part that `arguments` name; a failure ends the process with its message and code.
    static func run(_ arguments: [String]) async {
        do {
            var command = try EmojivotoCommand.parseAsRoot(arguments)
            if var part = command as? any AsyncParsableCommand {
                try await part.run()
            } else {
                try command.run()
            }
        } catch {
            EmojivotoCommand.exit(withError: error)
        }
    }

    /// The process environment as configuration.
    static var environment: DictionarySource { DictionarySource(ProcessInfo.processInfo.environment) }

    /// One logger for the program, on standard error.
    static var logger: Logger {
        var logger = Logger(label: "emojivoto") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = environment.string("LOG_LEVEL").flatMap { Logger.Level(rawValue: $0) } ?? .info
        return logger
    }

    /// Reads configuration; mistakes end the program with their list.
    static func reading<Config>(_ read: () throws -> Config) throws -> Config {
        do { return try read() } catch { throw ValidationError("\(error)") }
    }

    /// Runs until SIGTERM or SIGINT, or until one service ends; then lets work in flight finish.
    static func serve(_ services: [any Service]) async throws {
        var configuration = ServiceGroupConfiguration(
            services: services.map {
                .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup)
            },
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = drainMax
        try await ServiceGroup(configuration: configuration).run()
    }
}
