package import MeshKubernetes
package import MeshRollup

/// What viz needs to know of one pod.
package struct PodFacts: Sendable, Equatable {
    package var namespace: String
    package var name: String
    package var uid: String
    package var ip: String
    package var labels: [String: String]
    package var serviceAccount: String
    /// `Pending`, `Running`, `Succeeded`, `Failed` or empty.
    package var phase: String
    package var isTerminating: Bool
    /// Owners from the nearest to the root, such as replicaset, deployment; empty for a bare pod.
    package var owners: [WorkloadKey]
    /// Port of the proxy's admin server; `nil` when the pod has no container port of that name.
    package var adminPort: Int?
    /// Namespace of the control plane that injected it; empty when not meshed.
    package var controllerNamespace: String
    package var pod: Pod
    /// The status column as kubectl prints it. Found once, as the next one: every table of pods asks.
    package let statusText: String
    /// Why containers are not ready: regular ones first, then init containers.
    package let troubles: [ContainerTrouble]

    /// The name of the container port that proxies are found by.
    package static let adminPortName = "linkerd-admin"
    /// The label that says which control plane a pod belongs to.
    package static let controllerNamespaceLabel = "linkerd.io/control-plane-ns"

    /// Reads a pod; `owners` are resolved by the caller.
    package init(_ pod: Pod, owners: [WorkloadKey]) {
        namespace = pod.metadata.namespace ?? ""
        name = pod.metadata.name ?? ""
        uid = pod.metadata.uid ?? ""
        ip = pod.status?.podIP ?? ""
        labels = pod.metadata.labels ?? [:]
        serviceAccount = pod.spec?.serviceAccountName ?? "default"
        phase = pod.status?.phase ?? ""
        isTerminating = pod.metadata.deletionTimestamp != nil
        self.owners = owners
        let containers = (pod.spec?.containers ?? []) + (pod.spec?.initContainers ?? [])
        adminPort =
            containers.lazy.flatMap { $0.ports ?? [] }.first { $0.name == Self.adminPortName }?.containerPort
        // Control-plane pods carry the label too; without a proxy they are not meshed.
        let hasProxy = adminPort != nil || containers.contains { $0.name == "linkerd-proxy" }
        controllerNamespace = hasProxy ? pod.metadata.labels?[Self.controllerNamespaceLabel] ?? "" : ""
        self.pod = pod
        statusText = Self.statusText(pod, isTerminating: isTerminating, phase: phase)
        troubles = Self.troubles(pod)
    }

    /// What its traffic is counted under: the root of its owners, or the pod itself.
    package var workload: WorkloadKey {
        owners.last ?? WorkloadKey(namespace: namespace, kind: "pod", name: name)
    }

    /// Stable name of this life of the pod.
    package var cursorID: String { uid.isEmpty ? "\(namespace)/\(name)" : uid }

    /// Whether its proxy can be asked for metrics.
    package var isScrapable: Bool {
        adminPort != nil && !ip.isEmpty && phase != "Succeeded" && phase != "Failed"
    }

    /// Whether it counts as a pod of its owner: finished pods do not.
    package var isCounted: Bool { phase != "Succeeded" && !(isTerminating && phase == "Failed") }

    /// The identity its proxy asks for; empty when the proxy runs without one.
    package var identity: String {
        let proxy =
            (pod.spec?.containers ?? []).first { $0.name == "linkerd-proxy" }
            ?? pod.spec?.initContainers?.first { $0.name == "linkerd-proxy" }
        let template = proxy?.env?.first { $0.name == "LINKERD2_PROXY_IDENTITY_LOCAL_NAME" }?.value ?? ""
        return template.replacing("$(_pod_sa)", with: serviceAccount).replacing("$(_pod_ns)", with: namespace)
    }

    /// The phase, or why a container waits or ended.
    private static func statusText(_ pod: Pod, isTerminating: Bool, phase: String) -> String {
        if isTerminating { return "Terminating" }
        if pod.status?.reason == "Evicted" { return "Evicted" }
        let inits = pod.status?.initContainerStatuses ?? []
        for status in inits {
            if let ended = status.state?.terminated, ended.exitCode != 0 {
                return "Init:\(ended.reason ?? "ExitCode:\(ended.exitCode)")"
            }
            if let reason = status.state?.waiting?.reason, reason != "PodInitializing" {
                return "Init:\(reason)"
            }
        }
        for status in (pod.status?.containerStatuses ?? []).reversed() {
            if let reason = status.state?.waiting?.reason, !reason.isEmpty { return reason }
            if let ended = status.state?.terminated {
                return ended.reason ?? "ExitCode:\(ended.exitCode)"
            }
        }
        return phase
    }

    /// One container that is not ready, with its reason.
    package struct ContainerTrouble: Sendable, Equatable {
        package let container: String
        package let image: String
        package let reason: String
        package let message: String
    }

    private static func troubles(_ pod: Pod) -> [ContainerTrouble] {
        let statuses = (pod.status?.containerStatuses ?? []) + (pod.status?.initContainerStatuses ?? [])
        return statuses.filter { $0.ready != true }.flatMap { status in
            var troubles: [ContainerTrouble] = []
            func add(_ reason: String?, _ message: String?) {
                troubles.append(
                    ContainerTrouble(
                        container: status.name, image: status.image ?? "", reason: reason ?? "",
                        message: message ?? ""))
            }
            if let waiting = status.state?.waiting { add(waiting.reason, waiting.message) }
            if let ended = status.state?.terminated, ended.exitCode != 0 || (ended.signal ?? 0) != 0 {
                add(ended.reason, ended.message)
            }
            if let waiting = status.lastState?.waiting { add(waiting.reason, waiting.message) }
            if let ended = status.lastState?.terminated { add(ended.reason, ended.message) }
            return troubles
        }
    }

    /// Readiness and version of the proxy's container; `nil` version when there is none.
    package var proxy: (isReady: Bool, version: String) {
        let statuses = (pod.status?.containerStatuses ?? []) + (pod.status?.initContainerStatuses ?? [])
        let isReady = statuses.first { $0.name == "linkerd-proxy" }?.ready ?? false
        let image =
            (pod.spec?.containers ?? []).first { $0.name == "linkerd-proxy" }?.image
            ?? pod.spec?.initContainers?.first { $0.name == "linkerd-proxy" }?.image ?? ""
        let tail = image.split(separator: "/").last ?? ""
        return (isReady, tail.firstIndex(of: ":").map { String(tail[tail.index(after: $0)...]) } ?? "")
    }
}
