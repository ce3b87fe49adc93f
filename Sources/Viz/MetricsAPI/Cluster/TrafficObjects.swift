package import MeshKubernetes
package import MeshModel

/// What viz reads of a ServiceProfile: the names of its routes, and where it sends traffic.
package struct ServiceProfile: KubernetesObject, KubernetesValue {
    package static let resource = APIResource(
        group: "linkerd.io", version: "v1alpha2", plural: "serviceprofiles", kind: "ServiceProfile",
        isNamespaced: true)

    /// The part of a profile that is read here.
    package struct Spec: KubernetesValue {
        package var routes: [Route]?
        package var dstOverrides: [Override]?

        package init() {}
    }

    /// A route by its name.
    package struct Route: KubernetesValue {
        package var name: String?

        package init() {}
    }

    /// A weighted destination.
    package struct Override: KubernetesValue {
        package var authority: String?
        /// A number, or text with a number.
        package var weight: JSONValue?

        package init() {}
    }

    package var metadata = ObjectMeta()
    package var spec: Spec?

    package init() {}
}

/// What viz reads of an SMI TrafficSplit.
package struct TrafficSplit: KubernetesObject, KubernetesValue {
    package static let resource = APIResource(
        group: "split.smi-spec.io", version: "v1alpha1", plural: "trafficsplits", kind: "TrafficSplit",
        isNamespaced: true)

    /// The service that clients ask for, and those it is divided among.
    package struct Spec: KubernetesValue {
        package var service: String?
        package var backends: [Backend]?

        package init() {}
    }

    /// A weighted service.
    package struct Backend: KubernetesValue {
        package var service: String?
        /// A number, or text such as `500m`.
        package var weight: JSONValue?

        package init() {}
    }

    package var metadata = ObjectMeta()
    package var spec: Spec?

    package init() {}
}

/// A traffic split, or a profile's overrides seen as one.
package struct SplitFacts: Sendable, Equatable {
    package struct Backend: Sendable, Equatable {
        package let service: String
        package let weight: String
    }

    package let name: ObjectName
    package let labels: [String: String]
    package let apex: String
    package let backends: [Backend]
}

extension SplitFacts {
    /// Reads a split; `nil` without an apex.
    init?(_ split: TrafficSplit) {
        guard let apex = split.spec?.service, !apex.isEmpty else { return nil }
        name = ObjectName(split.key.namespace, split.key.name)
        labels = split.metadata.labels ?? [:]
        self.apex = apex
        backends = (split.spec?.backends ?? []).compactMap { backend in
            backend.service.map { Backend(service: $0, weight: backend.weight.weightText) }
        }
    }
}

/// A profile's routes and overrides.
package struct ProfileFacts: Sendable, Equatable {
    package struct Override: Sendable, Equatable {
        package let authority: String
        package let weight: String
    }

    /// In the profile's order, without repetitions.
    package let routes: [String]
    package let overrides: [Override]
}

extension ProfileFacts {
    init(_ profile: ServiceProfile) {
        var seen: Set<String> = []
        routes = (profile.spec?.routes ?? []).compactMap(\.name).filter { !$0.isEmpty && seen.insert($0).inserted }
        overrides = (profile.spec?.dstOverrides ?? []).compactMap { override in
            override.authority.map { Override(authority: $0, weight: override.weight.weightText) }
        }
    }
}

extension JSONValue? {
    /// A weight as it was written.
    fileprivate var weightText: String {
        guard let self else { return "" }
        return self.stringValue ?? self.jsonText
    }
}

extension ClusterIndex {
    /// The name by which proxies know a service.
    package static func host(of service: ObjectName, clusterDomain: String) -> String {
        "\(service.name).\(service.namespace).svc.\(clusterDomain)"
    }

    /// The profile of a service: its clients' own comes before the one beside the service.
    package func profile(of service: ObjectName, clientNamespace: String, clusterDomain: String) -> ProfileFacts? {
        profile(
            named: Self.host(of: service, clusterDomain: clusterDomain), in: [clientNamespace, service.namespace])
    }

    /// The first profile of this name in these namespaces.
    package func profile(named name: String, in namespaces: [String]) -> ProfileFacts? {
        namespaces.lazy.compactMap { profiles[ObjectName($0, name)] }.first
    }

    /// The services that select a pod of an object; for a namespace all of its services that select any.
    package func services(of kind: ResourceKind, _ name: ObjectName) -> [ObjectName] {
        let pods = pods(of: kind, namespace: name.namespace, name: name.name)
        return selectors.filter { service, selector in
            !selector.isEmpty
                && pods.contains { pod in
                    pod.namespace == service.namespace && selector.allSatisfy { pod.labels[$0.key] == $0.value }
                }
        }.keys.sorted()
    }
}
