package import ArgumentParser
import Injector
package import MeshModel

/// `linkerd viz allow-scrapes`: policy under which metrics can be read from the proxies of a namespace.
package struct AllowScrapesCommand: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "allow-scrapes",
        abstract: "Print policy resources that let metrics be scraped from the proxies of a namespace.",
        discussion: "Example: linkerd viz allow-scrapes -n emojivoto | kubectl apply -f -")

    @Option(name: .shortAndLong, help: "Namespace whose proxies may be scraped.")
    var namespace: String

    @Option(name: .shortAndLong, help: "Output format: yaml or json.")
    var output = "yaml"

    @Option(help: "Namespace of the viz extension.")
    var vizNamespace = "linkerd-viz"

    package init() {}

    package func run() throws {
        guard ["yaml", "json"].contains(output) else {
            Terminal.say("--output supports yaml and json")
            throw ExitCode(1)
        }
        let documents = ScrapePolicy(namespace: namespace, vizNamespace: vizNamespace).documents
        Terminal.write(
            output == "json"
                ? documents.map { $0.jsonText + "\n" }.joined()
                : documents.map { "---\n" + YAMLText.render($0) }.joined())
    }
}

/// The policy resources. Pure.
package struct ScrapePolicy: Sendable {
    private let namespace: String
    private let vizNamespace: String

    package init(namespace: String, vizNamespace: String) {
        self.namespace = namespace
        self.vizNamespace = vizNamespace
    }

    /// A server for the admin ports, its routes, and who may use them: viz's scrapers, and the kubelet for probes.
    package var documents: [JSONValue] {
        [
            object(
                "policy.linkerd.io/v1beta3", "Server", "proxy-admin",
                [
                    "podSelector": [
                        "matchExpressions": [["key": "linkerd.io/control-plane-ns", "operator": "Exists"]]
                    ],
                    "port": "linkerd-admin", "proxyProtocol": "HTTP/1",
                ]),
            route("proxy-metrics", ["/metrics"]),
            route("proxy-probes", ["/live", "/ready"]),
            // A bundled Prometheus scrapes as itself; our metrics-api scrapes without one.
            policy("prometheus-scrape", "proxy-metrics", serviceAccount("prometheus")),
            policy("metrics-api-scrape", "proxy-metrics", serviceAccount("metrics-api")),
            policy(
                "proxy-probes", "proxy-probes",
                ["kind": "NetworkAuthentication", "group": "policy.linkerd.io", "name": "kubelet",
                 "namespace": .string(vizNamespace)]),
        ]
    }

    private func serviceAccount(_ name: String) -> JSONValue {
        ["kind": "ServiceAccount", "name": .string(name), "namespace": .string(vizNamespace)]
    }

    private func route(_ name: String, _ paths: [String]) -> JSONValue {
        let matches = paths.map { path -> JSONValue in ["path": ["value": .string(path)], "method": "GET"] }
        return object(
            "policy.linkerd.io/v1beta3", "HTTPRoute", name,
            [
                "parentRefs": [["group": "policy.linkerd.io", "kind": "Server", "name": "proxy-admin"]],
                "rules": [["matches": .array(matches)]],
            ])
    }

    private func policy(_ name: String, _ route: String, _ authentication: JSONValue) -> JSONValue {
        object(
            "policy.linkerd.io/v1alpha1", "AuthorizationPolicy", name,
            [
                "targetRef": ["group": "policy.linkerd.io", "kind": "HTTPRoute", "name": .string(route)],
                "requiredAuthenticationRefs": [authentication],
            ])
    }

    private func object(_ version: String, _ kind: String, _ name: String, _ spec: JSONValue) -> JSONValue {
        [
            "apiVersion": .string(version), "kind": .string(kind),
            "metadata": [
                "name": .string(name), "namespace": .string(namespace),
                "labels": ["linkerd.io/extension": "viz"],
                "annotations": ["linkerd.io/created-by": .string("linkerd/cli \(BuildVersion.current)")],
            ],
            "spec": spec,
        ]
    }
}
