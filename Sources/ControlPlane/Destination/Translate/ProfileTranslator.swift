// From the cluster's state to the profile of an authority or address: how traffic to it is treated, and,
// for an address that is a pod, the endpoint itself.

package import MeshAPI
package import MeshKubernetes
internal import SwiftProtobuf

/// What an address belongs to.
package enum AddressView: Sendable {
    /// The cluster address of a service.
    case service(ObjectKey, ServiceView)
    /// A pod, reached on one of its container ports (which differs from the asked one for host ports).
    case pod(ResolvedPod, containerPort: Int)
    /// Nothing in the cluster.
    case unknown
}

/// Turns views into profiles.
package struct ProfileTranslator: Sendable {
    private let settings: DestinationSettings
    private let defaultOpaquePorts: PortList
    private let endpoints: EndpointTranslator

    package init(settings: DestinationSettings) {
        self.settings = settings
        defaultOpaquePorts = PortList(parsing: settings.defaultOpaquePorts)
        endpoints = EndpointTranslator(settings: settings)
    }

    /// The profile of a service's port, or with a host name of one of its pods.
    ///
    /// A port that the service does not declare has an empty profile.
    ///
    /// - Throws: `notFound` without such a service or host name, `invalidArgument` for an ExternalName
    ///   service.
    package func profile(
        of authority: ServiceAuthority, in view: ServiceView, for token: ContextToken
    ) throws(DestinationError) -> Io_Linkerd_Proxy_Destination_DestinationProfile {
        guard let spec = view.service?.spec else {
            throw DestinationError(.notFound, "no service \(authority.service)")
        }
        guard spec.type != "ExternalName" else {
            throw DestinationError(.invalidArgument, "\(authority.service) is an ExternalName service")
        }
        guard authority.hostname == nil else { return try hostProfile(of: authority, in: view, for: token) }
        guard let port = (spec.ports ?? []).first(where: { $0.port == authority.port }) else {
            return .init()
        }
        let annotation = view.service?.metadata.annotations?[MeshKey.opaquePorts]
        let opaquePorts =
            annotation.map(PortList.init(parsing:)) ?? view.namespaceOpaquePorts ?? defaultOpaquePorts
        let names = [port.name].compactMap { $0 }
        // The clients' own wishes come before what the service's owners wrote.
        let owners = [token.namespace, authority.service.namespace]
        let namespace = owners.first { view.profiles[$0] != nil }
        let profile = namespace.flatMap { view.profiles[$0] }
        return .with {
            $0.fullyQualifiedName =
                "\(authority.service.name).\(authority.service.namespace).svc.\(settings.clusterDomain)"
            $0.routes = profile?.routes ?? []
            $0.retryBudget = profile?.retryBudget ?? Self.defaultRetryBudget
            $0.dstOverrides = overrides(of: authority, in: view, profile)
            if let profile, let namespace {
                $0.profileRef.resource = .with {
                    $0.group = "linkerd.io"
                    $0.kind = "ServiceProfile"
                    $0.name = profile.name
                    $0.namespace = namespace
                }
            }
            $0.opaqueProtocol = opaquePorts.contains(authority.port, names: names)
            $0.parentRef.resource = .with {
                $0.group = "core"
                $0.kind = "Service"
                $0.name = authority.service.name
                $0.namespace = authority.service.namespace
                $0.port = UInt32(clamping: authority.port)
            }
        }
    }

    /// The legs of a split: the ServiceProfile's, else a TrafficSplit's.
    private func overrides(
        of authority: ServiceAuthority, in view: ServiceView, _ profile: ServiceProfile?
    ) -> [Io_Linkerd_Proxy_Destination_WeightedDst] {
        if let profile, !profile.overrides.isEmpty {
            return profile.overrides.map { leg in
                .with {
                    $0.authority = "\(leg.host):\(leg.port ?? authority.port)"
                    $0.weight = leg.weight
                }
            }
        }
        return (view.split?.backends ?? []).map { backend in
            let host = "\(backend.service).\(authority.service.namespace).svc.\(settings.clusterDomain)"
            return .with {
                $0.authority = "\(host):\(authority.port)"
                $0.weight = backend.weight
            }
        }
    }

    private func hostProfile(
        of authority: ServiceAuthority, in view: ServiceView, for token: ContextToken
    ) throws(DestinationError) -> Io_Linkerd_Proxy_Destination_DestinationProfile {
        let set = try endpoints.endpoints(of: authority, in: view, for: token)
        guard let (_, endpoint) = set.endpoints.min(by: { $0.key < $1.key }) else {
            throw DestinationError(
                .notFound, "no endpoint \(authority.hostname ?? "") in service \(authority.service)")
        }
        return Self.profile(of: endpoint, namespace: authority.service.namespace)
    }

    /// The profile of an address.
    ///
    /// - Throws: As for services, when the address is one's.
    package func profile(
        of address: SocketAddress, in view: AddressView, for token: ContextToken
    ) throws(DestinationError) -> Io_Linkerd_Proxy_Destination_DestinationProfile {
        switch view {
        case .service(let key, let view):
            return try profile(of: ServiceAuthority(service: key, port: address.port), in: view, for: token)
        case .pod(let pod, let port):
            var profile = Self.profile(
                of: endpoints.weighted(address, pod: pod, port: port), namespace: pod.facts.key.namespace)
            profile.opaqueProtocol = pod.isOpaque(port: port, default: defaultOpaquePorts)
            return profile
        case .unknown:
            var profile = Self.profile(of: endpoints.weighted(address, pod: nil), namespace: nil)
            profile.opaqueProtocol = defaultOpaquePorts.contains(address.port)
            return profile
        }
    }

    private static func profile(
        of endpoint: Io_Linkerd_Proxy_Destination_WeightedAddr, namespace: String?
    ) -> Io_Linkerd_Proxy_Destination_DestinationProfile {
        .with {
            $0.retryBudget = defaultRetryBudget
            $0.endpoint = endpoint
            if let namespace { $0.endpoint.metricLabels["namespace"] = namespace }
            if case .opaque = endpoint.protocolHint.protocol { $0.opaqueProtocol = true }
        }
    }

    /// A fifth of the requests, and ten a second in any case, may be retried.
    private static let defaultRetryBudget = Io_Linkerd_Proxy_Destination_RetryBudget.with {
        $0.retryRatio = 0.2
        $0.minRetriesPerSecond = 10
        $0.ttl = .with { $0.seconds = 10 }
    }
}
