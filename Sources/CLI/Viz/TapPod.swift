import Foundation
import Logging
import MeshKubernetes
import MeshWebSocket

/// Finds the tap service's pod, and leads a local port to it.
enum TapPod {
    /// A ready pod of the extension's tap component.
    ///
    /// - Parameter namespace: of the extension; found by its label when `nil`.
    /// - Throws: `ArgumentMistake` with words for the user; the API server's refusal.
    static func find(_ client: KubernetesClient, namespace: String?) async throws -> ObjectKey {
        var found = namespace
        if found == nil {
            let namespaces = try await client.list(Namespace.self, labelSelector: "linkerd.io/extension=viz")
            found = namespaces.items.first?.metadata.name
        }
        guard let viz = found else {
            throw ArgumentMistake("namespace with label \"linkerd.io/extension: viz\" not found")
        }
        let pods = try await client.list(Pod.self, namespace: viz, labelSelector: "component=tap")
        let ready = pods.items.first { pod in
            pod.metadata.deletionTimestamp == nil
                && pod.status?.conditions?.contains { $0.type == "Ready" && $0.status == "True" } ?? false
        }
        guard let ready else { throw ArgumentMistake("no tap pod is ready in namespace \"\(viz)\"") }
        return ObjectKey(namespace: viz, name: ready.metadata.name ?? "")
    }

    /// Opens a local port that leads to the pod's.
    static func forward(
        config: KubernetesConfig, pod: ObjectKey, port: Int, logger: Logger
    ) async throws -> PortForwarder {
        let server = WebSocketServerAddress(
            url: config.server, caPEM: config.caPEM, clientCertificatePEM: config.clientCertificatePEM,
            clientKeyPEM: config.clientKeyPEM, bearerToken: bearerToken(config),
            skipsTLSVerification: config.insecureSkipTLSVerify)
        return try await PortForwarder.listen(
            server: server, localPort: 0, namespace: pod.namespace, pod: pod.name, port: port, logger: logger)
    }

    /// The token file's text where there is one: it may be newer than what the configuration quotes.
    static func bearerToken(_ config: KubernetesConfig) -> String? {
        guard let path = config.bearerTokenPath else { return config.bearerToken }
        // Unreadable means unauthenticated, which the API server answers in words.
        let text = try? String(contentsOfFile: path, encoding: .utf8)
        return text?.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
