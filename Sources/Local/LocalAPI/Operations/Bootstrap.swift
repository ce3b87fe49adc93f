import Foundation
import Logging
import MeshModel

/// What a cluster holds before anyone has created anything.
struct Bootstrap: Sendable {
    /// Namespaces that exist from the start and cannot be deleted.
    static let namespaces = ["default", "kube-system", "kube-public", "kube-node-lease"]

    let operations: ObjectOperations

    /// Makes what is missing; called at every start.
    func run() async throws {
        let cluster = operations.cluster
        try await cluster.store.write { writer in
            for name in Self.namespaces {
                try insert(Resource.namespaces, "", ["metadata": ["name": .string(name)]], writer)
            }
            try insert(Resource.services, "default", kubernetesService, writer)
            try insert(Resource.endpoints, "default", kubernetesEndpoints, writer)
            try insert("endpointslices.discovery.k8s.io", "default", kubernetesSlice, writer)
            try insert(Resource.configMaps, "kube-public", clusterInformation, writer)
            try insertRoles(writer)
            try keepCallersKnown(writer)
            try renewAuthorities(writer)
        }
        for part in DerivedPart.allCases { try await cluster.refresh(part) }
    }

    private func insertRoles(_ writer: StoreWriter) throws {
        for role in BuiltInRoles.clusterRoles { try insert(AggregatedRoles.resource, "", role, writer) }
        for binding in BuiltInRoles.bindings {
            try insert("clusterrolebindings.rbac.authorization.k8s.io", "", binding, writer)
        }
        try insert("roles.rbac.authorization.k8s.io", "kube-system", BuiltInRoles.authenticationReader, writer)
    }

    /// Aggregated APIs read here whom to believe about who calls them; written at each start, since the
    /// authorities may be new.
    private func keepCallersKnown(_ writer: StoreWriter) throws {
        let cluster = operations.cluster
        let name = FrontProxy.configMap
        let data = cluster.frontProxy.configuration(clientAuthority: cluster.caPEM)
        try insert(Resource.configMaps, "kube-system", ["metadata": ["name": .string(name)], "data": data], writer)
        let address = ObjectAddress(resource: Resource.configMaps, namespace: "kube-system", name: name)
        guard let current = try writer.get(address)?.object(), current["data"] != data else { return }
        var object = current
        object["data"] = data
        _ = try writer.update(object, at: address, previous: current)
    }

    /// After the authority was made anew, pods must trust the new one.
    private func renewAuthorities(_ writer: StoreWriter) throws {
        for stored in try writer.list(Resource.configMaps, namespace: nil)
        where stored.address.name == Admission.authorityMap {
            let current = try stored.object()
            var object = current
            object.set(.string(operations.cluster.caPEM), at: ["data", "ca.crt"])
            if object != current { _ = try writer.update(object, at: stored.address, previous: current) }
        }
    }

    private func insert(_ resource: String, _ namespace: String, _ object: JSONValue, _ writer: StoreWriter)
        throws
    {
        guard let kind = KindCatalogue.builtIn.kind(qualifiedName: resource) else { return }
        let address = operations.address(kind, namespace, object.name)
        guard let current = try writer.get(address)?.object() else {
            _ = try operations.insert(object, kind: kind, namespace: namespace, writer: writer)
            return
        }
        // Built-in roles follow this version of the program, unless somebody has taken them over.
        let rules = object["rules"] ?? []
        guard current.value(at: ["metadata", "annotations", BuiltInRoles.autoUpdate]) == "true",
            object["aggregationRule"] == nil, object["rules"] != nil, current["rules"] != rules
        else { return }
        var updated = current
        updated["rules"] = rules
        _ = try operations.replace(current, with: updated, kind: kind, subresource: nil, writer: writer)
    }

    private var labels: JSONValue { ["component": "apiserver", "provider": "kubernetes"] }
    private var config: APIServerConfig { operations.cluster.config }

    private var kubernetesService: JSONValue {
        [
            "metadata": ["name": "kubernetes", "labels": labels],
            "spec": [
                "clusterIP": .string(operations.cluster.serviceRange.address(at: 1)),
                "ports": [
                    [
                        "name": "https", "port": 443, "targetPort": .int(Int64(config.nodePort)),
                        "protocol": "TCP",
                    ]
                ],
            ],
        ]
    }

    private var kubernetesEndpoints: JSONValue {
        [
            "metadata": [
                "name": "kubernetes", "labels": ["endpointslice.kubernetes.io/skip-mirror": "true"],
            ],
            "subsets": [
                [
                    "addresses": [["ip": .string(config.nodeAddress)]],
                    "ports": [["name": "https", "port": .int(Int64(config.nodePort)), "protocol": "TCP"]],
                ]
            ],
        ]
    }

    private var kubernetesSlice: JSONValue {
        [
            "metadata": ["name": "kubernetes", "labels": ["kubernetes.io/service-name": "kubernetes"]],
            "addressType": "IPv4",
            "endpoints": [["addresses": [.string(config.nodeAddress)], "conditions": ["ready": true]]],
            "ports": [["name": "https", "port": .int(Int64(config.nodePort)), "protocol": "TCP"]],
        ]
    }

    private var clusterInformation: JSONValue {
        ["metadata": ["name": "cluster-info"], "data": ["clusterDomain": .string(config.clusterDomain)]]
    }
}
