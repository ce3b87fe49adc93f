// The kubeconfig file: clusters, users and contexts by name. Several files merge into one, where the
// first definition of a name wins; relative paths start at the folder of the file that holds them.

internal import Foundation
internal import Yams

/// The parts of one or more kubeconfig files that we use.
struct Kubeconfig {
    struct Cluster: Decodable {
        var server: String?
        var certificateAuthority: String?
        var certificateAuthorityData: String?
        var insecureSkipTLSVerify: Bool?
        var tlsServerName: String?

        enum CodingKeys: String, CodingKey {
            case server
            case certificateAuthority = "certificate-authority"
            case certificateAuthorityData = "certificate-authority-data"
            case insecureSkipTLSVerify = "insecure-skip-tls-verify"
            case tlsServerName = "tls-server-name"
        }
    }

    struct User: Decodable {
        var clientCertificate: String?
        var clientCertificateData: String?
        var clientKey: String?
        var clientKeyData: String?
        var token: String?
        var tokenFile: String?
        var username: String?
        var usesPlugin: Bool

        enum CodingKeys: String, CodingKey {
            case clientCertificate = "client-certificate"
            case clientCertificateData = "client-certificate-data"
            case clientKey = "client-key"
            case clientKeyData = "client-key-data"
            case token, tokenFile, username, exec
            case authProvider = "auth-provider"
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            func text(_ key: CodingKeys) throws -> String? {
                try container.decodeIfPresent(String.self, forKey: key)
            }
            clientCertificate = try text(.clientCertificate)
            clientCertificateData = try text(.clientCertificateData)
            clientKey = try text(.clientKey)
            clientKeyData = try text(.clientKeyData)
            token = try text(.token)
            tokenFile = try text(.tokenFile)
            username = try text(.username)
            usesPlugin = [.exec, .authProvider].contains { container.contains($0) && !isNull(container, $0) }
        }
    }

    struct Context: Decodable {
        var cluster: String?
        var user: String?
        var namespace: String?
    }

    /// Something with a name, and the folder its relative paths start at.
    struct Named<Value> {
        var name: String
        var value: Value
        var folder: String
    }

    private struct File: Decodable {
        struct ClusterEntry: Decodable {
            var name: String
            var cluster: Cluster?
        }
        struct UserEntry: Decodable {
            var name: String
            var user: User?
        }
        struct ContextEntry: Decodable {
            var name: String
            var context: Context?
        }
        var clusters: [ClusterEntry]?
        var users: [UserEntry]?
        var contexts: [ContextEntry]?
        var currentContext: String?

        enum CodingKeys: String, CodingKey {
            case clusters, users, contexts
            case currentContext = "current-context"
        }
    }

    var clusters: [Named<Cluster>] = []
    var users: [Named<User>] = []
    var contexts: [Named<Context>] = []
    var currentContext: String?

    init() {}

    init(file path: String) throws(KubernetesConfigError) {
        let text: String
        do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
            throw KubernetesConfigError(kind: .fileMissing, message: "cannot read \(path)")
        }
        let file: File
        do { file = try YAMLDecoder().decode(File.self, from: text) } catch {
            throw KubernetesConfigError(kind: .invalidFile, message: "\(path) is not a kubeconfig: \(error)")
        }
        let folder = (path as NSString).deletingLastPathComponent
        clusters = (file.clusters ?? []).compactMap { entry in
            entry.cluster.map { Named(name: entry.name, value: $0, folder: folder) }
        }
        users = (file.users ?? []).compactMap { entry in
            entry.user.map { Named(name: entry.name, value: $0, folder: folder) }
        }
        contexts = (file.contexts ?? []).compactMap { entry in
            entry.context.map { Named(name: entry.name, value: $0, folder: folder) }
        }
        currentContext = file.currentContext.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Adds what another file defines under names not taken yet.
    mutating func merge(_ other: Kubeconfig) {
        func add<Value>(_ more: [Named<Value>], to list: inout [Named<Value>]) {
            for entry in more where !list.contains(where: { $0.name == entry.name }) { list.append(entry) }
        }
        add(other.clusters, to: &clusters)
        add(other.users, to: &users)
        add(other.contexts, to: &contexts)
        currentContext = currentContext ?? other.currentContext
    }

    /// The configuration that a context stands for.
    func resolve(context wanted: String?) throws(KubernetesConfigError) -> KubernetesConfig {
        guard let name = wanted ?? currentContext else {
            throw KubernetesConfigError(
                kind: .unknownContext, message: "the kubeconfig has no current-context")
        }
        guard let context = contexts.first(where: { $0.name == name })?.value else {
            let known = contexts.map(\.name).joined(separator: ", ")
            throw KubernetesConfigError(
                kind: .unknownContext, message: "no context \(name); there are: \(known)")
        }
        guard let cluster = clusters.first(where: { $0.name == context.cluster }),
            let server = cluster.value.server
        else {
            throw KubernetesConfigError(
                kind: .invalidFile, message: "context \(name) names no cluster with a server")
        }
        var config = KubernetesConfig(
            server: server.hasSuffix("/") ? String(server.dropLast()) : server,
            caPEM: try Self.pem(
                data: cluster.value.certificateAuthorityData, file: cluster.value.certificateAuthority,
                folder: cluster.folder, key: "certificate-authority"),
            namespace: context.namespace.flatMap { $0.isEmpty ? nil : $0 } ?? "default",
            insecureSkipTLSVerify: cluster.value.insecureSkipTLSVerify ?? false,
            tlsServerName: cluster.value.tlsServerName)
        if let user = users.first(where: { $0.name == context.user }) { try Self.apply(user, to: &config) }
        return config
    }

    private static func apply(_ user: Named<User>, to config: inout KubernetesConfig)
        throws(KubernetesConfigError)
    {
        let value = user.value
        config.clientCertificatePEM = try pem(
            data: value.clientCertificateData, file: value.clientCertificate, folder: user.folder,
            key: "client-certificate")
        config.clientKeyPEM = try pem(
            data: value.clientKeyData, file: value.clientKey, folder: user.folder, key: "client-key")
        config.bearerToken = value.token
        config.bearerTokenPath = value.tokenFile.map { absolute($0, folder: user.folder) }
        let hasCredentials =
            config.clientCertificatePEM != nil || config.bearerToken != nil || config.bearerTokenPath != nil
        guard hasCredentials || !(value.usesPlugin || value.username != nil) else {
            throw KubernetesConfigError(
                kind: .unsupportedAuth,
                message: "user \(user.name) logs in with a plugin or password, which is not supported: "
                    + "use a client certificate or a token")
        }
    }

    private static func pem(
        data: String?, file: String?, folder: String, key: String
    ) throws(KubernetesConfigError) -> String? {
        if let data, !data.isEmpty {
            guard let bytes = Data(base64Encoded: data, options: .ignoreUnknownCharacters) else {
                throw KubernetesConfigError(kind: .invalidFile, message: "\(key)-data is not base64")
            }
            return String(decoding: bytes, as: UTF8.self)
        }
        guard let file, !file.isEmpty else { return nil }
        let path = absolute(file, folder: folder)
        do { return try String(contentsOfFile: path, encoding: .utf8) } catch {
            throw KubernetesConfigError(kind: .fileMissing, message: "cannot read \(key) \(path)")
        }
    }

    private static func absolute(_ path: String, folder: String) -> String {
        path.hasPrefix("/") ? path : (folder.isEmpty ? "." : folder) + "/" + path
    }
}

/// Whether a key is present with an explicit null, which kubeconfig writers leave behind.
private func isNull<Key: CodingKey>(_ container: KeyedDecodingContainer<Key>, _ key: Key) -> Bool {
    (try? container.decodeNil(forKey: key)) ?? false  // A value of any other type is not null.
}
