package import ArgumentParser
package import Logging
package import MeshKubernetes

/// Flags that every command takes which talks to a cluster.
package struct GlobalOptions: ParsableArguments {
    @Option(name: [.customShort("L"), .long], help: "Namespace in which Linkerd is installed [env: LINKERD_NAMESPACE].")
    package var linkerdNamespace: String?

    @Option(help: "Path to the kubeconfig file to use; by default kubectl's rules, then the local cluster's.")
    package var kubeconfig: String?

    @Option(help: "Name of the kubeconfig context to use.")
    package var context: String?

    @Flag(help: "Log debug messages to standard error.")
    package var verbose = false

    package init() {}

    /// The control plane's namespace: the flag, the environment, or `linkerd`.
    package func controlPlaneNamespace() throws -> String {
        let name = linkerdNamespace ?? CommandEnvironment.string("LINKERD_NAMESPACE") ?? "linkerd"
        guard !name.isEmpty, name.utf8.allSatisfy({ $0 == 0x2D || Self.isAlphanumeric($0) }) else {
            throw ValidationError("\(name) is not a valid namespace")
        }
        return name
    }

    /// How to reach the cluster that kubectl would reach.
    package func kubernetesConfig() throws -> KubernetesConfig {
        try KubernetesConfig.load(kubeconfig: kubeconfig, context: context)
    }

    /// A logger that stays silent unless asked.
    package var logger: Logger {
        var logger = Logger(label: "linkerd") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = verbose ? .debug : .critical
        return logger
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
