package import ArgumentParser
package import MeshKubernetes

/// `linkerd viz list`: which meshed pods can be tapped.
package struct ListCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List which pods have tap enabled.",
        discussion: "Example: linkerd viz list -n emojivoto")

    @OptionGroup var global: GlobalOptions

    @Option(name: .shortAndLong, help: "Namespace of the pods; the context's by default.")
    var namespace: String?

    @Flag(name: [.customShort("A"), .long], help: "Pods of all namespaces.")
    var allNamespaces = false

    package init() {}

    package func run() async throws {
        let controlPlane = try global.controlPlaneNamespace()
        let pods: [Pod]
        let namespaces: [Namespace]
        do {
            let config = try global.kubernetesConfig()
            let client = try KubernetesClient(config: config, logger: global.logger)
            defer { Task { await client.shutdown() } }
            let own = allNamespaces ? nil : namespace ?? config.namespace
            let selector = "linkerd.io/control-plane-ns=\(controlPlane)"
            pods = try await client.list(Pod.self, namespace: own, labelSelector: selector).items
            namespaces = try await client.list(Namespace.self).items
        } catch {
            Terminal.say("Cannot connect to Kubernetes: \(error)")
            throw ExitCode(1)
        }
        Terminal.write(TapReport(pods: pods, namespaces: namespaces).rendered())
    }
}

/// Sorts meshed pods by whether they can be tapped. Pure.
package struct TapReport: Sendable {
    private var enabled: [String] = []
    private var disabled: [String] = []
    private var missing: [String] = []

    /// - Parameter pods: Meshed ones; those whose proxy has not been injected are left out.
    package init(pods: [Pod], namespaces: [Namespace]) {
        let disabledNamespaces = Set(
            namespaces.filter { Self.isDisabled($0.metadata) }.map { $0.metadata.name ?? "" })
        for pod in pods.sorted(by: { ($0.key.namespace, $0.key.name) < ($1.key.namespace, $1.key.name) }) {
            let containers = (pod.spec?.containers ?? []) + (pod.spec?.initContainers ?? [])
            guard let proxy = containers.first(where: { $0.name == "linkerd-proxy" }) else { continue }
            let name = "\(pod.key.namespace)/\(pod.key.name)"
            let isNamed = proxy.env?.contains { $0.name == "LINKERD2_PROXY_TAP_SVC_NAME" } ?? false
            if isNamed || pod.metadata.annotations?["viz.linkerd.io/tap-enabled"] == "true" {
                enabled.append(name)
            } else if Self.isDisabled(pod.metadata) || disabledNamespaces.contains(pod.key.namespace) {
                disabled.append(name)
            } else {
                missing.append(name)
            }
        }
    }

    /// The spellings of true that Go's `strconv.ParseBool` knows.
    private static func isDisabled(_ metadata: ObjectMeta) -> Bool {
        ["1", "t", "T", "true", "TRUE", "True"].contains(metadata.annotations?["viz.linkerd.io/disable-tap"] ?? "")
    }

    /// The text for standard output.
    package func rendered() -> String {
        let groups = [
            ("Pods with tap enabled:", enabled), ("Pods with tap disabled:", disabled),
            ("Pods missing tap configuration (restart these pods to enable tap):", missing),
        ].filter { !$0.1.isEmpty }
        if groups.isEmpty { return "No meshed pods found\n" }
        return groups.map { heading, names in
            ([heading] + names.map { "\t* \($0)" }).joined(separator: "\n") + "\n"
        }.joined()
    }
}
