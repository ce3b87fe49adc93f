// How the API server makes itself known to aggregated APIs: a client certificate of an authority that signs
// nothing else, and the caller's name in headers that are believed from this certificate alone.
//
// Source: the Kubernetes documentation on the aggregation layer's authentication flow.

import Foundation
import MeshModel
import NIOHTTP1
import NIOSSL

/// The front proxy's certificate, key and headers.
struct FrontProxy: Sendable {
    /// The name in the certificate, the one entry of `requestheader-allowed-names`.
    static let commonName = "front-proxy-client"
    static let userHeader = "X-Remote-User"
    static let userIDHeader = "X-Remote-Uid"
    static let groupHeader = "X-Remote-Group"
    static let extraPrefix = "X-Remote-Extra-"
    /// The ConfigMap in kube-system from which aggregated APIs learn all of this.
    static let configMap = "extension-apiserver-authentication"

    private let chain: [NIOSSLCertificate]
    private let key: NIOSSLPrivateKey
    /// The authority that signed the certificate.
    let authorityPEM: String

    /// - Throws: when a file cannot be read.
    init(config: APIServerConfig) throws {
        chain = try NIOSSLCertificate.fromPEMFile(config.frontProxyCertificatePath)
        key = try NIOSSLPrivateKey(file: config.frontProxyKeyPath, format: .pem)
        authorityPEM = try String(contentsOfFile: config.frontProxyAuthorityPath, encoding: .utf8)
    }

    /// What a connection to an aggregated API is made with.
    ///
    /// - Parameters:
    ///   - authority: The certificates to trust, in PEM; the system's own when `nil`.
    ///   - verifies: Whether the peer's certificate is looked at.
    func context(authority: [UInt8]?, verifies: Bool) throws -> NIOSSLContext {
        try UpstreamTLSContext.make(authority: authority, verifies: verifies, chain: chain, key: key)
    }

    /// What to put in the ConfigMap.
    ///
    /// - Parameter clientAuthority: The authority of ordinary client certificates, in PEM.
    func configuration(clientAuthority: String) -> JSONValue {
        func list(_ text: String) -> JSONValue { .string("[\"\(text)\"]") }
        return [
            "client-ca-file": .string(clientAuthority), "requestheader-client-ca-file": .string(authorityPEM),
            "requestheader-allowed-names": list(Self.commonName),
            "requestheader-username-headers": list(Self.userHeader),
            "requestheader-group-headers": list(Self.groupHeader),
            "requestheader-uid-headers": list(Self.userIDHeader),
            "requestheader-extra-headers-prefix": list(Self.extraPrefix),
        ]
    }

    /// A client's headers, without whatever could speak for another user, and with those that name this one.
    static func headers(_ given: HTTPHeaders, for user: UserIdentity) -> HTTPHeaders {
        var headers = HTTPHeaders()
        for (name, value) in given where !isReserved(name.lowercased()) { headers.add(name: name, value: value) }
        headers.add(name: userHeader, value: encoded(user.name, in: nameCharacters))
        if !user.uid.isEmpty { headers.add(name: userIDHeader, value: encoded(user.uid, in: nameCharacters)) }
        for group in user.groups { headers.add(name: groupHeader, value: encoded(group, in: nameCharacters)) }
        for (key, values) in user.extra.sorted(by: { $0.key < $1.key }) {
            for value in values {
                headers.add(name: extraPrefix + encoded(key, in: keyCharacters), value: encoded(value, in: nameCharacters))
            }
        }
        return headers
    }

    private static func isReserved(_ name: String) -> Bool {
        name.hasPrefix("x-remote-") || name.hasPrefix("impersonate-")
            || UpstreamExchange.notForwarded.contains(name)
    }

    /// Visible ASCII and the space: names come from certificates, and must not be able to end a header.
    private static let nameCharacters = CharacterSet(charactersIn: " "..."~")
    /// What a header's name may consist of, without the escape's own sign.
    private static let keyCharacters = CharacterSet(
        charactersIn: "!#$&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

    private static func encoded(_ text: String, in allowed: CharacterSet) -> String {
        text.addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
    }
}

/// TLS towards programs inside the cluster.
enum UpstreamTLSContext {
    /// - Parameter authority: The certificates to trust, in PEM; the system's own when `nil`.
    static func make(
        authority: [UInt8]?, verifies: Bool, chain: [NIOSSLCertificate] = [], key: NIOSSLPrivateKey? = nil
    ) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        if let authority { configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(authority)) }
        if !verifies { configuration.certificateVerification = .none }
        configuration.certificateChain = chain.map { .certificate($0) }
        configuration.privateKey = key.map { .privateKey($0) }
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        return try NIOSSLContext(configuration: configuration)
    }
}
