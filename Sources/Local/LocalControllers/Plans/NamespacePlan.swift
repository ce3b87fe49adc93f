import MeshKubernetes
import MeshModel

/// Gives every namespace its default account and the cluster's certificate, and empties those that go away.
package enum NamespacePlan {
    static let rootCertificateName = "kube-root-ca.crt"

    /// What to do now.
    package static func plan(_ state: ClusterState) -> [Action] {
        state.all(.namespaces).flatMap { namespace in
            namespace.isTerminating ? emptying(namespace.name, state) : furnishing(namespace.name, state)
        }
    }

    private static func furnishing(_ namespace: String, _ state: ClusterState) -> [Action] {
        var actions: [Action] = []
        if state[.serviceAccounts, ObjectKey(namespace: namespace, name: "default")] == nil {
            let metadata: JSONValue = ["name": "default", "namespace": .string(namespace)]
            actions.append(
                .create(
                    .serviceAccounts, ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata]))
        }
        guard let caPEM = state.caPEM else { return actions }
        let key = ObjectKey(namespace: namespace, name: rootCertificateName)
        let data: JSONValue = ["ca.crt": .string(caPEM)]
        if let current = state[.configMaps, key] {
            if current["data"] != data {
                actions.append(.patch(.configMaps, key, subresource: nil, ["data": data]))
            }
        } else {
            let metadata: JSONValue = ["name": .string(rootCertificateName), "namespace": .string(namespace)]
            actions.append(
                .create(
                    .configMaps,
                    ["apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data]))
        }
        return actions
    }

    /// Deletes what we know of; when nothing is left, the rest is found by asking the server.
    private static func emptying(_ namespace: String, _ state: ClusterState) -> [Action] {
        var isEmpty = true
        var actions: [Action] = []
        for kind in ControlledKind.allCases where kind.resource.isNamespaced {
            for object in state.all(kind, in: namespace) {
                isEmpty = false
                if !object.isTerminating {
                    actions.append(.delete(kind, object.key, uid: object.uid, graceSeconds: nil))
                }
            }
        }
        return isEmpty ? [.finalizeNamespace(namespace)] : actions
    }
}
