import MeshKubernetes
import MeshModel

/// Keeps one Endpoints object beside every Service that selects pods.
package enum EndpointsPlan {
    private static let managedKey = "endpoints.kubernetes.io/managed-by"
    private static let manager = "endpoint-controller"
    private static let headlessKey = "service.kubernetes.io/headless"

    /// What to do now.
    package static func plan(_ state: ClusterState) -> [Action] {
        let updates = state.all(.services).filter { !$0.isTerminating }
            .compactMap { ServiceBackends($0, state) }.flatMap { plan($0, state) }
        let leftovers = state.all(.endpoints).filter { endpoints in
            endpoints.labels[managedKey] == manager && state[.services, endpoints.key] == nil
        }
        return updates + leftovers.map { .delete(.endpoints, $0.key, uid: $0.uid, graceSeconds: nil) }
    }

    private static func plan(_ backends: ServiceBackends, _ state: ClusterState) -> [Action] {
        let service = backends.service
        var labels = service.labels
        labels[managedKey] = manager
        if backends.isHeadless { labels[headlessKey] = "" }
        let subsets = JSONValue.array(subsets(backends))
        guard let current = state[.endpoints, service.key] else {
            let metadata: JSONValue = [
                "name": .string(service.name), "namespace": .string(service.namespace),
                "labels": JSONValue(labels),
            ]
            return [
                .create(
                    .endpoints,
                    ["apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets])
            ]
        }
        if current["subsets"] ?? [] == subsets, current.labels == labels { return [] }
        var labelPatch = JSONValue(labels)
        for key in current.labels.keys where labels[key] == nil { labelPatch[key] = .null }
        return [
            .patch(
                .endpoints, service.key, subresource: nil,
                ["metadata": ["labels": labelPatch], "subsets": subsets])
        ]
    }

    private static func subsets(_ all: ServiceBackends) -> [JSONValue] {
        let hasPorts = !(all.service.value(at: ["spec", "ports"])?.arrayValue ?? []).isEmpty
        let listed = all.backends.filter {
            (!$0.isTerminating || all.publishesNotReady) && (!$0.ports.isEmpty || !hasPorts)
        }
        return all.byPorts(listed).map { ports, backends in
            var subset = JSONValue.object([:])
            let ready = backends.filter { $0.isServing || all.publishesNotReady }
            let rest = backends.filter { !$0.isServing && !all.publishesNotReady }
            if !ready.isEmpty { subset["addresses"] = .array(ready.map { address($0, all.service) }) }
            if !rest.isEmpty { subset["notReadyAddresses"] = .array(rest.map { address($0, all.service) }) }
            if !ports.isEmpty { subset["ports"] = .array(ports.map { $0.json(alwaysNamed: false) }) }
            return subset
        }
    }

    private static func address(_ backend: Backend, _ service: JSONValue) -> JSONValue {
        var address: JSONValue = ["ip": .string(backend.address), "targetRef": backend.reference]
        if let node = backend.nodeName { address["nodeName"] = .string(node) }
        if let hostname = backend.hostname(under: service.name) { address["hostname"] = .string(hostname) }
        return address
    }
}
