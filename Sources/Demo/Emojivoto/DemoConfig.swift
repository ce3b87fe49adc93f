// Environment of the demo's programs, by the names that the original manifests use.

package import MeshModel

/// A host and a port, from text such as `emoji-svc.emojivoto:8080`.
package struct ServiceAddress: Sendable, Equatable {
    package let host: String
    package let port: Int

    /// Reads `host:port`; `nil` when either is missing or the port is not in 1...65535.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port), colon > text.startIndex
        else { return nil }
        self.host = String(text[..<colon])
        self.port = port
    }

    private init() { (host, port) = ("", 0) }

    /// Stands for an address that was not given; reading it was a mistake that `finish()` reports.
    fileprivate static let missing = ServiceAddress()
}

extension ConfigReader {
    /// Reads an address that must be given.
    fileprivate mutating func address(_ key: String) -> ServiceAddress {
        let accepted = "host:port"
        var isGiven = false
        let address = read(key, default: ServiceAddress.missing, accepted: accepted) { text in
            isGiven = true
            return ServiceAddress(text)
        }
        if !isGiven { reject(key, accepted: accepted) }
        return address
    }
}

/// What `emojivoto emoji` and `emojivoto voting` read.
package struct BackendConfig: Sendable {
    /// `GRPC_PORT`; 0 lets the system choose, for tests.
    package var grpcPort: Int
    /// `PROM_PORT`, where `/metrics` is served.
    package var metricsPort: Int
    /// `FAILURE_RATE`: share of the faulty emoji's votes that fail, in 0...1. The default keeps the demo's
    /// fault permanent, as its well-known version has it.
    package var failureRate: Double
    /// `ARTIFICIAL_DELAY`: added to every vote, none by default.
    package var artificialDelay: Duration

    /// Reads the environment; throws every mistake together.
    package init(from source: some StringSource) throws(ConfigError) {
        var reader = ConfigReader(source)
        grpcPort = reader.integer("GRPC_PORT", default: 8080, in: 0...65_535)
        metricsPort = reader.integer("PROM_PORT", default: 8801, in: 0...65_535)
        failureRate = reader.read("FAILURE_RATE", default: 1, accepted: "a number in 0...1") { text in
            Double(text).flatMap { (0...1).contains($0) ? $0 : nil }
        }
        artificialDelay = reader.duration("ARTIFICIAL_DELAY", default: .zero)
        try reader.finish()
    }
}

/// What `emojivoto web` reads.
package struct WebConfig: Sendable {
    /// `WEB_PORT`; 0 lets the system choose, for tests.
    package var port: Int
    /// `EMOJISVC_HOST` and `VOTINGSVC_HOST`, host and port.
    package var emoji: ServiceAddress
    package var voting: ServiceAddress

    /// Reads the environment; both services must be named. Throws every mistake together.
    package init(from source: some StringSource) throws(ConfigError) {
        var reader = ConfigReader(source)
        port = reader.integer("WEB_PORT", default: 8080, in: 0...65_535)
        emoji = reader.address("EMOJISVC_HOST")
        voting = reader.address("VOTINGSVC_HOST")
        try reader.finish()
    }
}

/// What `emojivoto vote-bot` reads.
package struct VoteBotConfig: Sendable {
    /// `WEB_HOST`, host and port of the web service.
    package var webHost: String
    /// `HOST_OVERRIDE`: the Host header to send instead.
    package var hostOverride: String?
    /// `REQUEST_RATE`: votes a second, 1 by default.
    package var requestRate: Double
    /// `TTL` in seconds; `nil` votes until it is stopped.
    package var timeToLive: Duration?

    /// Reads the environment; the web service must be named. Throws every mistake together.
    package init(from source: some StringSource) throws(ConfigError) {
        var reader = ConfigReader(source)
        webHost = reader.text("WEB_HOST", default: "")
        if webHost.isEmpty { reader.reject("WEB_HOST", accepted: "host:port") }
        let override = reader.text("HOST_OVERRIDE", default: "")
        hostOverride = override.isEmpty ? nil : override
        requestRate = reader.read("REQUEST_RATE", default: 1, accepted: "votes a second, above 0") { text in
            Double(text).flatMap { $0 > 0 && $0 <= 1_000 ? $0 : nil }
        }
        timeToLive = reader.read("TTL", default: nil, accepted: "whole seconds") { text in
            Int(text).flatMap { $0 > 0 ? Duration.seconds($0) : nil }
        }
        try reader.finish()
    }
}
