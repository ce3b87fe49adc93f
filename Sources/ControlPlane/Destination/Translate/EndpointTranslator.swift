// From a service, its slices and their pods to the set of endpoints that proxies balance over. Pure: the
// same view gives the same set. The rules, in order:
//
// 1. The asked port names a port of the service, and the slices' port of that name is where endpoints
//    listen (so named target ports need no lookup here). A port the service does not declare is taken as
//    the endpoints' own.
// 2. Endpoints that are not ready, or whose pod is unknown or replaced, are left out.
// 3. A host name keeps only the pod that carries it; `internalTrafficPolicy: Local` only the asker's node.
// 4. Of a pod with IPv4 and IPv6 one address stays.

package import MeshAPI
package import MeshKubernetes
internal import SwiftProtobuf

/// The objects behind one service, as they were at one moment.
package struct ServiceView: Sendable {
    package var service: Service?
    package var slices: [EndpointSlice]
    package var pods: [ObjectKey: ResolvedPod]
    /// Opaque ports of the service's namespace, for services that do not say.
    package var namespaceOpaquePorts: PortList?
    /// Service profiles that speak of the service, by their own namespace.
    package var profiles: [String: ServiceProfile]
    package var split: TrafficSplit?

    package init(
        service: Service?, slices: [EndpointSlice], pods: [ObjectKey: ResolvedPod],
        namespaceOpaquePorts: PortList? = nil, profiles: [String: ServiceProfile] = [:],
        split: TrafficSplit? = nil
    ) {
        self.service = service
        self.slices = slices
        self.pods = pods
        self.namespaceOpaquePorts = namespaceOpaquePorts
        self.profiles = profiles
        self.split = split
    }
}

/// All endpoints of a destination at one moment.
package struct EndpointSet: Equatable, Sendable {
    package var endpoints: [SocketAddress: Io_Linkerd_Proxy_Destination_WeightedAddr] = [:]
    /// Labels common to all of them.
    package var labels: [String: String] = [:]
    /// Whether the service exists.
    package var exists = true

    package init() {}
}

/// Turns views of services into endpoint sets.
package struct EndpointTranslator: Sendable {
    private let settings: DestinationSettings
    private let defaultOpaquePorts: PortList

    package init(settings: DestinationSettings) {
        self.settings = settings
        defaultOpaquePorts = PortList(parsing: settings.defaultOpaquePorts)
    }

    /// The endpoints of an authority for one asker.
    ///
    /// - Returns: An empty set with `exists == false` when there is no such service.
    /// - Throws: `invalidArgument` for an ExternalName service, which has no endpoints by nature.
    package func endpoints(
        of authority: ServiceAuthority, in view: ServiceView, for token: ContextToken
    ) throws(DestinationError) -> EndpointSet {
        var set = EndpointSet()
        set.labels = ["namespace": authority.service.namespace, "service": authority.service.name]
        guard let spec = view.service?.spec else {
            set.exists = view.service != nil
            return set
        }
        guard spec.type != "ExternalName" else {
            throw DestinationError(.invalidArgument, "\(authority.service) is an ExternalName service")
        }
        let isLocalOnly = spec.internalTrafficPolicy == "Local" && !token.nodeName.isEmpty
        var podsWithV6: Set<ObjectKey> = []
        for slice in view.slices.sorted(by: { $0.key < $1.key }) {
            guard let port = Self.targetPort(of: authority.port, service: spec, slice: slice) else {
                continue
            }
            for endpoint in slice.endpoints ?? [] {
                guard endpoint.conditions?.ready ?? true else { continue }
                if let hostname = authority.hostname, endpoint.hostname != hostname { continue }
                if isLocalOnly, endpoint.nodeName != token.nodeName { continue }
                let pod: ResolvedPod?
                switch Self.backing(of: endpoint, in: slice, view: view) {
                case .pod(let known): pod = known
                case .address: pod = nil
                case .stale: continue
                }
                for text in endpoint.addresses {
                    guard let ip = IPAddress(text), settings.isIPv6Enabled || !ip.isV6 else { continue }
                    let address = SocketAddress(ip: ip, port: port)
                    if ip.isV6, let pod { podsWithV6.insert(pod.facts.key) }
                    set.endpoints[address] = weighted(address, pod: pod, zone: endpoint.zone)
                }
            }
        }
        if !podsWithV6.isEmpty { Self.dropDuplicateV4(&set, of: podsWithV6, view: view) }
        return set
    }

    /// Where the endpoints of a slice listen for a port of the service; `nil` when they do not.
    private static func targetPort(of port: Int, service: ServiceSpec, slice: EndpointSlice) -> Int? {
        let declared = service.ports ?? []
        let isTCP: (String?) -> Bool = { ($0 ?? "TCP") == "TCP" }
        guard let servicePort = declared.first(where: { $0.port == port && isTCP($0.protocol) }) else {
            return port
        }
        return (slice.ports ?? []).first {
            ($0.name ?? "") == (servicePort.name ?? "") && isTCP($0.protocol)
        }?.port
    }

    /// What stands behind an endpoint of a slice.
    private enum Backing {
        case pod(ResolvedPod)
        /// An address that is no pod's, as in services without a selector.
        case address
        /// A pod not known yet, or one that was replaced under the same name. The stream is woken when that
        /// changes.
        case stale
    }

    private static func backing(of endpoint: SliceEndpoint, in slice: EndpointSlice, view: ServiceView)
        -> Backing
    {
        guard let target = endpoint.targetRef, target.kind == "Pod" else { return .address }
        let key = ObjectKey(namespace: target.namespace ?? slice.key.namespace, name: target.name ?? "")
        guard let pod = view.pods[key] else { return .stale }
        if let uid = target.uid, !uid.isEmpty, !pod.facts.uid.isEmpty, uid != pod.facts.uid { return .stale }
        return .pod(pod)
    }

    private static func dropDuplicateV4(_ set: inout EndpointSet, of pods: Set<ObjectKey>, view: ServiceView)
    {
        let addresses = Set(pods.flatMap { view.pods[$0]?.facts.addresses ?? [] }.filter { !$0.isV6 })
        set.endpoints = set.endpoints.filter { !addresses.contains($0.key.ip) }
    }

    /// One endpoint with everything a proxy should know about it.
    ///
    /// - Parameter port: The container's port when it differs from the address's (host ports).
    package func weighted(
        _ address: SocketAddress, pod: ResolvedPod?, zone: String? = nil, port: Int? = nil
    ) -> Io_Linkerd_Proxy_Destination_WeightedAddr {
        .with { message in
            message.addr = address.message
            message.weight = DestinationSettings.endpointWeight
            guard let pod else { return }
            message.metricLabels = pod.metricLabels(zone: zone)
            message.resourceRef.resource = .with {
                $0.group = "core"
                $0.kind = "Pod"
                $0.name = pod.facts.key.name
                $0.namespace = pod.facts.key.namespace
            }
            let port = port ?? address.port
            guard pod.facts.isMeshed, !pod.facts.skipInboundPorts.contains(port) else { return }
            addMeshSettings(to: &message, pod: pod, port: port)
        }
    }

    private func addMeshSettings(
        to message: inout Io_Linkerd_Proxy_Destination_WeightedAddr, pod: ResolvedPod, port: Int
    ) {
        let isOpaque = pod.isOpaque(port: port, default: defaultOpaquePorts)
        if isOpaque {
            message.protocolHint.opaque = .init()
        } else if settings.isH2UpgradeEnabled {
            message.protocolHint.h2 = .init()
        }
        let usesHeader = settings.transportMode == .transportHeader && !pod.facts.proxyPorts.contains(port)
        if isOpaque || usesHeader {
            message.protocolHint.opaqueTransport = .with {
                $0.inboundPort = UInt32(clamping: pod.facts.inboundPort)
            }
        }
        message.http2.keepAlive = .with {
            $0.interval = .with { $0.seconds = 10 }
            $0.timeout = .with { $0.seconds = 3 }
            $0.whileIdle = true
        }
        if settings.isIdentityEnabled, pod.facts.controlPlaneNamespace == settings.controllerNamespace {
            let name = [
                pod.facts.serviceAccount, pod.facts.key.namespace, "serviceaccount.identity",
                settings.controllerNamespace, settings.trustDomain,
            ].joined(separator: ".")
            message.tlsIdentity = .with {
                $0.dnsLikeIdentity = .with { $0.name = name }
                $0.serverName = .with { $0.name = name }
            }
        }
    }
}
