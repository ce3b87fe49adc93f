// What people write about how a service is to be called: ServiceProfiles (`linkerd.io/v1alpha2`) and
// TrafficSplits (`split.smi-spec.io`), already in the shape in which proxies get them. Source:
// `spec/control-plane.md` 2.1, 3.3.

package import MeshAPI
package import MeshKubernetes
package import MeshModel

/// A ServiceProfile as stored; its spec is read by hand, so that one wrong field can be named.
struct ServiceProfileObject: KubernetesObject {
    static let resource = APIResource(
        group: "linkerd.io", version: "v1alpha2", plural: "serviceprofiles", kind: "ServiceProfile",
        isNamespaced: true)
    var metadata: ObjectMeta
    var spec: JSONValue?
}

/// A TrafficSplit as stored. All its versions are served alike; the oldest is the one that is always there.
struct TrafficSplitObject: KubernetesObject {
    static let resource = APIResource(
        group: "split.smi-spec.io", version: "v1alpha1", plural: "trafficsplits", kind: "TrafficSplit",
        isNamespaced: true)
    var metadata: ObjectMeta
    var spec: JSONValue?
}

/// Why an object cannot be used: everything that is wrong with it, each with the path of its field.
package struct ProfileMistakes: Error, Equatable, Sendable {
    package let texts: [String]
}

/// One leg of a split before the asked port is known.
package struct WeightedName: Equatable, Sendable {
    package let host: String
    /// `nil` takes the port that was asked for.
    package let port: Int?
    /// A weight of 1 is 10,000.
    package let weight: UInt32
}

/// A valid ServiceProfile.
package struct ServiceProfile: Equatable, Sendable {
    package let name: String
    package let routes: [Io_Linkerd_Proxy_Destination_Route]
    /// `nil` for the default budget.
    package let retryBudget: Io_Linkerd_Proxy_Destination_RetryBudget?
    package let overrides: [WeightedName]

    /// - Throws: every mistake in it.
    package init(name: String, spec: JSONValue) throws(ProfileMistakes) {
        var parser = ProfileParser()
        self.name = name
        routes = parser.routes(spec["routes"])
        retryBudget = parser.retryBudget(spec["retryBudget"])
        overrides = parser.overrides(spec["dstOverrides"])
        try parser.finish()
    }

    /// The service that a ServiceProfile's name speaks of; `nil` when it is no service of the cluster.
    package static func service(named name: String, clusterDomain: String) -> ObjectKey? {
        // Fails for every name that is not a service's, and then nobody asks for it either.
        guard
            let authority = try? ServiceAuthority(host: name[...], port: 80, clusterDomain: clusterDomain),
            authority.hostname == nil
        else { return nil }
        return authority.service
    }
}

/// A valid TrafficSplit.
package struct TrafficSplit: Equatable, Sendable {
    /// The name of the service that is split, in the split's own namespace.
    package let service: String
    /// Names of services in the same namespace, each with its weight.
    package let backends: [(service: String, weight: UInt32)]

    /// - Throws: every mistake in it.
    package init(spec: JSONValue, clusterDomain: String) throws(ProfileMistakes) {
        var parser = ProfileParser()
        let suffix = ".svc.\(clusterDomain)"
        let name = parser.text(spec["service"], "spec.service") ?? ""
        // Some write the whole name here; its first label is the service.
        service = name.hasSuffix(suffix) ? String(name.prefix { $0 != "." }) : name
        backends = parser.backends(spec["backends"])
        try parser.finish()
    }

    package static func == (a: TrafficSplit, b: TrafficSplit) -> Bool {
        a.service == b.service && a.backends.elementsEqual(b.backends) { $0 == $1 }
    }
}
