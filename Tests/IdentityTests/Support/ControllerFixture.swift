import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity
import Logging
import MeshAPI
import MeshGRPC
import MeshKubernetes
import MeshModel
import SwiftProtobuf
import Synchronization
import X509

/// A clock that the test moves.
final class TestClock: Sendable {
    private let offset = Mutex<TimeInterval>(0)

    var now: Date { Date() + offset.withLock { $0 } }
    func advance(_ seconds: TimeInterval) { offset.withLock { $0 += seconds } }
}

/// The directory of an issuer, changed as the kubelet changes a Secret's volume.
struct IssuerVolume: Sendable {
    let directory: String
    var scheme = IdentitySettings.Scheme.linkerd

    var issuerPath: String { directory + "/issuer" }
    var anchorsPath: String { directory + "/ca-bundle.crt" }

    func writeAnchors(_ text: String) throws {
        try text.write(toFile: anchorsPath, atomically: true, encoding: .utf8)
    }

    /// Puts a new version in place by moving a link over the old one.
    func write(certificate: String, key: String) throws {
        let manager = FileManager.default
        let version = "..\(UUID().uuidString)"
        try manager.createDirectory(atPath: issuerPath + "/" + version, withIntermediateDirectories: true)
        let names = scheme == .linkerd ? ("crt.pem", "key.pem") : ("tls.crt", "tls.key")
        try certificate.write(
            toFile: "\(issuerPath)/\(version)/\(names.0)", atomically: false, encoding: .utf8)
        try key.write(toFile: "\(issuerPath)/\(version)/\(names.1)", atomically: false, encoding: .utf8)
        let new = issuerPath + "/..data_tmp"
        try manager.createSymbolicLink(atPath: new, withDestinationPath: version)
        guard unsafe rename(new, issuerPath + "/..data") == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    func write(_ credentials: IssuerCredentials) throws {
        try write(certificate: credentials.issuerCertificatePEM, key: credentials.issuerKeyPEM)
    }
}

/// A running controller against some API server, and a client of it.
struct ControllerFixture: Sendable {
    typealias Client = Io_Linkerd_Proxy_Identity_Identity.Client<HTTP2ClientTransport.Posix>

    let client: Client
    let admin: KubernetesClient
    let volume: IssuerVolume
    let credentials: IssuerCredentials
    let clock: TestClock

    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Runs a controller with new credentials while `body` runs.
    static func run(
        api: KubernetesConfig, configure: (inout IdentitySettings) -> Void = { _ in },
        _ body: @escaping @Sendable (ControllerFixture) async throws -> Void
    ) async throws {
        var settings = IdentitySettings()
        settings.issuerPollInterval = .milliseconds(10)
        configure(&settings)
        let chosen = settings
        try await withDirectory { directory in
            let volume = IssuerVolume(directory: directory, scheme: chosen.scheme)
            let credentials = try IssuerCredentials.make(trustDomain: chosen.trustDomain, now: Date())
            try volume.writeAnchors(credentials.trustAnchorPEM)
            try volume.write(credentials)
            try await run(chosen, volume, credentials, api, body)
        }
    }

    private static func run(
        _ given: IdentitySettings, _ volume: IssuerVolume, _ credentials: IssuerCredentials,
        _ api: KubernetesConfig, _ body: @escaping @Sendable (ControllerFixture) async throws -> Void
    ) async throws {
        var settings = given
        settings.issuerPath = volume.issuerPath
        settings.trustAnchorsPath = volume.anchorsPath
        let clock = TestClock()
        let kubernetes = try KubernetesClient(config: api, logger: logger)
        let controller = try IdentityController(
            settings: settings,
            addresses: .init(grpcHost: "127.0.0.1", grpcPort: 0, adminHost: "127.0.0.1", adminPort: 0),
            client: kubernetes, logger: logger, now: { clock.now })
        let (ports, onServing) = AsyncStream.makeStream(of: (Int, Int).self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { onServing.finish() }
                try await controller.run { onServing.yield(($0, $1)) }
            }
            for await (port, adminPort) in ports {
                let transport = try HTTP2ClientTransport.Posix(
                    target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
                let admin = try KubernetesClient(
                    config: .init(server: "http://127.0.0.1:\(adminPort)"), logger: logger)
                try await withGRPCClient(transport: transport) { client in
                    try await body(
                        ControllerFixture(
                            client: Client(wrapping: client), admin: admin, volume: volume,
                            credentials: credentials, clock: clock))
                }
                await admin.shutdown()
                controller.beginShutdown()
            }
            try await group.waitForAll()
        }
        await kubernetes.shutdown()
    }

    /// Asks for a certificate.
    func certify(
        _ name: String = identity, token: String = "good", request: [UInt8]? = nil
    ) async throws -> Io_Linkerd_Proxy_Identity_CertifyResponse {
        let der = try request ?? goodRequest { $0.names = [.dnsName(name)] }
        return try await client.certify(
            .with {
                $0.identity = name
                $0.token = Data(token.utf8)
                $0.certificateSigningRequest = Data(der)
            })
    }

    /// The gRPC code that a call ends with, `nil` when it succeeds.
    func code(_ call: () async throws -> some Any) async throws -> RPCError.Code? {
        do {
            _ = try await call()
            return nil
        } catch let error as RPCError {
            return error.code
        }
    }

    /// The text of a path of the admin port.
    func text(_ path: String = "/metrics") async throws -> String {
        try await admin.raw("GET", path: path).stringValue ?? ""
    }
}
