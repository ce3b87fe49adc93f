// A serving certificate that nobody has to bring: made when there is none, renewed in time, kept in a Secret so that
// replicas and restarts share it, and made known to the API server by the caBundle of whatever calls us.
//
// Linkerd's charts make such certificates once, when they are installed, for a year; then the API breaks. Here a
// renewal makes a new authority too, and the caBundle names the old one beside it, so that neither the API server
// nor a replica that still serves with the old one is ever refused. The authority's key is thrown away at once.

import Crypto
package import Foundation
package import Logging
package import MeshKubernetes
import MeshModel
import SwiftASN1
import X509

/// Where a certificate is kept and who must trust it.
package struct CertificatePlace: Sendable, Equatable {
    /// The Secret.
    package let namespace: String
    package let secret: String
    /// Names that the certificate is for, such as `tap.linkerd-viz.svc`.
    package let names: [String]
    /// Path of the object whose caBundle must hold the authority.
    package let caller: String
    /// From that object to the caBundle: keys, and indices of lists.
    package let bundlePath: [String]

    package init(namespace: String, secret: String, names: [String], caller: String, bundlePath: [String]) {
        self.namespace = namespace
        self.secret = secret
        self.names = names
        self.caller = caller
        self.bundlePath = bundlePath
    }
}

/// Keys of a pair as they are kept, in PEM.
package struct ServingPair: Sendable, Equatable {
    package let certificate: String
    package let key: String
    package let authority: String

    package init(certificate: String, key: String, authority: String) {
        self.certificate = certificate
        self.key = key
        self.authority = authority
    }
}

/// Keeps one certificate good.
package struct OwnCertificate: Sendable {
    /// How long a certificate lives, and how long before its end it is made anew.
    static let lifetime: TimeInterval = 365 * 86_400
    static let renewBefore: TimeInterval = 30 * 86_400
    /// Validity begins so far in the past, for slow clocks elsewhere.
    static let clockSkew: TimeInterval = 300

    private let client: KubernetesClient
    private let place: CertificatePlace
    private let logger: Logger

    package init(client: KubernetesClient, place: CertificatePlace, logger: Logger) {
        self.client = client
        self.place = place
        self.logger = logger
    }

    /// A good pair, whose authority the caller knows.
    ///
    /// - Throws: the API server's refusal; nothing was changed then, or what was changed is good.
    package func ensure(now: Date = .now) async throws -> ServingPair {
        let stored = try await read()
        let pair: ServingPair
        if let stored, Self.isGood(stored, names: place.names, now: now) {
            pair = stored
        } else {
            let made = try Self.make(names: place.names, now: now)
            // The old authority stays known while somebody may still serve with its certificate.
            let old = stored.flatMap { Self.lastAuthority($0.authority, now: now) } ?? ""
            pair = ServingPair(certificate: made.certificate, key: made.key, authority: made.authority + old)
            // The caller first: then neither certificate is ever strange to it.
            try await publish(pair.authority)
            try await write(pair, replacing: stored != nil)
            logger.info("Serving certificate made", metadata: ["secret": "\(place.namespace)/\(place.secret)"])
            return pair
        }
        try await publish(pair.authority)
        return pair
    }

    // MARK: The Secret

    private func read() async throws -> ServingPair? {
        do {
            let secret = try await client.get(Secret.self, namespace: place.namespace, name: place.secret)
            func text(_ key: String) -> String {
                Data(base64Encoded: secret.data?[key] ?? "").map { String(decoding: $0, as: UTF8.self) } ?? ""
            }
            return ServingPair(certificate: text("tls.crt"), key: text("tls.key"), authority: text("ca.crt"))
        } catch let error as KubernetesError where error.isNotFound {
            return nil
        }
    }

    private func write(_ pair: ServingPair, replacing: Bool) async throws {
        func base64(_ text: String) -> JSONValue { .string(Data(text.utf8).base64EncodedString()) }
        let data: JSONValue = [
            "tls.crt": base64(pair.certificate), "tls.key": base64(pair.key), "ca.crt": base64(pair.authority),
        ]
        let path = "/api/v1/namespaces/\(place.namespace)/secrets"
        if replacing {
            _ = try await client.raw(
                "PATCH", path: "\(path)/\(place.secret)", body: ["data": data], contentType: PatchType.merge.rawValue)
        } else {
            _ = try await client.raw(
                "POST", path: path,
                body: [
                    "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "data": data,
                    "metadata": ["name": .string(place.secret), "namespace": .string(place.namespace)],
                ])
        }
    }

    // MARK: The caller's trust

    private func publish(_ authority: String) async throws {
        let wanted = Data(authority.utf8).base64EncodedString()
        let object = try await client.raw("GET", path: place.caller)
        guard Self.value(object, place.bundlePath)?.stringValue != wanted else { return }
        // RFC 6902: a whole list need not be repeated to change one member of one of its items.
        let operation: JSONValue = [
            "op": "add", "path": .string("/" + place.bundlePath.joined(separator: "/")), "value": .string(wanted),
        ]
        _ = try await client.raw(
            "PATCH", path: place.caller, body: .array([operation]), contentType: PatchType.json.rawValue)
    }

    private static func value(_ tree: JSONValue, _ path: [String]) -> JSONValue? {
        path.reduce(Optional(tree)) { node, key in node?[key] ?? Int(key).flatMap { node?[$0] } }
    }

    // MARK: Certificates

    /// Whether a kept pair can be served with for a while yet.
    package static func isGood(_ pair: ServingPair, names: [String], now: Date) -> Bool {
        // Whatever cannot be read is made anew.
        guard let leaf = try? Certificate(pemEncoded: pair.certificate),
            let key = try? Certificate.PrivateKey(pemEncoded: pair.key), key.publicKey == leaf.publicKey,
            let authority = authorities(pair.authority).first,
            authority.publicKey.isValidSignature(leaf.signature, for: leaf),
            leaf.notValidAfter > now.addingTimeInterval(renewBefore), leaf.notValidBefore <= now
        else { return false }
        let present = (try? leaf.extensions.subjectAlternativeNames).flatMap { $0 }.map(Array.init) ?? []
        return present == names.map { .dnsName($0) }
    }

    /// The newest authority of a bundle, when it has not ended.
    private static func lastAuthority(_ bundle: String, now: Date) -> String? {
        guard let first = authorities(bundle).first, first.notValidAfter > now else { return nil }
        return try? first.serializeAsPEM().pemString + "\n"  // It was read from PEM.
    }

    private static func authorities(_ bundle: String) -> [Certificate] {
        // A bundle that is not PEM holds none.
        guard let documents = try? PEMDocument.parseMultiple(pemString: bundle) else { return [] }
        return documents.compactMap { try? Certificate(pemDocument: $0) }
    }

    /// A new authority and a certificate under it.
    package static func make(names: [String], now: Date) throws -> ServingPair {
        let authorityKey = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let subject = try DistinguishedName { CommonName("ca of \(names.first ?? "")") }
        let start = now.addingTimeInterval(-clockSkew)
        let authority = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: authorityKey.publicKey,
            notValidBefore: start, notValidAfter: now.addingTimeInterval(lifetime + renewBefore), issuer: subject,
            subject: subject,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true))
                SubjectKeyIdentifier(hash: authorityKey.publicKey)
            },
            issuerPrivateKey: authorityKey)
        let key = P256.Signing.PrivateKey()
        let leaf = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(),
            publicKey: Certificate.PrivateKey(key).publicKey, notValidBefore: start,
            notValidAfter: now.addingTimeInterval(lifetime), issuer: subject,
            subject: try DistinguishedName { CommonName(names.first ?? "") },
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth])
                SubjectAlternativeNames(names.map { .dnsName($0) })
            },
            issuerPrivateKey: authorityKey)
        return ServingPair(
            certificate: try leaf.serializeAsPEM().pemString + "\n", key: key.pemRepresentation + "\n",
            authority: try authority.serializeAsPEM().pemString + "\n")
    }
}
