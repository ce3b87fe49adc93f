import Crypto
import Foundation
import Identity
import SwiftASN1
import X509

let identity = "web.shop.serviceaccount.identity.linkerd.cluster.local"

/// A signing request as a proxy would send it, or with a defect.
struct RequestRecipe {
    var names: [GeneralName] = [.dnsName(identity)]
    var subject = DistinguishedName()
    var key = Certificate.PrivateKey(P256.Signing.PrivateKey())
    var extraExtensions: [Certificate.Extension] = []
    /// How many sets of extensions the attribute for them holds; without any there is no attribute.
    var extensionSetCount = 1

    func der() throws -> [UInt8] {
        var extensions = extraExtensions
        if !names.isEmpty {
            extensions.append(
                try Certificate.Extension(SubjectAlternativeNames(names), critical: false))
        }
        let whole = try CertificateSigningRequest.Attribute(
            ExtensionRequest(extensions: try Certificate.Extensions(extensions)))
        let values = Array(repeatElement(whole.values, count: extensionSetCount).joined())
        let attributes =
            values.isEmpty ? [] : [CertificateSigningRequest.Attribute(oid: whole.oid, values: values)]
        let request = try CertificateSigningRequest(
            version: .v1, subject: subject, privateKey: key,
            attributes: CertificateSigningRequest.Attributes(attributes))
        return try encoded(request)
    }
}

/// The DER encoding of a value.
func encoded(_ value: some DERSerializable) throws -> [UInt8] {
    var serializer = DER.Serializer()
    try serializer.serialize(value)
    return serializer.serializedBytes
}

/// A good request of a proxy.
func goodRequest(_ change: (inout RequestRecipe) throws -> Void = { _ in }) throws -> [UInt8] {
    var recipe = RequestRecipe()
    try change(&recipe)
    return try recipe.der()
}

/// PEM of another issuer below the root of `credentials`.
func secondIssuer(
    below credentials: IssuerCredentials, from: Date = Date() - 60, to: Date = Date() + 3_600
) throws -> (certificate: String, key: String) {
    let root = try Certificate(pemEncoded: credentials.trustAnchorPEM)
    let rootKey = try Certificate.PrivateKey(pemEncoded: credentials.trustAnchorKeyPEM)
    let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
    let certificate = try Certificate(
        version: .v3, serialNumber: .init(), publicKey: key.publicKey, notValidBefore: from,
        notValidAfter: to,
        issuer: root.subject, subject: try DistinguishedName { CommonName("identity.linkerd.cluster.local") },
        extensions: try Certificate.Extensions {
            Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
            Critical(KeyUsage(keyCertSign: true))
        },
        issuerPrivateKey: rootKey)
    return (pem(try encoded(certificate)), try key.serializeAsPEM().pemString)
}

/// PEM text of a DER certificate.
func pem(_ der: [UInt8]) -> String { PEMDocument(type: "CERTIFICATE", derBytes: der).pemString + "\n" }

/// A directory that is removed when `body` ends.
func withDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let path = FileManager.default.temporaryDirectory.path + "/mesh-identity-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}

struct OpenSSLFailed: Error { let output: String }

/// Runs the `openssl` command, and throws when it does not succeed.
@discardableResult
func openSSL(_ arguments: String..., in directory: String) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["openssl"] + arguments
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw OpenSSLFailed(output: text) }
    return text
}

struct TimedOut: Error {}

/// Waits for a condition; throws when it does not come true within twenty seconds.
func eventually(_ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw TimedOut() }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
