package import ArgumentParser

/// Flags that every viz command takes.
package struct VizOptions: ParsableArguments {
    @Option(help: "Reach metrics-api at this host:port instead of through the Kubernetes API.")
    package var apiAddr: String?

    @Option(help: "Namespace of the viz extension; found by its label by default.")
    package var vizNamespace: String?

    package init() {}
}
