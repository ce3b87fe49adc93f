import MeshKubernetes
import MeshModel

/// Keeps the EndpointSlices of every Service that selects pods. Unlike Endpoints they also list pods that are
/// being deleted, with the conditions `serving` and `terminating`.
package enum EndpointSlicePlan {
    /// Endpoints in one slice, as in Kubernetes.
    static let endpointsMax = 100
    private static let serviceKey = "kubernetes.io/service-name"
    private static let managedKey = "endpointslice.kubernetes.io/managed-by"
    private static let manager = "endpointslice-controller.k8s.io"
    private static let headlessKey = "service.kubernetes.io/headless"

    /// What to do now.
    package static func plan(_ state: ClusterState) -> [Action] {
        let ours = state.all(.endpointSlices).filter { $0.labels[managedKey] == manager && !$0.isTerminating }
        let byService = Dictionary(grouping: ours) {
            ObjectKey(namespace: $0.namespace, name: $0.labels[serviceKey] ?? "")
        }
        let updates = state.all(.services).filter { !$0.isTerminating }.compactMap {
            ServiceBackends($0, state)
        }
        .flatMap { plan($0, existing: byService[$0.service.key] ?? []) }
        let leftovers = byService.filter { state[.services, $0.key] == nil }.sorted { $0.key < $1.key }
        return updates
            + leftovers.flatMap {
                $0.value.map { .delete(.endpointSlices, $0.key, uid: $0.uid, graceSeconds: nil) }
            }
    }

    private static func plan(_ backends: ServiceBackends, existing: [JSONValue]) -> [Action] {
        let wanted = slices(backends)
        let present = Dictionary(existing.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let names = Set(wanted.map(\.name))
        let changes = wanted.compactMap { slice -> Action? in
            guard let current = present[slice.name] else { return .create(.endpointSlices, slice) }
            let fields = ["endpoints", "ports"].filter { current[$0] ?? [] != slice[$0] ?? [] }
            if fields.isEmpty, current.labels == slice.labels { return nil }
            var labels = JSONValue(slice.labels)
            for key in current.labels.keys where slice.labels[key] == nil { labels[key] = .null }
            return .patch(
                .endpointSlices, slice.key, subresource: nil,
                [
                    "metadata": ["labels": labels], "endpoints": slice["endpoints"] ?? [],
                    "ports": slice["ports"] ?? [],
                ])
        }
        let surplus = existing.filter { !names.contains($0.name) }
        return changes + surplus.map { .delete(.endpointSlices, $0.key, uid: $0.uid, graceSeconds: nil) }
    }

    private static func slices(_ all: ServiceBackends) -> [JSONValue] {
        let hasPorts = !(all.service.value(at: ["spec", "ports"])?.arrayValue ?? []).isEmpty
        let groups = all.byPorts(all.backends.filter { !$0.ports.isEmpty || !hasPorts })
        let slices = groups.flatMap { ports, backends in
            stride(from: 0, to: backends.count, by: endpointsMax).map { start in
                slice(
                    all, ports, backends[start..<min(start + endpointsMax, backends.count)],
                    part: start / endpointsMax)
            }
        }
        // A service without pods has one empty slice, so that its watchers learn that it has none.
        return slices.isEmpty ? [slice(all, [], [], part: 0)] : slices
    }

    private static func slice(
        _ all: ServiceBackends, _ ports: [BackendPort], _ backends: ArraySlice<Backend>, part: Int
    ) -> JSONValue {
        let service = all.service
        var labels = service.labels
        labels[serviceKey] = service.name
        labels[managedKey] = manager
        if all.isHeadless { labels[headlessKey] = "" }
        let identity =
            ports.map { "\($0.name)/\($0.number)/\($0.transport)" }.joined(separator: ",") + "#\(part)"
        let suffix = TemplateHash.text(of: identity.utf8).suffix(5)
        return [
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": [
                "name": .string("\(service.name)-\(suffix)"), "namespace": .string(service.namespace),
                "labels": JSONValue(labels),
                "ownerReferences": [PodMaker.reference(to: service, kind: .services)],
            ],
            "endpoints": .array(backends.map { endpoint($0, all) }),
            "ports": .array(ports.map { $0.json(alwaysNamed: true) }),
        ]
    }

    private static func endpoint(_ backend: Backend, _ all: ServiceBackends) -> JSONValue {
        let isReady = all.publishesNotReady || (backend.isServing && !backend.isTerminating)
        var endpoint: JSONValue = [
            "addresses": [.string(backend.address)],
            "conditions": [
                "ready": .bool(isReady), "serving": .bool(backend.isServing || all.publishesNotReady),
                "terminating": .bool(backend.isTerminating),
            ],
            "targetRef": backend.reference,
        ]
        if let node = backend.nodeName { endpoint["nodeName"] = .string(node) }
        if let hostname = backend.hostname(under: all.service.name) {
            endpoint["hostname"] = .string(hostname)
        }
        return endpoint
    }
}
