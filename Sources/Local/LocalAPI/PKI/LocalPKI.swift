// The certificates of the local cluster: one authority, one server certificate, client certificates for
// the administrator and for each component, the front proxy's own authority and certificate, and the key that
// signs ServiceAccount tokens. Everything is
// ECDSA P-256 in PEM (RFC 5280, RFC 5958). What exists, parses, is signed by the present authority and is
// not about to expire is kept; all else is made again, so that calling twice changes nothing.

public import Foundation
import SwiftASN1
import X509

/// The files of the local cluster's key infrastructure, in one directory of mode 0700.
public struct LocalPKI: Sendable {
    /// Where the files lie: `<state directory>/pki`.
    public let directory: String
    /// The authority's certificate and key (`ca.crt`, `ca.key`).
    public let authority: KeyPair
    /// The API server's certificate and key (`apiserver.crt`, `apiserver.key`).
    public let apiServer: KeyPair
    /// The administrator's client certificate: CN `kubernetes-admin`, O `system:masters`.
    public let admin: KeyPair
    /// The authority of the front proxy alone (`front-proxy-ca.crt`, `front-proxy-ca.key`): whoever it signs for may
    /// name any user to an aggregated API.
    public let frontProxyAuthority: KeyPair
    /// The API server's client certificate towards aggregated APIs: CN `front-proxy-client`.
    public let frontProxy: KeyPair
    /// The key that signs ServiceAccount tokens, PKCS #8 in PEM (`sa.key`).
    public let serviceAccountKeyPath: String
    /// Its public half (`sa.pub`).
    public let serviceAccountPublicKeyPath: String

    /// A certificate and its key, by path.
    public struct KeyPair: Sendable, Hashable {
        public let certificatePath: String
        public let keyPath: String

        init(directory: String, name: String) {
            certificatePath = "\(directory)/\(name).crt"
            keyPath = "\(directory)/\(name).key"
        }
    }

    /// Names and addresses under which the API server answers in every local cluster.
    public static func serverNames(clusterDomain: String) -> [String] {
        [
            "localhost", "linkerd-local", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
            "kubernetes.default.svc.\(clusterDomain)",
        ]
    }

    /// Addresses under which the API server answers: loopback, the `kubernetes` Service and the node.
    public static let serverAddresses = ["127.0.0.1", "10.96.0.1", "10.244.0.1"]

    /// Makes whatever is missing or about to expire, and keeps the rest.
    ///
    /// - Parameters:
    ///   - stateDirectory: The cluster's state directory; `pki` is made inside it.
    ///   - clusterDomain: DNS suffix of the cluster.
    ///   - extraServerNames: DNS names or IPv4/IPv6 addresses to add to the server's certificate.
    ///   - now: The time against which validity is judged and from which it starts.
    /// - Throws: `LocalPKIError`, or Foundation's errors when the directory cannot be written.
    public static func ensure(
        stateDirectory: String, clusterDomain: String = "cluster.local", extraServerNames: [String] = [],
        now: Date
    ) throws -> LocalPKI {
        let pki = LocalPKI(directory: stateDirectory + "/pki")
        try FileManager.default.createDirectory(
            atPath: pki.directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let issuer = try CertificateIssuer.ensure(at: pki.authority, name: "linkerd-local-ca", now: now)
        let frontProxy = try CertificateIssuer.ensure(
            at: pki.frontProxyAuthority, name: "linkerd-local-front-proxy-ca", now: now)
        try frontProxy.ensure(
            pki.frontProxy, subject: .client(name: FrontProxy.commonName, organizations: []), now: now)
        let names = serverNames(clusterDomain: clusterDomain) + serverAddresses + extraServerNames
        try issuer.ensure(pki.apiServer, subject: .server(names: names), now: now)
        try issuer.ensure(
            pki.admin, subject: .client(name: "kubernetes-admin", organizations: ["system:masters"]), now: now
        )
        try pki.ensureServiceAccountKey()
        return pki
    }

    /// Makes, or keeps, a client certificate for a component of the cluster.
    ///
    /// - Parameters:
    ///   - file: Name of the files without suffix, e.g. `controllers`.
    ///   - name: The user it authenticates as (common name).
    ///   - organizations: Its groups.
    public func ensureClient(file: String, name: String, organizations: [String], now: Date) throws -> KeyPair
    {
        let pair = KeyPair(directory: directory, name: file)
        guard let issuer = try CertificateIssuer.load(authority, now: now) else {
            throw LocalPKIError(kind: .authorityUnusable, file: authority.certificatePath)
        }
        try issuer.ensure(pair, subject: .client(name: name, organizations: organizations), now: now)
        return pair
    }

    /// The text of a kubeconfig with the authority and the client's certificate and key inside.
    ///
    /// - Parameters:
    ///   - server: URL of the API server, e.g. `https://127.0.0.1:6443`.
    ///   - client: The client to speak as; `admin` for people.
    public func kubeconfig(server: String, client: KeyPair, context: String = "linkerd-local") throws
        -> String
    {
        func base64(_ path: String) throws -> String {
            try Data(contentsOf: URL(fileURLWithPath: path)).base64EncodedString()
        }
        return """
            apiVersion: v1
            kind: Config
            clusters:
            - name: \(context)
              cluster:
                server: \(server)
                certificate-authority-data: \(try base64(authority.certificatePath))
            users:
            - name: \(context)
              user:
                client-certificate-data: \(try base64(client.certificatePath))
                client-key-data: \(try base64(client.keyPath))
            contexts:
            - name: \(context)
              context:
                cluster: \(context)
                user: \(context)
            current-context: \(context)
            preferences: {}

            """
    }

    private init(directory: String) {
        self.directory = directory
        authority = KeyPair(directory: directory, name: "ca")
        apiServer = KeyPair(directory: directory, name: "apiserver")
        admin = KeyPair(directory: directory, name: "admin")
        frontProxyAuthority = KeyPair(directory: directory, name: "front-proxy-ca")
        frontProxy = KeyPair(directory: directory, name: "front-proxy-client")
        serviceAccountKeyPath = directory + "/sa.key"
        serviceAccountPublicKeyPath = directory + "/sa.pub"
    }

    private func ensureServiceAccountKey() throws {
        if let text = try? String(contentsOfFile: serviceAccountKeyPath, encoding: .utf8),  // Absent at first start.
            let key = try? PrivateKeyFile.parse(text)  // Unreadable: tokens signed by it are lost anyway.
        {
            try PrivateKeyFile.write(key.publicKeyPEM, to: serviceAccountPublicKeyPath, mode: 0o644)
            return
        }
        let key = PrivateKeyFile.make()
        try PrivateKeyFile.write(key.privateKeyPEM, to: serviceAccountKeyPath, mode: 0o600)
        try PrivateKeyFile.write(key.publicKeyPEM, to: serviceAccountPublicKeyPath, mode: 0o644)
    }
}

/// Why the key infrastructure could not be made.
public struct LocalPKIError: Error {
    /// The kinds of failure.
    public enum Kind: String, Sendable {
        case authorityUnusable = "authority_unusable"
        case badAddress = "bad_address"
    }
    public let kind: Kind
    /// The file, or the name, it was about.
    public let file: String
}
