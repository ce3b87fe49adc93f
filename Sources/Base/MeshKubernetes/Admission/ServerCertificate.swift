internal import Foundation
public import Logging
package import NIOSSL
internal import Synchronization

/// A server's certificate and key as a Secret of type kubernetes.io/tls mounts them, read again when they change.
/// Connections that are open keep what they began with; new ones get the newest pair that was good.
public final class ServerCertificate: Sendable {
    /// Between two looks at the files. A Secret takes a minute to reach a pod anyway.
    public static let pollInterval: Duration = .seconds(2)

    private struct State {
        var certificatePEM: String
        var keyPEM: String
        var context: NIOSSLContext
        var isBadReported = false
    }

    private let directory: String
    private let logger: Logger
    private let state: Mutex<State>

    /// Reads `tls.crt` and `tls.key`.
    ///
    /// - Throws: When a file is absent or the two do not fit together.
    public init(directory: String, logger: Logger) throws {
        self.directory = directory
        self.logger = logger
        let (certificate, key) = try Self.read(directory)
        state = Mutex(
            State(
                certificatePEM: certificate, keyPEM: key, context: try Self.context(certificate: certificate, key: key)))
    }

    /// What the next connection is accepted with.
    package var context: NIOSSLContext { state.withLock { $0.context } }

    /// Looks at the files until cancelled.
    public func run() async {
        while !Task.isCancelled {
            do { try await Task.sleep(for: Self.pollInterval) } catch { return }
            reload()
        }
    }

    /// Takes the files over when they have changed and are good; says once when they are not.
    package func reload() {
        do {
            let (certificate, key) = try Self.read(directory)
            let isKnown = state.withLock { $0.certificatePEM == certificate && $0.keyPEM == key }
            if isKnown { return }
            let context = try Self.context(certificate: certificate, key: key)
            state.withLock { $0 = State(certificatePEM: certificate, keyPEM: key, context: context) }
            logger.info("Serving certificate updated", metadata: ["path": "\(directory)"])
        } catch {
            let isNews = state.withLock { state in
                defer { state.isBadReported = true }
                return !state.isBadReported
            }
            guard isNews else { return }
            logger.warning(
                "New serving certificate is not usable, keeping the old one",
                metadata: ["path": "\(directory)", "error": "\(error)"])
        }
    }

    /// Both files of one moment: a Secret volume is changed by pointing the link `..data` at a new directory.
    private static func read(_ directory: String) throws -> (certificate: String, key: String) {
        // Not a link: plain files in the directory.
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: directory + "/..data")
        let base = target.map { $0.hasPrefix("/") ? $0 : "\(directory)/\($0)" } ?? directory
        return (
            try String(contentsOfFile: base + "/tls.crt", encoding: .utf8),
            try String(contentsOfFile: base + "/tls.key", encoding: .utf8)
        )
    }

    private static func context(certificate: String, key: String) throws -> NIOSSLContext {
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8))
        let privateKey = try NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        return try NIOSSLContext(configuration: configuration)
    }
}
