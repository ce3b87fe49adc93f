import Dashboard
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import MeshModel
import NIOCore

/// A dashboard over a fake source.
struct DashboardFixture {
    let source = FakeSource()
    var taps: (any TapSource)?
    var config = DashboardConfig(host: "127.0.0.1", port: 0, livePeriod: .milliseconds(20))
    var assets = AssetStore(assets: [
        "/index.html": .init(path: "/index.html", bytes: Array("<!doctype html>".utf8), gzipped: nil),
        "/assets/main-ABC.js": .init(
            path: "/assets/main-ABC.js", bytes: Array("let a = 1".utf8), gzipped: Array("squeezed".utf8)),
    ])

    func run<Value: Sendable>(
        _ setup: TestingSetup = .router,
        _ body: @escaping @Sendable (any TestClientProtocol) async throws -> Value
    ) async throws -> Value {
        var logger = Logger(label: "test")
        logger.logLevel = .error
        let application = try DashboardServer.application(
            config: config, source: source, taps: taps, assets: assets, logger: logger)
        return try await application.test(setup, body)
    }

    /// Asks once; answers status, JSON (or `null`) and headers.
    func get(_ path: String, headers: HTTPFields = [:]) async throws -> Answer {
        try await run { client in
            try await client.execute(uri: path, method: .get, headers: headers) { response in
                let bytes = Array(response.body.readableBytesView)
                return Answer(
                    status: response.status.code, headers: response.headers, bytes: bytes,
                    json: (try? JSONValue(parsing: bytes)) ?? .null)
            }
        }
    }
}

/// One answer of the dashboard.
struct Answer: Sendable {
    let status: Int
    let headers: HTTPFields
    let bytes: [UInt8]
    let json: JSONValue

    var text: String { String(decoding: bytes, as: UTF8.self) }
}
