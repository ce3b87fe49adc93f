import Crypto
import Foundation
import SwiftASN1
import X509

/// What a leaf certificate speaks for.
enum CertificateSubject {
    /// A server answering under DNS names and addresses.
    case server(names: [String])
    /// A client: the user's name and its groups.
    case client(name: String, organizations: [String])
}

/// The authority of the local cluster: signs leaves with its key.
struct CertificateIssuer {
    /// How long the authority lives.
    static let authorityLifetime: TimeInterval = 10 * 365 * 86_400
    /// How long a leaf lives.
    static let leafLifetime: TimeInterval = 365 * 86_400
    /// A leaf that ends sooner than this is made again.
    static let renewBefore: TimeInterval = 30 * 86_400
    /// Start of validity lies this far in the past, so that a slow clock elsewhere does not refuse it.
    static let clockSkew: TimeInterval = 300

    let certificate: Certificate
    private let key: Certificate.PrivateKey

    /// Reads an authority from its files; `nil` when it is absent, unreadable or about to expire.
    static func load(_ pair: LocalPKI.KeyPair, now: Date) throws -> CertificateIssuer? {
        guard let certificate = readCertificate(pair.certificatePath),
            let keyText = try? String(contentsOfFile: pair.keyPath, encoding: .utf8),  // Absent: make a new one.
            let key = try? Certificate.PrivateKey(pemEncoded: keyText),  // Damaged: make a new one.
            key.publicKey == certificate.publicKey,
            certificate.notValidAfter > now.addingTimeInterval(renewBefore)
        else { return nil }
        return CertificateIssuer(certificate: certificate, key: key)
    }

    /// Reads an authority, or makes it when there is none that is good.
    static func ensure(at pair: LocalPKI.KeyPair, name: String, now: Date) throws -> CertificateIssuer {
        if let present = try load(pair, now: now) { return present }
        return try make(at: pair, name: name, now: now)
    }

    /// Makes a new self-signed authority and writes its files.
    private static func make(at pair: LocalPKI.KeyPair, name: String, now: Date) throws -> CertificateIssuer {
        let made = PrivateKeyFile.make()
        let key = Certificate.PrivateKey(made.key)
        let subject = try DistinguishedName { CommonName(name) }
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
            notValidBefore: now.addingTimeInterval(-clockSkew),
            notValidAfter: now.addingTimeInterval(authorityLifetime),
            issuer: subject, subject: subject,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                Critical(KeyUsage(digitalSignature: true, keyCertSign: true, cRLSign: true))
                SubjectKeyIdentifier(hash: key.publicKey)
            },
            issuerPrivateKey: key)
        try PrivateKeyFile.write(made.privateKeyPEM, to: pair.keyPath, mode: 0o600)
        try PrivateKeyFile.write(
            certificate.serializeAsPEM().pemString, to: pair.certificatePath, mode: 0o644)
        return CertificateIssuer(certificate: certificate, key: key)
    }

    /// Makes a leaf unless a good one with the same subject is already there.
    func ensure(_ pair: LocalPKI.KeyPair, subject: CertificateSubject, now: Date) throws {
        let name = try distinguishedName(subject)
        let alternatives = try subjectAlternativeNames(subject)
        if isGood(pair, name: name, alternatives: alternatives, now: now) { return }
        let made = PrivateKeyFile.make()
        let leafKey = Certificate.PrivateKey(made.key)
        let isServer = if case .server = subject { true } else { false }
        let leaf = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: leafKey.publicKey,
            notValidBefore: now.addingTimeInterval(-Self.clockSkew),
            notValidAfter: now.addingTimeInterval(Self.leafLifetime),
            issuer: certificate.subject, subject: name,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([isServer ? .serverAuth : .clientAuth])
                if !alternatives.isEmpty { SubjectAlternativeNames(alternatives) }
            },
            issuerPrivateKey: key)
        try PrivateKeyFile.write(made.privateKeyPEM, to: pair.keyPath, mode: 0o600)
        try PrivateKeyFile.write(leaf.serializeAsPEM().pemString, to: pair.certificatePath, mode: 0o644)
    }

    private func isGood(
        _ pair: LocalPKI.KeyPair, name: DistinguishedName, alternatives: [GeneralName], now: Date
    ) -> Bool {
        guard let leaf = Self.readCertificate(pair.certificatePath),
            let keyText = try? String(contentsOfFile: pair.keyPath, encoding: .utf8),  // Absent: made again.
            let leafKey = try? Certificate.PrivateKey(pemEncoded: keyText),  // Damaged: made again.
            leafKey.publicKey == leaf.publicKey,
            leaf.notValidAfter > now.addingTimeInterval(Self.renewBefore),
            certificate.publicKey.isValidSignature(leaf.signature, for: leaf)
        else { return false }
        // A certificate whose names do not parse is not one that we made.
        let present = (try? leaf.extensions.subjectAlternativeNames).flatMap { $0 }.map(Array.init) ?? []
        return leaf.subject == name && present == alternatives
    }

    private static func readCertificate(_ path: String) -> Certificate? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }  // Absent.
        return try? Certificate(pemEncoded: text)  // Damaged: the caller makes a new one.
    }

    private func distinguishedName(_ subject: CertificateSubject) throws -> DistinguishedName {
        switch subject {
        case .server: try DistinguishedName { CommonName("kube-apiserver") }
        case .client(let name, let organizations):
            try DistinguishedName {
                for organization in organizations { OrganizationName(organization) }
                CommonName(name)
            }
        }
    }

    private func subjectAlternativeNames(_ subject: CertificateSubject) throws -> [GeneralName] {
        guard case .server(let names) = subject else { return [] }
        return names.map { name in
            guard let address = AddressBytes.parse(name) else { return .dnsName(name) }
            return .ipAddress(ASN1OctetString(contentBytes: address[...]))
        }
    }
}

/// A P-256 key in PEM, and how keys reach the disk.
struct PrivateKeyFile {
    let key: P256.Signing.PrivateKey

    static func make() -> PrivateKeyFile { PrivateKeyFile(key: P256.Signing.PrivateKey()) }

    static func parse(_ pem: String) throws -> PrivateKeyFile {
        PrivateKeyFile(key: try P256.Signing.PrivateKey(pemRepresentation: pem))
    }

    var privateKeyPEM: String { key.pemRepresentation }
    var publicKeyPEM: String { key.publicKey.pemRepresentation }

    /// Writes a file whole or not at all, with its mode set before it takes its name.
    static func write(_ text: String, to path: String, mode: Int) throws {
        let body = text.hasSuffix("\n") ? text : text + "\n"
        let temporary = path + ".new"
        try? FileManager.default.removeItem(atPath: temporary)  // Left by a crash, or absent.
        guard
            FileManager.default.createFile(
                atPath: temporary, contents: Data(body.utf8), attributes: [.posixPermissions: mode])
        else { throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: path]) }
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: temporary)
        if FileManager.default.fileExists(atPath: path) { try FileManager.default.removeItem(atPath: path) }
        try FileManager.default.moveItem(atPath: temporary, toPath: path)
    }
}
