import MeshKubernetes
import MeshModel

/// Mirrors Endpoints that somebody wrote for a Service without a selector into EndpointSlices, which is what the
/// mesh and the node read.
package enum MirrorPlan {
    /// Addresses that are mirrored for one set of ports, as in Kubernetes.
    static let addressesMax = 1_000
    private static let skipKey = "endpointslice.kubernetes.io/skip-mirror"
    private static let leaderKey = "control-plane.alpha.kubernetes.io/leader"
    private static let serviceKey = "kubernetes.io/service-name"
    private static let managedKey = "endpointslice.kubernetes.io/managed-by"
    private static let manager = "endpointslicemirroring-controller.k8s.io"

    /// What to do now.
    package static func plan(_ state: ClusterState) -> [Action] {
        let ours = state.all(.endpointSlices).filter { $0.labels[managedKey] == manager && !$0.isTerminating }
        let wanted = state.all(.endpoints).filter { isMirrored($0, state) }.flatMap(slices)
        let present = Dictionary(ours.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        let keys = Set(wanted.map(\.key))
        let changes = wanted.compactMap { slice -> Action? in
            guard let current = present[slice.key] else { return .create(.endpointSlices, slice) }
            let isSame = ["endpoints", "ports"].allSatisfy { current[$0] ?? [] == slice[$0] ?? [] }
            if isSame { return nil }
            let body: JSONValue = ["endpoints": slice["endpoints"] ?? [], "ports": slice["ports"] ?? []]
            return .patch(.endpointSlices, slice.key, subresource: nil, body)
        }
        let surplus = ours.filter { !keys.contains($0.key) }
        return changes + surplus.map { .delete(.endpointSlices, $0.key, uid: $0.uid, graceSeconds: nil) }
    }

    private static func isMirrored(_ endpoints: JSONValue, _ state: ClusterState) -> Bool {
        guard let service = state[.services, endpoints.key], !endpoints.isTerminating else { return false }
        let selector = JSONValue.strings(service.value(at: ["spec", "selector"]))
        return selector.isEmpty && endpoints.labels[skipKey] != "true" && endpoints.annotations[leaderKey] == nil
    }

    private static func slices(_ endpoints: JSONValue) -> [JSONValue] {
        (endpoints["subsets"]?.arrayValue ?? []).map { subset in
            let ports = JSONValue.array(
                (subset["ports"]?.arrayValue ?? []).map { port in
                    var port = port
                    if port["name"] == nil { port["name"] = "" }
                    return port
                })
            var labels = endpoints.labels
            labels[serviceKey] = endpoints.name
            labels[managedKey] = manager
            let suffix = TemplateHash.text(of: ports.serialized()).suffix(5)
            let ready = (subset["addresses"]?.arrayValue ?? []).map { endpoint($0, isReady: true) }
            let rest = (subset["notReadyAddresses"]?.arrayValue ?? []).map { endpoint($0, isReady: false) }
            return [
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": [
                    "name": .string("\(endpoints.name)-\(suffix)"), "namespace": .string(endpoints.namespace),
                    "labels": JSONValue(labels),
                    "ownerReferences": [PodMaker.reference(to: endpoints, kind: .endpoints)],
                ],
                "endpoints": .array(Array((ready + rest).prefix(addressesMax))), "ports": ports,
            ]
        }
    }

    private static func endpoint(_ address: JSONValue, isReady: Bool) -> JSONValue {
        var endpoint: JSONValue = [
            "addresses": [address["ip"] ?? ""], "conditions": ["ready": .bool(isReady)],
        ]
        for field in ["targetRef", "nodeName", "hostname"] {
            if let value = address[field] { endpoint[field] = value }
        }
        return endpoint
    }
}
