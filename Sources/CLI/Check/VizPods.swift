package import MeshKubernetes

/// What `viz check` says about the extension's pods. Pure.
package struct VizPods: Sendable {
    /// The programs that viz consists of, as their pods are labelled.
    package static let components = ["web", "tap", "metrics-api", "tap-injector"]
    private static let proxy = "linkerd-proxy"

    private let pods: [Pod]

    /// Pods that ended, or are about to, say nothing about those in their place.
    package init(_ pods: [Pod]) {
        self.pods = pods.filter { pod in
            pod.metadata.deletionTimestamp == nil && !["Succeeded", "Failed"].contains(pod.status?.phase ?? "")
        }
    }

    /// - Throws: the pods without a proxy.
    package func expectInjected() throws {
        try HealthProblem.throwing(
            "pods without a proxy; see why with kubectl describe, and restart them:",
            about: pods.filter { !Self.isInjected($0) }.map(Self.name))
    }

    /// - Throws: the components of which no pod is ready, or what each pod waits for.
    package func expectRunning() throws {
        let missing = Self.components.filter { component in
            !pods.contains { $0.metadata.labels?["component"] == component && $0.status?.phase == "Running" }
        }
        try HealthProblem.throwing("no pod is running of:", about: missing)
        try expectReady { $0 != Self.proxy }
    }

    /// - Throws: the pods whose proxy is not ready.
    package func expectHealthyProxies() throws { try expectReady { $0 == Self.proxy } }

    /// - Throws: the pods whose proxy has another version than `expected`.
    package func expectProxies(of expected: String, as heading: String) throws {
        let others = pods.filter(Self.isInjected).compactMap { pod -> String? in
            let version = pod.metadata.annotations?["linkerd.io/proxy-version"] ?? "unknown"
            return version == expected ? nil : "\(Self.name(pod)) (\(version))"
        }
        try HealthProblem.throwing(heading, about: others)
    }

    private func expectReady(_ isMeant: (String) -> Bool) throws {
        var waiting: [String] = []
        for pod in pods {
            let statuses = (pod.status?.containerStatuses ?? []) + (pod.status?.initContainerStatuses ?? [])
            for status in statuses where isMeant(status.name) && status.name != "linkerd-init" && status.ready != true {
                let reason = status.state?.waiting?.reason ?? status.state?.terminated?.reason
                waiting.append("\(Self.name(pod)): container \(status.name)\(reason.map { ", \($0)" } ?? "")")
            }
        }
        try HealthProblem.throwing("not ready:", about: waiting)
    }

    private static func isInjected(_ pod: Pod) -> Bool {
        ((pod.spec?.containers ?? []) + (pod.spec?.initContainers ?? [])).contains { $0.name == proxy }
    }

    private static func name(_ pod: Pod) -> String { pod.metadata.name ?? "" }
}
