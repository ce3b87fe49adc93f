// The certificate that is served with: from two files that a chart mounts, or our own. Files change when their Secret
// does, so they are looked at again; connections that run keep what they began with.

import Foundation
package import Logging
package import NIOSSL
import Synchronization

/// Why there is no certificate to serve with.
package struct CertificateProblem: Error, Sendable, CustomStringConvertible {
    package let description: String
}

/// A TLS context that follows its files and the aggregator's authority.
package final class ServingCertificate: Sendable {
    private struct State {
        var context: NIOSSLContext?
        var inputs: Inputs?
    }

    private struct Inputs: Equatable {
        let certificate: [UInt8]
        let key: [UInt8]
        let clientCA: String?
    }

    private let state = Mutex(State())
    private let logger: Logger

    package init(logger: Logger) { self.logger = logger }

    /// What new connections use; `nil` before the files could be read.
    package var context: NIOSSLContext? { state.withLock { $0.context } }

    /// Whether `directory` holds `tls.crt` and `tls.key`.
    package static func isThere(_ directory: String) -> Bool {
        ["tls.crt", "tls.key"].allSatisfy { FileManager.default.isReadableFile(atPath: directory + "/" + $0) }
    }

    /// Looks at the files again.
    ///
    /// - Parameter clientCA: authority of client certificates; without one none is asked for.
    /// - Throws: when the files cannot be read or used; what was there before stays.
    package func refresh(directory: String, clientCA: String?) throws(CertificateProblem) {
        let (certificate, key) = (try Self.read(directory, "tls.crt"), try Self.read(directory, "tls.key"))
        try use(Inputs(certificate: certificate, key: key, clientCA: clientCA), from: directory)
    }

    /// Serves with a pair.
    ///
    /// - Throws: when it cannot be used; what was there before stays.
    package func refresh(pair: ServingPair, clientCA: String?) throws(CertificateProblem) {
        try use(
            Inputs(certificate: Array(pair.certificate.utf8), key: Array(pair.key.utf8), clientCA: clientCA),
            from: "the secret")
    }

    private func use(_ inputs: Inputs, from place: String) throws(CertificateProblem) {
        if state.withLock({ $0.inputs == inputs }) { return }
        let made = try Self.make(inputs, place)
        state.withLock {
            $0.context = made
            $0.inputs = inputs
        }
        logger.info("Serving certificate loaded", metadata: ["from": "\(place)"])
    }

    private static func read(_ directory: String, _ name: String) throws(CertificateProblem) -> [UInt8] {
        do {
            return Array(try Data(contentsOf: URL(filePath: directory + "/" + name)))
        } catch {
            throw CertificateProblem(description: "\(directory)/\(name) cannot be read: \(error.localizedDescription)")
        }
    }

    private static func make(_ inputs: Inputs, _ place: String) throws(CertificateProblem) -> NIOSSLContext {
        do {
            let chain = try NIOSSLCertificate.fromPEMBytes(inputs.certificate)
            let key = try NIOSSLPrivateKey(bytes: inputs.key, format: .pem)
            var tls = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            tls.minimumTLSVersion = .tlsv12
            tls.applicationProtocols = ["http/1.1"]
            if let ca = inputs.clientCA {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(ca.utf8)))
                tls.certificateVerification = .optionalVerification
            }
            return try NIOSSLContext(configuration: tls)
        } catch {
            throw CertificateProblem(description: "\(place) holds no usable certificate: \(error)")
        }
    }
}
