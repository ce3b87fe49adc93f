package import ArgumentParser
import MeshKubernetes
import MeshModel
import Yams

/// `linkerd version`: the client's version and the installed control plane's.
package struct VersionCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Print the client and server version information.")

    @OptionGroup var global: GlobalOptions

    @Flag(help: "Print the version numbers only, with no additional information.")
    var short = false

    @Flag(help: "Print the client version only.")
    var client = false

    @Flag(help: "Print the versions of the proxies too.")
    var proxy = false

    @Option(name: .shortAndLong, help: "Namespace of the proxies; all by default.")
    var namespace: String?

    package init() {}

    package func run() async throws {
        Terminal.write((short ? "" : "Client version: ") + BuildVersion.current + "\n")
        if client { return }
        let linkerd = try global.controlPlaneNamespace()
        let kubernetes = Self.client(global)
        let server = await Self.serverVersion(kubernetes, namespace: linkerd) ?? "unavailable"
        Terminal.write((short ? "" : "Server version: ") + server + "\n")
        if proxy { Terminal.write(await proxyVersions(kubernetes, linkerd: linkerd)) }
        await kubernetes?.shutdown()
    }

    /// `nil` when no cluster can be configured: version still prints the client's.
    private static func client(_ global: GlobalOptions) -> KubernetesClient? {
        guard let config = try? global.kubernetesConfig() else { return nil }  // Reported as "unavailable".
        return try? KubernetesClient(config: config, logger: global.logger)  // Likewise.
    }

    /// The version that the control plane's ConfigMap `linkerd-config` names.
    static func serverVersion(_ client: KubernetesClient?, namespace: String) async -> String? {
        // Any failure means the same to the user: no version can be had.
        guard let config = try? await client?.get(ConfigMap.self, namespace: namespace, name: "linkerd-config"),
            let values = config.data?["values"], let tree = try? Yams.load(yaml: values) as? [String: Any]
        else { return nil }
        return tree["linkerdVersion"] as? String
    }

    private func proxyVersions(_ client: KubernetesClient?, linkerd: String) async -> String {
        // Any failure means the same to the user: no version can be had.
        guard
            let pods = try? await client?.list(
                Pod.self, namespace: namespace, labelSelector: "linkerd.io/control-plane-ns=\(linkerd)")
        else { return "Proxy versions: unavailable\n" }
        let versions = pods.items.compactMap { $0.metadata.annotations?["linkerd.io/proxy-version"] }
        let counts = Dictionary(grouping: versions, by: { $0 }).mapValues(\.count).sorted { $0.key < $1.key }
        if counts.isEmpty { return "Proxy versions: unavailable\n" }
        return "Proxy versions:\n" + counts.map { "\t\($0.key) (\($0.value) pods)\n" }.joined()
    }
}
