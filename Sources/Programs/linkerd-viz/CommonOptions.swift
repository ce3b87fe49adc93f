import ArgumentParser
import Logging
import MeshModel

/// Where a server listens.
struct ListenAddress: ExpressibleByArgument {
    let host: String
    let port: Int
    var defaultValueDescription: String { ":\(port)" }

    init(port: Int) {
        host = "0.0.0.0"
        self.port = port
    }

    init?(argument: String) {
        guard let (host, port) = GoFlags.listenAddress(argument) else { return nil }
        self.host = host
        self.port = port
    }
}

/// A duration in Go's notation.
struct GoDurationArgument: ExpressibleByArgument {
    let value: Duration
    var defaultValueDescription: String { GoDuration.format(value) }

    init(_ value: Duration) { self.value = value }

    init?(argument: String) {
        guard let value = GoDuration.parse(argument), value > .zero else { return nil }
        self.value = value
    }
}

/// Flags of every component.
struct CommonOptions: ParsableArguments {
    @Option(help: "trace, debug, info, notice, warning, error or critical.") var logLevel = "info"
    @Option(help: "Must be plain.") var logFormat = "plain"
    @Option(help: "Accepted for compatibility; there is no collector.") var traceCollector = ""
    @Option(help: "Accepted for compatibility; there is no pprof.") var enablePprof = "false"

    func validate() throws {
        guard Self.level(logLevel) != nil else {
            throw ValidationError(
                "--log-level must be trace, debug, info, notice, warning, error or critical")
        }
        guard logFormat == "plain" else { throw ValidationError("--log-format must be plain") }
    }

    /// Sets logging up for the process.
    func makeLogger(_ label: String) -> Logger {
        let level = Self.level(logLevel) ?? .info
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        return Logger(label: label)
    }

    private static func level(_ text: String) -> Logger.Level? {
        switch text {
        case "warn": .warning
        case "fatal", "panic": .critical
        default: Logger.Level(rawValue: text)
        }
    }
}
