// Who is behind an address: the labels that events get. Pure: from one picture of the cluster.

import MeshKubernetes
package import MetricsAPI
import MeshRollup

/// Pods and nodes by their address.
package struct PodDirectory: Sendable {
    private let labels: [String: [String: String]]

    /// A node is known by the pods that run on it; its address is never a pod's, even if a pod on the host's network has it.
    /// Other addresses that several running pods share name nobody.
    package init(_ index: ClusterIndex) {
        var found: [String: [PodFacts]] = [:]
        for pod in index.pods where !pod.ip.isEmpty && (pod.phase == "Running" || pod.phase == "Pending") {
            found[pod.ip, default: []].append(pod)
        }
        var labels = found.compactMapValues { $0.count == 1 ? Self.labels($0[0]) : nil }
        for pod in index.pods {
            guard let ip = pod.pod.status?.hostIP, !ip.isEmpty, let node = pod.pod.spec?.nodeName else { continue }
            labels[ip] = ["node": node]
        }
        self.labels = labels
    }

    /// The pod's labels in the vocabulary of metrics, a node's name, or none for a stranger.
    package func labels(ip: String) -> [String: String] { labels[ip] ?? [:] }

    private static func labels(_ pod: PodFacts) -> [String: String] {
        var labels = ["pod": pod.name, "namespace": pod.namespace, "serviceaccount": pod.serviceAccount]
        let workload = pod.workload
        if workload.kind != "pod" { labels[workload.kind == "job" ? "k8s_job" : workload.kind] = workload.name }
        if !pod.controllerNamespace.isEmpty { labels["control_plane_ns"] = pod.controllerNamespace }
        if let hash = pod.labels["pod-template-hash"] { labels["pod_template_hash"] = hash }
        return labels
    }
}
