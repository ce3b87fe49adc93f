// How to reach an API server: from inside a pod (mounted service account) or from a kubeconfig file.

internal import Foundation

/// Why no usable configuration was found.
public struct KubernetesConfigError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of mistake it is.
    public enum Kind: String, Sendable {
        case notInCluster, fileMissing, invalidFile, unknownContext, unsupportedAuth
    }
    public let kind: Kind
    /// Text for people; names the file or key.
    public let message: String

    public init(kind: Kind, message: String) {
        self.kind = kind
        self.message = message
    }

    public var description: String { message }
}

/// Address and credentials of an API server.
public struct KubernetesConfig: Sendable {
    /// `https://host:port`, optionally with a path.
    public var server: String
    /// Certificates to trust; `nil` trusts the system's.
    public var caPEM: String?
    public var clientCertificatePEM: String?
    public var clientKeyPEM: String?
    /// A file with a bearer token, read again when it grows old.
    public var bearerTokenPath: String?
    public var bearerToken: String?
    /// The namespace to use when none is named.
    public var namespace: String
    public var insecureSkipTLSVerify: Bool
    /// The name to verify instead of the server's host.
    public var tlsServerName: String?

    public init(
        server: String, caPEM: String? = nil, clientCertificatePEM: String? = nil,
        clientKeyPEM: String? = nil,
        bearerTokenPath: String? = nil, bearerToken: String? = nil, namespace: String = "default",
        insecureSkipTLSVerify: Bool = false, tlsServerName: String? = nil
    ) {
        self.server = server
        self.caPEM = caPEM
        self.clientCertificatePEM = clientCertificatePEM
        self.clientKeyPEM = clientKeyPEM
        self.bearerTokenPath = bearerTokenPath
        self.bearerToken = bearerToken
        self.namespace = namespace
        self.insecureSkipTLSVerify = insecureSkipTLSVerify
        self.tlsServerName = tlsServerName
    }

    /// Where a pod finds its service account.
    public static let serviceAccountPath = "/var/run/secrets/kubernetes.io/serviceaccount"
    /// The kubeconfig of a local cluster, tried last.
    public static let localClusterPath = "/var/lib/linkerd-local/kubeconfig"

    /// The configuration that the cluster gives every pod.
    ///
    /// - Throws: `.notInCluster` when the environment does not name the API server or no token is mounted.
    public static func inCluster() throws(KubernetesConfigError) -> Self {
        try inCluster(
            environment: ProcessInfo.processInfo.environment, serviceAccountPath: serviceAccountPath)
    }

    /// The same with explicit surroundings, for tests.
    package static func inCluster(
        environment: [String: String], serviceAccountPath: String
    ) throws(KubernetesConfigError) -> Self {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty,
            let port = environment["KUBERNETES_SERVICE_PORT"], !port.isEmpty
        else {
            throw KubernetesConfigError(
                kind: .notInCluster,
                message: "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
        }
        let tokenPath = serviceAccountPath + "/token"
        guard FileManager.default.fileExists(atPath: tokenPath) else {
            throw KubernetesConfigError(
                kind: .notInCluster, message: "no service-account token at \(tokenPath)")
        }
        // Both files are optional: the system's trust and the default namespace stand in.
        let caPEM = try? String(contentsOfFile: serviceAccountPath + "/ca.crt", encoding: .utf8)
        let namespace = try? String(contentsOfFile: serviceAccountPath + "/namespace", encoding: .utf8)
        return KubernetesConfig(
            server: "https://\(host.contains(":") ? "[\(host)]" : host):\(port)", caPEM: caPEM,
            bearerTokenPath: tokenPath,
            namespace: namespace?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "default")
    }

    /// The configuration of a context in a kubeconfig.
    ///
    /// - Parameters:
    ///   - path: A file; `nil` takes the files named by `KUBECONFIG` (merged, first one wins), else
    ///     `~/.kube/config`, else the local cluster's.
    ///   - context: A context's name; `nil` takes the current one.
    public static func load(kubeconfig path: String?, context: String?) throws(KubernetesConfigError) -> Self
    {
        try load(kubeconfig: path, context: context, environment: ProcessInfo.processInfo.environment)
    }

    /// The same with an explicit environment, for tests.
    package static func load(
        kubeconfig path: String?, context: String?, environment: [String: String]
    ) throws(KubernetesConfigError) -> Self {
        let files = try candidateFiles(path: path, environment: environment)
        var merged = Kubeconfig()
        for file in files { merged.merge(try Kubeconfig(file: file)) }
        return try merged.resolve(context: context)
    }

    /// The context used without one being named, and the names of all; for completion and messages.
    public static func contexts(
        kubeconfig path: String?
    ) throws(KubernetesConfigError) -> (current: String?, all: [String]) {
        let files = try candidateFiles(path: path, environment: ProcessInfo.processInfo.environment)
        var merged = Kubeconfig()
        for file in files { merged.merge(try Kubeconfig(file: file)) }
        return (merged.currentContext, merged.contexts.map(\.name))
    }

    private static func candidateFiles(
        path: String?, environment: [String: String]
    ) throws(KubernetesConfigError) -> [String] {
        let manager = FileManager.default
        if let path {
            guard manager.fileExists(atPath: path) else {
                throw KubernetesConfigError(kind: .fileMissing, message: "no kubeconfig at \(path)")
            }
            return [path]
        }
        if let list = environment["KUBECONFIG"], !list.isEmpty {
            let files = list.split(separator: ":").map(String.init).filter { manager.fileExists(atPath: $0) }
            guard !files.isEmpty else {
                throw KubernetesConfigError(
                    kind: .fileMissing, message: "KUBECONFIG names no existing file: \(list)")
            }
            return files
        }
        let home = (environment["HOME"] ?? "/root") + "/.kube/config"
        for file in [home, localClusterPath] where manager.fileExists(atPath: file) { return [file] }
        throw KubernetesConfigError(
            kind: .fileMissing,
            message: "no kubeconfig: set KUBECONFIG, or create \(home) or \(localClusterPath)")
    }
}
