// What discovery needs to know of a pod, taken once when the pod changes. Status updates that change
// none of it (conditions, restarts, probes) therefore wake no stream.

package import MeshKubernetes

/// A pod, reduced to what its peers need.
package struct PodFacts: Equatable, Sendable {
    /// A port that a container declares.
    struct Port: Equatable, Sendable {
        let number: Int
        let name: String?
        let hostPort: Int?
    }

    /// Who made a pod, a replica set or a job.
    struct Owner: Equatable, Sendable {
        let kind: String
        let name: String
    }

    let key: ObjectKey
    let uid: String
    let serviceAccount: String
    /// The only owner; `nil` without one or with several.
    let owner: Owner?
    let podTemplateHash: String?
    /// Namespace of the control plane that a meshed pod belongs to; `nil` when the pod runs no proxy.
    let controlPlaneNamespace: String?
    let inboundPort: Int
    /// Ports of the proxy itself, never of the application.
    let proxyPorts: Set<Int>
    /// `nil` when the pod does not say.
    let opaquePorts: PortList?
    let skipInboundPorts: PortList
    let ports: [Port]
    let addresses: [IPAddress]
    let hostAddresses: [IPAddress]
    let isHostNetwork: Bool
    let isRunning: Bool

    var isMeshed: Bool { controlPlaneNamespace != nil }

    package init(_ pod: Pod) {
        let annotations = pod.metadata.annotations ?? [:]
        let labels = pod.metadata.labels ?? [:]
        let containers = (pod.spec?.containers ?? []) + (pod.spec?.initContainers ?? [])
        let proxy = containers.first { $0.name == MeshKey.proxyContainer }
        key = pod.key
        uid = pod.metadata.uid ?? ""
        serviceAccount = pod.spec?.serviceAccountName ?? pod.spec?.serviceAccount ?? "default"
        owner = Self.onlyOwner(pod.metadata)
        podTemplateHash = labels[MeshKey.podTemplateHash]
        // The label alone is not enough: components of the control plane carry it and may run unmeshed.
        let meshNamespace = labels[MeshKey.controlPlaneNamespace] ?? ""
        controlPlaneNamespace = proxy == nil || meshNamespace.isEmpty ? nil : meshNamespace
        inboundPort = Self.port(of: MeshKey.inboundListenAddress, in: proxy) ?? 4_143
        proxyPorts = Set(
            [MeshKey.adminListenAddress, MeshKey.controlListenAddress].compactMap {
                Self.port(of: $0, in: proxy)
            })
        opaquePorts = annotations[MeshKey.opaquePorts].map(PortList.init(parsing:))
        skipInboundPorts = PortList(parsing: annotations[MeshKey.skipInboundPorts] ?? "")
        ports = containers.flatMap { $0.ports ?? [] }.filter { ($0.protocol ?? "TCP") == "TCP" }.map {
            Port(number: $0.containerPort, name: $0.name, hostPort: $0.hostPort)
        }
        let status = pod.status
        addresses = Self.addresses(status?.podIP, status?.podIPs)
        hostAddresses = Self.addresses(status?.hostIP, status?.hostIPs)
        isHostNetwork = pod.spec?.hostNetwork ?? false
        isRunning = status?.phase == "Running"
    }

    /// The owner of an object, `nil` unless there is exactly one.
    static func onlyOwner(_ metadata: ObjectMeta) -> Owner? {
        guard let owners = metadata.ownerReferences, owners.count == 1, let owner = owners.first else {
            return nil
        }
        return Owner(kind: owner.kind, name: owner.name)
    }

    private static func addresses(_ first: String?, _ all: [PodIP]?) -> [IPAddress] {
        var addresses: [IPAddress] = []
        for text in [first] + (all ?? []).map(\.ip) {
            guard let text, let address = IPAddress(text), !addresses.contains(address) else { continue }
            addresses.append(address)
        }
        return addresses
    }

    /// The port at the end of an address in the proxy's environment.
    private static func port(of variable: String, in proxy: Container?) -> Int? {
        guard let text = proxy?.env?.first(where: { $0.name == variable })?.value,
            let colon = text.lastIndex(of: ":")
        else { return nil }
        return Int(text[text.index(after: colon)...]).flatMap { (1...65_535).contains($0) ? $0 : nil }
    }

    /// The names that the pod's containers give a port.
    func names(of port: Int) -> [String] { ports.filter { $0.number == port }.compactMap(\.name) }
}

/// A pod together with what other objects say about it.
package struct ResolvedPod: Equatable, Sendable {
    let facts: PodFacts
    /// The workload at the top of the chain of owners; `nil` for a pod of its own.
    let workload: PodFacts.Owner?
    /// Opaque ports of the namespace, for pods that do not say.
    let namespaceOpaquePorts: PortList?

    /// Labels that name this pod and its workload in metrics.
    func metricLabels(zone: String?) -> [String: String] {
        var labels = ["pod": facts.key.name, "serviceaccount": facts.serviceAccount]
        if let workload { labels[Self.label(ofKind: workload.kind)] = workload.name }
        if let namespace = facts.controlPlaneNamespace { labels["control_plane_ns"] = namespace }
        if let hash = facts.podTemplateHash { labels["pod_template_hash"] = hash }
        if let zone, !zone.isEmpty { labels["zone"] = zone }
        return labels
    }

    /// The label under which metrics name a workload; jobs are `k8s_job`, since Prometheus sets `job` itself.
    private static func label(ofKind kind: String) -> String {
        kind == "Job" ? "k8s_job" : kind.lowercased()
    }

    /// Whether the protocol of a port must not be detected.
    func isOpaque(port: Int, default defaultPorts: PortList) -> Bool {
        (facts.opaquePorts ?? namespaceOpaquePorts ?? defaultPorts).contains(
            port, names: facts.names(of: port))
    }
}
