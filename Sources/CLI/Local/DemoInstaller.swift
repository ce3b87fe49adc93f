import Foundation
import Injector
import MeshKubernetes
import MeshModel

/// Installs Linkerd, viz and the meshed demo the way a user would: manifests, injected, applied.
struct DemoInstaller {
    /// Between two looks at the workloads.
    static let pollInterval: Duration = .milliseconds(500)
    /// How long the demo waits for the webhook that enables taps.
    private static let tapWait: Duration = .seconds(90)
    /// Sorts before all other templates, and must be applied before them.
    private static let namespaceFile = "00-namespace"

    let client: KubernetesClient
    let deployDirectory: String
    let say: (String) -> Void

    /// Applies the manifests in order.
    func install() async throws {
        let applier = ManifestApplier(client: client)
        var values = InjectionValues()
        for chart in ["linkerd-crds", "linkerd-control-plane", "linkerd-viz"] {
            say("installing \(chart)")
            let directory = "\(deployDirectory)/charts/\(chart)/templates"
            let valuesFile = "\(deployDirectory)/charts/\(chart)/values.yaml"
            let templates = try ChartText(
                values: FileManager.default.fileExists(atPath: valuesFile) ? text(valuesFile) : "")
            for name in try FileManager.default.contentsOfDirectory(atPath: directory).sorted() {
                guard name.hasSuffix(".yaml") else { continue }
                if name.hasPrefix(Self.namespaceFile) {
                    try await applier.apply(yaml: try templates.render(try text("\(directory)/\(name)")))
                    guard values.trustAnchorsPEM == nil else { continue }
                    let credentials = MeshCredentials(client: client, namespace: values.controlPlaneNamespace)
                    values.trustAnchorsPEM = try await credentials.ensure(trustDomain: values.trustDomain, now: .now)
                } else {
                    // The controllers are meshed as everything else: what they are asked is encrypted and counted.
                    try await apply(try templates.render(try text("\(directory)/\(name)")), applier, values)
                }
            }
        }
        try await waitForTaps()
        say("installing emojivoto, meshed")
        try await apply(try text("\(deployDirectory)/examples/emojivoto.yaml"), applier, values)
    }

    private func apply(_ yaml: String, _ applier: ManifestApplier, _ values: InjectionValues) async throws {
        try await applier.apply(yaml: try ProxyInjection(values: values).injectYAML(yaml).yaml)
    }

    private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    /// Waits for the webhook that the demo's pods must pass, so that they can be tapped. Without it they run all the
    /// same.
    private func waitForTaps() async throws {
        let deadline = ContinuousClock.now + Self.tapWait
        while ContinuousClock.now < deadline {
            let injector = try await deployments().first { $0.key.name == "tap-injector" }
            if injector.map({ ($0.status?.readyReplicas ?? 0) > 0 }) ?? true { return }
            try await Task.sleep(for: Self.pollInterval)
        }
        say("the tap injector is not ready; restart the demo's pods when it is, to tap them")
    }

    /// Waits for every Deployment of the three namespaces, saying when one becomes ready.
    func waitUntilReady(within timeout: Duration) async throws {
        let clock = ContinuousClock()
        let deadline = clock.now + timeout
        var said: [ObjectKey: String] = [:]
        while true {
            var waiting: [String] = []
            for deployment in try await deployments() {
                let wanted = deployment.spec?.replicas ?? 1
                let isObserved =
                    (deployment.status?.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
                let ready = isObserved ? deployment.status?.readyReplicas ?? 0 : 0
                let text = "\(deployment.key): \(ready)/\(wanted) ready"
                if ready < wanted { waiting.append(text) }
                if said[deployment.key] != text { say(text) }
                said[deployment.key] = text
            }
            if waiting.isEmpty { return }
            guard clock.now < deadline else {
                throw ArgumentMistake(
                    "not ready in time: \(waiting.joined(separator: ", ")); see kubectl describe pods")
            }
            try await Task.sleep(for: Self.pollInterval)
        }
    }

    private func deployments() async throws -> [Deployment] {
        var all: [Deployment] = []
        for namespace in ["linkerd", "linkerd-viz", "emojivoto"] {
            all += try await client.list(Deployment.self, namespace: namespace).items
        }
        return all.sorted { $0.key < $1.key }
    }

    /// A duration as flags take it.
    static func duration(_ text: String) throws -> Duration {
        guard let duration = GoDuration.parse(text) else {
            throw ArgumentMistake("\"\(text)\" is no duration; write it like 90s or 5m")
        }
        return duration
    }
}
