import AsyncHTTPClient
import Foundation
import MeshModel
import MeshRollup
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOSSL

/// How to reach a Prometheus-compatible server. Files are read again with each request, so that rotated
/// secrets need no restart; certificates are read once.
public struct PrometheusConfig: Sendable, Equatable {
    /// Base URL, with the path under which `/api/v1` lies, such as `https://mimir.example/prometheus`.
    public var url: String
    /// Files with the user and the password of basic authentication; both or neither.
    public var userFile: String?
    public var passwordFile: String?
    /// File with a bearer token.
    public var tokenFile: String?
    /// Header that names the tenant, such as `X-Scope-OrgID`, and its value.
    public var tenantHeader = "X-Scope-OrgID"
    public var tenant: String?
    /// PEM files: who may have signed the server's certificate, and the client's own certificate and key.
    public var authorityFile: String?
    public var certificateFile: String?
    public var keyFile: String?
    public var skipsVerification = false
    /// Time for one query.
    public var timeout: Duration = .seconds(15)

    /// A server without authentication.
    public init(url: String) { self.url = url }
}

/// One sample of an answer: its labels and its value.
struct PrometheusSample: Sendable, Equatable {
    let labels: [String: String]
    /// One value of an instant query, or one per step: seconds since 1970 and the value.
    let values: [(at: Double, value: Double)]

    var value: Double { values.last?.value ?? 0 }
    /// The value as a count: rounded, and 0 for what is no number.
    var count: UInt64 { Self.count(value) }

    static func count(_ value: Double) -> UInt64 {
        let rounded = value.rounded()
        return rounded.isFinite && rounded > 0 ? UInt64(exactly: min(rounded, 9e18)) ?? 0 : 0
    }

    static func == (left: PrometheusSample, right: PrometheusSample) -> Bool {
        left.labels == right.labels && left.values.map(\.at) == right.values.map(\.at)
            && left.values.map(\.value) == right.values.map(\.value)
    }
}

/// Asks a Prometheus-compatible server over its HTTP API.
package final class PrometheusClient: Sendable {
    /// Largest answer.
    static let responseBytesMax = 64 << 20
    /// Queries in flight at once.
    static let concurrencyMax = 8

    let config: PrometheusConfig
    private let http: HTTPClient
    private let base: String

    /// - Throws: `BackendError` naming the setting that cannot be used.
    package init(_ config: PrometheusConfig) throws {
        self.config = config
        guard let parts = URLComponents(string: config.url), let host = parts.host, !host.isEmpty,
            parts.scheme == "http" || parts.scheme == "https"
        else {
            throw BackendError(
                "\"\(config.url)\" is no URL of a Prometheus server: expected http://host:port or https://host:port")
        }
        guard (config.userFile == nil) == (config.passwordFile == nil) else {
            throw BackendError("basic authentication takes a user file and a password file: one is missing")
        }
        guard (config.certificateFile == nil) == (config.keyFile == nil) else {
            throw BackendError("a client certificate takes a certificate file and a key file: one is missing")
        }
        base = config.url.hasSuffix("/") ? String(config.url.dropLast()) : config.url
        var settings = HTTPClient.Configuration()
        settings.timeout = .init(connect: .seconds(5))
        settings.redirectConfiguration = .follow(max: 3, allowCycles: false)
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = Self.concurrencyMax
        // A refused connection is reported at once.
        settings.connectionPool.retryConnectionEstablishment = false
        settings.tlsConfiguration = try Self.tls(config)
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
    }

    /// Closes its connections.
    package func shutdown() async {
        // Nothing is left to do for a pool that does not close.
        try? await http.shutdown()
    }

    private static func tls(_ config: PrometheusConfig) throws -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        func load<Value>(_ path: String, _ what: String, _ body: (String) throws -> Value) throws -> Value {
            do { return try body(path) } catch {
                throw BackendError("the \(what) in \(path) cannot be used: \(error)")
            }
        }
        if let path = config.authorityFile {
            tls.trustRoots = .certificates(try load(path, "certificate authority", NIOSSLCertificate.fromPEMFile))
        }
        if let certificate = config.certificateFile, let key = config.keyFile {
            let chain = try load(certificate, "client certificate", NIOSSLCertificate.fromPEMFile)
            tls.certificateChain = chain.map { .certificate($0) }
            tls.privateKey = .privateKey(
                try load(key, "client key") { try NIOSSLPrivateKey(file: $0, format: .pem) })
        }
        if config.skipsVerification { tls.certificateVerification = .none }
        return tls
    }

    /// Evaluates an expression at one time.
    func query(_ expression: String, at time: UnixTime) async throws -> [PrometheusSample] {
        try await ask("query", expression, ["time": Self.seconds(time)])
    }

    /// Evaluates an expression at evenly spaced times, both ends included.
    func queryRange(
        _ expression: String, from: UnixTime, to: UnixTime, stepMilliseconds: Int64
    ) async throws -> [PrometheusSample] {
        try await ask(
            "query_range", expression,
            [
                "start": Self.seconds(from), "end": Self.seconds(to),
                "step": String(Double(stepMilliseconds) / 1_000),
            ])
    }

    private static func seconds(_ time: UnixTime) -> String { String(Double(time.milliseconds) / 1_000) }

    private func ask(_ path: String, _ expression: String, _ fields: [String: String]) async throws
        -> [PrometheusSample]
    {
        func failed(_ why: String) -> BackendError {
            BackendError("Query failed: \(LabelMatchers.quoted(expression)): \(why)")
        }
        var request = HTTPClientRequest(url: "\(base)/api/v1/\(path)")
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/x-www-form-urlencoded")
        do { try authenticate(&request) } catch { throw failed("\(error)") }
        let form = fields.merging(["query": expression]) { first, _ in first }
            .sorted { $0.key < $1.key }.map { "\($0.key)=\(Self.formEncoded($0.value))" }
        request.body = .bytes(ByteBuffer(string: form.joined(separator: "&")))
        let status: Int
        let body: ByteBuffer
        do {
            let response = try await http.execute(request, timeout: .nanoseconds(config.timeout.nanoseconds))
            status = Int(response.status.code)
            body = try await response.body.collect(upTo: Self.responseBytesMax)
        } catch let error as BackendError {
            throw error
        } catch {
            throw failed("no answer from \(config.url): \(error)")
        }
        guard let answer = try? JSONValue(parsing: body.readableBytesView) else {
            throw failed("\(config.url) answered \(status) with something that is no JSON")
        }
        guard status == 200, answer["status"]?.stringValue == "success" else {
            let message = answer["error"]?.stringValue ?? "status \(status)"
            throw failed("\(config.url) answered \(message)")
        }
        guard let samples = Self.samples(answer) else { throw failed("\(config.url) answered no vector") }
        return samples
    }

    private func authenticate(_ request: inout HTTPClientRequest) throws {
        func read(_ path: String) throws -> String {
            do {
                return try String(contentsOfFile: path, encoding: .utf8)
                    .trimmingCharacters(in: .whitespacesAndNewlines)
            } catch {
                throw BackendError("the credentials in \(path) cannot be read")
            }
        }
        if let userFile = config.userFile, let passwordFile = config.passwordFile {
            let credentials = Data("\(try read(userFile)):\(try read(passwordFile))".utf8).base64EncodedString()
            request.headers.add(name: "authorization", value: "Basic \(credentials)")
        } else if let tokenFile = config.tokenFile {
            request.headers.add(name: "authorization", value: "Bearer \(try read(tokenFile))")
        }
        if let tenant = config.tenant { request.headers.add(name: config.tenantHeader, value: tenant) }
    }

    private static func formEncoded(_ text: String) -> String {
        text.utf8.reduce(into: "") { encoded, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                encoded += hex.count == 1 ? "%0\(hex)" : "%\(hex)"
            }
        }
    }

    /// The samples of an answer; `nil` when it is no vector and no matrix.
    static func samples(_ answer: JSONValue) -> [PrometheusSample]? {
        guard let data = answer["data"], let results = data["result"]?.arrayValue,
            ["vector", "matrix"].contains(data["resultType"]?.stringValue ?? "")
        else { return nil }
        return results.compactMap { result in
            let labels = (result["metric"]?.objectValue ?? [:]).compactMapValues(\.stringValue)
            let pairs = result["values"]?.arrayValue ?? (result["value"].map { [$0] } ?? [])
            let values = pairs.compactMap { pair -> (at: Double, value: Double)? in
                guard let at = pair[0]?.doubleValue, let text = pair[1]?.stringValue, let value = Self.number(text)
                else { return nil }
                return (at, value)
            }
            return values.isEmpty ? nil : PrometheusSample(labels: labels, values: values)
        }
    }

    private static func number(_ text: String) -> Double? {
        switch text {
        case "NaN": .nan
        case "+Inf", "Inf": .infinity
        case "-Inf": -.infinity
        default: Double(text)
        }
    }
}
