// Who is behind an address: the labels that events get. Pure: from one picture of the cluster.

package import MetricsAPI
import MeshRollup

/// Pods by their address.
package struct PodDirectory: Sendable {
    private let labels: [String: [String: String]]

    /// Addresses that several running pods share (the host's network) name nobody.
    package init(_ index: ClusterIndex) {
        var found: [String: [PodFacts]] = [:]
        for pod in index.pods where !pod.ip.isEmpty && (pod.phase == "Running" || pod.phase == "Pending") {
            found[pod.ip, default: []].append(pod)
        }
        labels = found.compactMapValues { $0.count == 1 ? Self.labels($0[0]) : nil }
    }

    /// The pod's labels in the vocabulary of metrics; none for a stranger.
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
