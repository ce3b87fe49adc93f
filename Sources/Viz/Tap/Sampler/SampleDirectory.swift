// Who is behind an address, as rollups name it. Pure: from one picture of the cluster.

package import MeshRollup
package import MetricsAPI

/// Workloads and pods by address.
package struct SampleDirectory: Sendable {
    /// One end of a request.
    package struct End: Sendable, Equatable {
        package var workload: WorkloadKey
        /// Empty when not known.
        package var pod: String
    }

    private let ends: [String: End]

    /// Addresses that several running pods share (the host's network) name nobody.
    package init(_ index: ClusterIndex) {
        var found: [String: [PodFacts]] = [:]
        for pod in index.pods where !pod.ip.isEmpty && (pod.phase == "Running" || pod.phase == "Pending") {
            found[pod.ip, default: []].append(pod)
        }
        ends = found.compactMapValues { pods in
            pods.count == 1 ? End(workload: pods[0].workload, pod: pods[0].name) : nil
        }
    }

    /// Who has the address; nobody known for a stranger.
    package func end(ip: String) -> End { ends[ip] ?? End(workload: .unknown, pod: "") }
}
