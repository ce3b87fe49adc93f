import Foundation
public import Logging
import MeshServing
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

// The API server of the local cluster. What it serves:
//
//   kinds      those of `BuiltInKinds`, and whatever CustomResourceDefinitions describe (without their schemas)
//   verbs      get, list, watch (bookmarks, initial events, 410), create, update, delete, deletecollection;
//              JSON, merge and strategic merge patch; server-side apply; dryRun=All; fieldValidation
//   beside     status, scale, finalize, eviction, binding, token; log, portforward, proxy of pods and services;
//              TokenReview and the access reviews
//   access     client certificates and ServiceAccount tokens, RBAC with aggregated ClusterRoles, impersonation
//   admission  mutating and validating webhooks over TLS, on create, update and delete
//   aggregated APIServices that a Service answers for, by a front proxy's certificate
//   forms      JSON, YAML and protobuf in; JSON, Table and metadata-only out; OpenAPI 3, a bare OpenAPI 2
//
// What it does not: server-side apply of sub-resources (415), exec and attach (501), limit and continue (lists are whole),
// matchConditions and CONNECT of webhooks, upgrades of requests to aggregated APIs (501), quotas (stored, not
// enforced).

/// The API server of the local cluster: the part of the Kubernetes API that `kubectl` and our programs use.
public struct APIServer: Sendable {
    private let config: APIServerConfig
    private let cluster: Cluster
    private let tls: NIOSSLContext
    private let logger: Logger
    private let addresses = ListeningAddresses()

    /// Opens the state and reads the certificates; listens only in `run`.
    ///
    /// - Throws: when a certificate cannot be read or the state directory cannot be written.
    public init(config: APIServerConfig, logger: Logger) throws {
        self.config = config
        self.logger = logger
        try FileManager.default.createDirectory(
            atPath: config.stateDirectory, withIntermediateDirectories: true)
        let store = try ObjectStore(
            path: config.stateDirectory + "/state.db", bytesMax: config.stateBytesMax, logger: logger)
        let caPEM = try String(contentsOfFile: config.caCertificatePath, encoding: .utf8)
        cluster = try Cluster(
            config: config, store: store, caPEM: caPEM, frontProxy: try FrontProxy(config: config), logger: logger,
            now: { Date() })
        tls = try Self.tlsContext(config)
    }

    /// The TCP ports listened on, in the order of the configuration, inherited ones last. Waits until all listen.
    public func listeningPorts() async -> [Int] { await addresses.wait() }

    /// Removes what has outlived its time, as happens every minute anyway; gives how many objects went.
    package func sweep() async throws -> Int { try await Housekeeping(cluster: cluster).sweepEvents() }

    /// Serves until cancelled.
    ///
    /// - Throws: when an address cannot be bound or the state cannot be prepared.
    public func run() async throws {
        let operations = ObjectOperations(cluster: cluster)
        try await Bootstrap(operations: operations).run()
        let keyPEM = try String(contentsOfFile: config.serviceAccountKeyPath, encoding: .utf8)
        let tokens = try await ServiceAccountTokens(cluster: cluster, keyPEM: keyPEM)
        let router = Router(
            cluster: cluster, authenticator: Authenticator(tokens: tokens), operations: operations,
            logger: logger)
        let listener = Listener(tls: tls, router: router, logger: logger)
        defer { cluster.store.close() }
        var servers: [ConnectionListener] = []
        for address in config.listenAddresses {
            servers.append(try await listener.bind(host: address.host, port: address.port))
        }
        for descriptor in config.inheritedListenFDs { servers.append(try await listener.adopt(descriptor)) }
        let ports = servers.map { $0.port ?? 0 }
        addresses.announce(ports)
        logger.info("API server listens", metadata: ["ports": "\(ports)"])
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { await Housekeeping(cluster: cluster).run() }
            group.addTask { await APIServiceAvailability(operations: operations).run() }
            for server in servers { group.addTask { try await listener.serve(server) } }
        }
    }

    private static func tlsContext(_ config: APIServerConfig) throws -> NIOSSLContext {
        let chain = try NIOSSLCertificate.fromPEMFile(config.serverCertificatePath)
        let key = try NIOSSLPrivateKey(file: config.serverKeyPath, format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(config.caCertificatePath))
        configuration.certificateVerification = .optionalVerification
        configuration.sendCANameList = true
        configuration.applicationProtocols = ["http/1.1"]
        configuration.minimumTLSVersion = .tlsv12
        return try NIOSSLContext(configuration: configuration)
    }
}

/// Tells when, and where, the server listens.
private final class ListeningAddresses: Sendable {
    private struct State {
        var ports: [Int]?
        var waiters: [CheckedContinuation<[Int], Never>] = []
    }

    private let state = Mutex(State())

    func announce(_ ports: [Int]) {
        let waiters = state.withLock { state in
            state.ports = ports
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: ports) }
    }

    func wait() async -> [Int] {
        await withCheckedContinuation { continuation in
            let ports = state.withLock { state -> [Int]? in
                if state.ports == nil { state.waiters.append(continuation) }
                return state.ports
            }
            if let ports { continuation.resume(returning: ports) }
        }
    }
}
