import AsyncHTTPClient
import Foundation
import LocalAPI
import Logging
import MeshModel
import NIOCore
import NIOHTTP1
import NIOSSL
import Synchronization

/// What a request does, spelt as on the wire.
enum Verb: String, Sendable { case GET, POST, PUT, PATCH, DELETE }

/// One API server in this process, on a free port, with its own state directory and certificates.
struct TestCluster: Sendable {
    /// What a request was answered with.
    struct Answer: Sendable {
        let status: Int
        let headers: HTTPHeaders
        /// The values of `Warning` headers.
        var warnings: [String] { headers["Warning"] }
        let bytes: ByteBuffer

        /// The body as a tree, `null` when it is not JSON.
        var json: JSONValue { (try? JSONValue(parsing: bytes.readableBytesView)) ?? .null }
        var text: String { String(buffer: bytes) }
    }

    let server: APIServer
    let directory: String
    let port: Int
    let pki: LocalPKI
    let client: HTTPClient
    /// Without any credentials.
    let anonymous: HTTPClient
    let requests: RequestRecorder

    var url: String { "https://127.0.0.1:\(port)" }

    /// Runs `body` against a fresh server, which is stopped and removed afterwards.
    static func run<Result: Sendable>(
        directory given: String? = nil, configure: (inout APIServerConfig) -> Void = { _ in },
        _ body: @escaping @Sendable (TestCluster) async throws -> Result
    ) async throws -> Result {
        let directory = given ?? temporaryDirectory()
        defer { if given == nil { remove(directory) } }
        let pki = try LocalPKI.ensure(stateDirectory: directory, now: Date())
        var config = APIServerConfig(
            stateDirectory: directory, listenAddresses: [.init(host: "127.0.0.1", port: 0)])
        configure(&config)
        let requests = RequestRecorder()
        let logger = Logger(label: "test") { _ in requests.handler }
        let server = try APIServer(config: config, logger: logger)
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                try await server.run()
                return nil
            }
            group.addTask {
                let port = await server.listeningPorts()[0]
                let cluster = TestCluster(
                    server: server, directory: directory, port: port, pki: pki,
                    client: try makeClient(pki, pki.admin),
                    anonymous: try makeClient(pki, nil), requests: requests)
                defer {
                    cluster.client.shutdown { _ in }
                    cluster.anonymous.shutdown { _ in }
                }
                return try await body(cluster)
            }
            while let result = try await group.next() {
                guard let result else { continue }
                group.cancelAll()
                return result
            }
            throw CancellationError()
        }
    }

    static func temporaryDirectory() -> String {
        let path = FileManager.default.temporaryDirectory.path + "/mesh-api-\(UUID().uuidString.prefix(8))"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// Removes a state directory, also while the database of a server that has just ended takes its files away.
    static func remove(_ directory: String) {
        for _ in 0..<100 where FileManager.default.fileExists(atPath: directory) {
            if (try? FileManager.default.removeItem(atPath: directory)) != nil { return }
            usleep(10_000)
        }
    }

    private static func makeClient(_ pki: LocalPKI, _ pair: LocalPKI.KeyPair?) throws -> HTTPClient {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .file(pki.authority.certificatePath)
        if let pair {
            tls.certificateChain = try NIOSSLCertificate.fromPEMFile(pair.certificatePath).map {
                .certificate($0)
            }
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: pair.keyPath, format: .pem))
        }
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// Sends one request and collects its answer.
    func call(
        _ method: Verb, _ path: String, _ body: JSONValue? = nil, type: String = "application/json",
        headers: [(String, String)] = [], isAnonymous: Bool = false, by other: HTTPClient? = nil
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: url + path)
        request.method = HTTPMethod(rawValue: method.rawValue)
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if let body {
            request.headers.add(name: "Content-Type", value: type)
            request.body = .bytes(ByteBuffer(bytes: body.serialized()))
        }
        return try await send(request, by: other ?? (isAnonymous ? anonymous : client))
    }

    /// A client with another certificate; the caller shuts it down.
    func client(as pair: LocalPKI.KeyPair) throws -> HTTPClient { try Self.makeClient(pki, pair) }

    /// Posts a body as it is.
    func post(_ path: String, type: String, text: String) async throws -> Answer {
        var request = HTTPClientRequest(url: url + path)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: type)
        request.body = .bytes(ByteBuffer(string: text))
        return try await send(request, by: client)
    }

    private func send(_ request: HTTPClientRequest, by client: HTTPClient) async throws -> Answer {
        let response = try await client.execute(request, timeout: .seconds(20))
        let bytes = try await response.body.collect(upTo: 64 << 20)
        return Answer(status: Int(response.status.code), headers: response.headers, bytes: bytes)
    }

    /// The lines of a streamed answer, as they come.
    func lines(_ path: String) async throws -> AsyncThrowingStream<String, any Error> {
        let response = try await client.execute(HTTPClientRequest(url: url + path), timeout: .seconds(60))
        let status = Int(response.status.code)
        return AsyncThrowingStream { continuation in
            let task = Task {
                do {
                    if status != 200 { continuation.yield("status \(status)") }
                    var pending = ""
                    for try await piece in response.body {
                        pending += String(buffer: piece)
                        while let end = pending.firstIndex(of: "\n") {
                            continuation.yield(String(pending[..<end]))
                            pending = String(pending[pending.index(after: end)...])
                        }
                    }
                    continuation.finish()
                } catch { continuation.finish(throwing: error) }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    /// Creates a namespace that tests can fill.
    func makeNamespace(_ name: String) async throws {
        _ = try await call(.POST, "/api/v1/namespaces", ["metadata": ["name": .string(name)]])
    }

    /// Gives an account of namespace `default` a ClusterRole everywhere.
    func bind(_ role: String, to account: String) async throws {
        let answer = try await call(
            .POST, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            [
                "metadata": ["name": .string("\(account)-\(role)")],
                "roleRef": [
                    "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": .string(role),
                ],
                "subjects": [["kind": "ServiceAccount", "namespace": "default", "name": .string(account)]],
            ])
        guard answer.status == 201 else { throw TimedOut(what: "binding \(role): \(answer.text)") }
    }

    /// The header that authenticates an account of a namespace, which is made when it is absent.
    func bearer(_ account: String, namespace: String = "default") async throws -> [(String, String)] {
        let accounts = "/api/v1/namespaces/\(namespace)/serviceaccounts"
        _ = try await call(.POST, accounts, ["metadata": ["name": .string(account)]])
        let answer = try await call(.POST, "\(accounts)/\(account)/token", ["spec": ["expirationSeconds": 600]])
        return [("Authorization", "Bearer \(answer.json.value(at: ["status", "token"])?.stringValue ?? "")")]
    }

    static func pod(_ name: String, labels: JSONValue = [:]) -> JSONValue {
        [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name), "labels": labels],
            "spec": [
                "containers": [["name": "app", "image": "example/app:1", "ports": [["containerPort": 8080]]]]
            ],
        ]
    }

    static func deployment(_ name: String, replicas: Int64 = 1) -> JSONValue {
        [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": .string(name)],
            "spec": [
                "replicas": .int(replicas), "selector": ["matchLabels": ["app": .string(name)]],
                "template": [
                    "metadata": ["labels": ["app": .string(name)]],
                    "spec": ["containers": [["name": "app", "image": "example/app:1"]]],
                ],
            ],
        ]
    }
}

/// Records what the server answered, from its log.
final class RequestRecorder: Sendable {
    struct Entry: Sendable, Hashable {
        let method: String
        let path: String
        let status: Int
    }

    private let recorded = Mutex<[Entry]>([])

    var entries: [Entry] { recorded.withLock { $0 } }
    func clear() { recorded.withLock { $0 = [] } }
    var handler: any LogHandler { Handler(recorder: self) }

    private struct Handler: LogHandler {
        let recorder: RequestRecorder
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.debug

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            guard event.message == "Request answered", let given = event.metadata else { return }
            let entry = Entry(
                method: given["method"].map { "\($0)" } ?? "", path: given["path"].map { "\($0)" } ?? "",
                status: given["status"].flatMap { Int("\($0)") } ?? 0)
            recorder.recorded.withLock { $0.append(entry) }
        }
    }
}

/// Waits for a condition with a deadline.
func eventually(
    within limit: Duration = .seconds(15), _ what: String, _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    while clock.now < deadline {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(20))
    }
    throw TimedOut(what: what)
}

/// A condition did not come true in time.
struct TimedOut: Error { let what: String }
