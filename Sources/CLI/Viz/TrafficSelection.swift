package import ArgumentParser
import MeshKubernetes

/// Whose traffic `stat` and `compare` are about, and where it comes from or goes to.
package struct TrafficSelection: ParsableArguments {
    @Option(name: .shortAndLong, help: "Namespace of the resource; the context's by default.")
    package var namespace: String?

    @Flag(name: [.customShort("A"), .long], help: "Resources of all namespaces.")
    package var allNamespaces = false

    @Option(help: "Only traffic to this resource: TYPE or TYPE/NAME.")
    package var to = ""

    @Option(help: "Namespace of the resource of --to; the selected one by default.")
    package var toNamespace = ""

    @Option(help: "Only traffic from this resource: TYPE or TYPE/NAME.")
    package var from = ""

    @Option(help: "Namespace of the resource of --from; the selected one by default.")
    package var fromNamespace = ""

    @Option(name: [.customShort("l"), .long], help: "Label selector, as kubectl's.")
    package var selector = ""

    package init() {}

    /// What was selected, with the namespace of the context.
    func options(_ global: GlobalOptions) -> StatOptions {
        var options = StatOptions()
        // A missing kubeconfig is reported when connecting; here it only means there is no context.
        if let config = try? global.kubernetesConfig() { options.contextNamespace = config.namespace }
        (options.namespace, options.allNamespaces, options.selector) = (namespace, allNamespaces, selector)
        (options.to, options.toNamespace, options.from, options.fromNamespace) = (to, toNamespace, from, fromNamespace)
        return options
    }
}
