// The cluster as discovery sees it: services, slices, pods, who owns whom, and indexes from addresses.
// Every change says which topics it touches, so that only the streams concerned are woken. Pure.
//
//   slice ──► service ◄── namespace (annotations)
//     │          ▲
//     └─► pod ───┘  pod ◄── replica set, job (owners), namespace

package import MeshKubernetes

/// What a stream can be interested in.
package enum Topic: Hashable, Sendable {
    /// A service, its slices and their pods.
    case service(ObjectKey)
    /// Whatever has this address.
    case address(IPAddress)
}

/// The objects of the cluster and their indexes.
package struct ClusterState: Sendable {
    private struct OwnerKey: Hashable {
        let namespace: String, kind: String, name: String
    }

    private var services: [ObjectKey: Service] = [:]
    private var slices: [ObjectKey: EndpointSlice] = [:]
    private var pods: [ObjectKey: PodFacts] = [:]
    /// The owners of replica sets and jobs.
    private var owners: [OwnerKey: PodFacts.Owner] = [:]
    private var namespaceOpaquePorts: [String: PortList] = [:]
    /// Service profiles by the service they speak of, then by their own namespace.
    private var profiles: [ObjectKey: [String: ServiceProfile]] = [:]
    private var splits: [ObjectKey: TrafficSplit] = [:]
    private var splitsByService: [ObjectKey: Set<ObjectKey>] = [:]

    private var slicesByService: [ObjectKey: Set<ObjectKey>] = [:]
    private var slicesByPod: [ObjectKey: Set<ObjectKey>] = [:]
    private var servicesByAddress: [IPAddress: Set<ObjectKey>] = [:]
    private var podsByAddress: [IPAddress: Set<ObjectKey>] = [:]
    private var podsByOwner: [OwnerKey: Set<ObjectKey>] = [:]

    package init() {}

    /// Numbers of objects by kind, for metrics.
    package var counts: [(kind: String, count: Int)] {
        [
            ("service", services.count), ("endpointslice", slices.count), ("pod", pods.count),
            ("owner", owners.count), ("serviceprofile", profiles.values.reduce(0) { $0 + $1.count }),
            ("trafficsplit", splits.count),
        ]
    }
}

// Changes. Each takes the new object, or `nil` when it is gone, and returns the topics touched.
extension ClusterState {
    package mutating func setService(_ key: ObjectKey, _ service: Service?) -> Set<Topic> {
        var topics: Set<Topic> = [.service(key)]
        for ip in Self.clusterAddresses(services[key]) {
            Self.remove(key, from: &servicesByAddress, at: ip)
            topics.insert(.address(ip))
        }
        services[key] = service
        for ip in Self.clusterAddresses(service) {
            servicesByAddress[ip, default: []].insert(key)
            topics.insert(.address(ip))
        }
        return topics
    }

    package mutating func setSlice(_ key: ObjectKey, _ slice: EndpointSlice?) -> Set<Topic> {
        var topics: Set<Topic> = []
        if let old = slices[key] {
            for pod in Self.pods(in: old) { Self.remove(key, from: &slicesByPod, at: pod) }
            if let service = Self.service(of: old) {
                Self.remove(key, from: &slicesByService, at: service)
                topics.formUnion(self.topics(ofService: service))
            }
        }
        slices[key] = slice
        if let slice {
            for pod in Self.pods(in: slice) { slicesByPod[pod, default: []].insert(key) }
            if let service = Self.service(of: slice) {
                slicesByService[service, default: []].insert(key)
                topics.formUnion(self.topics(ofService: service))
            }
        }
        return topics
    }

    package mutating func setPod(_ key: ObjectKey, _ pod: Pod?) -> Set<Topic> {
        let old = pods[key]
        let new = pod.map(PodFacts.init)
        guard old != new else { return [] }
        var topics: Set<Topic> = []
        if let old {
            topics.formUnion(self.topics(of: old))
            for ip in old.addresses + old.hostAddresses { Self.remove(key, from: &podsByAddress, at: ip) }
            if let owner = Self.ownerKey(of: old) { Self.remove(key, from: &podsByOwner, at: owner) }
        }
        pods[key] = new
        if let new {
            topics.formUnion(self.topics(of: new))
            for ip in new.addresses + new.hostAddresses { podsByAddress[ip, default: []].insert(key) }
            if let owner = Self.ownerKey(of: new) { podsByOwner[owner, default: []].insert(key) }
        }
        return topics
    }

    /// - Parameters:
    ///   - kind: `ReplicaSet` or `Job`.
    ///   - metadata: Of that object; `nil` when it is gone.
    package mutating func setOwner(kind: String, _ key: ObjectKey, _ metadata: ObjectMeta?) -> Set<Topic> {
        let ownerKey = OwnerKey(namespace: key.namespace, kind: kind, name: key.name)
        let new = metadata.flatMap(PodFacts.onlyOwner)
        guard owners[ownerKey] != new else { return [] }
        owners[ownerKey] = new
        return (podsByOwner[ownerKey] ?? []).reduce(into: []) { topics, pod in
            if let facts = pods[pod] { topics.formUnion(self.topics(of: facts)) }
        }
    }

    package mutating func setNamespace(_ name: String, annotations: [String: String]?) -> Set<Topic> {
        let new = annotations?[MeshKey.opaquePorts].map(PortList.init(parsing:))
        guard namespaceOpaquePorts[name] != new else { return [] }
        namespaceOpaquePorts[name] = new
        var topics: Set<Topic> = []
        for key in services.keys where key.namespace == name { topics.formUnion(self.topics(ofService: key)) }
        for (key, pod) in pods where key.namespace == name { topics.formUnion(self.topics(of: pod)) }
        return topics
    }

    /// - Parameters:
    ///   - service: whom the profile speaks of.
    ///   - namespace: of the profile itself: its clients' or its service's.
    package mutating func setProfile(
        of service: ObjectKey, in namespace: String, _ profile: ServiceProfile?
    ) -> Set<Topic> {
        guard profiles[service]?[namespace] != profile else { return [] }
        profiles[service, default: [:]][namespace] = profile
        if profiles[service]?.isEmpty == true { profiles[service] = nil }
        return topics(ofService: service)
    }

    package mutating func setSplit(_ key: ObjectKey, _ split: TrafficSplit?) -> Set<Topic> {
        guard splits[key] != split else { return [] }
        var topics: Set<Topic> = []
        if let old = splits[key] {
            let service = ObjectKey(namespace: key.namespace, name: old.service)
            Self.remove(key, from: &splitsByService, at: service)
            topics.formUnion(self.topics(ofService: service))
        }
        splits[key] = split
        if let split {
            let service = ObjectKey(namespace: key.namespace, name: split.service)
            splitsByService[service, default: []].insert(key)
            topics.formUnion(self.topics(ofService: service))
        }
        return topics
    }

    private func topics(ofService key: ObjectKey) -> Set<Topic> {
        var topics: Set<Topic> = [.service(key)]
        for ip in Self.clusterAddresses(services[key]) { topics.insert(.address(ip)) }
        return topics
    }

    private func topics(of pod: PodFacts) -> Set<Topic> {
        var topics = Set((pod.addresses + pod.hostAddresses).map(Topic.address))
        for slice in slicesByPod[pod.key] ?? [] {
            if let service = slices[slice].flatMap(Self.service) { topics.insert(.service(service)) }
        }
        return topics
    }

    private static func clusterAddresses(_ service: Service?) -> Set<IPAddress> {
        guard let spec = service?.spec else { return [] }
        return Set(
            ([spec.clusterIP].compactMap { $0 } + (spec.clusterIPs ?? [])).compactMap { IPAddress($0) })
    }

    private static func service(of slice: EndpointSlice) -> ObjectKey? {
        slice.metadata.labels?[MeshKey.serviceName].map {
            ObjectKey(namespace: slice.key.namespace, name: $0)
        }
    }

    private static func pods(in slice: EndpointSlice) -> Set<ObjectKey> {
        Set(
            (slice.endpoints ?? []).compactMap { endpoint in
                guard let target = endpoint.targetRef, target.kind == "Pod", let name = target.name else {
                    return nil
                }
                return ObjectKey(namespace: target.namespace ?? slice.key.namespace, name: name)
            })
    }

    private static func ownerKey(of pod: PodFacts) -> OwnerKey? {
        pod.owner.map { OwnerKey(namespace: pod.key.namespace, kind: $0.kind, name: $0.name) }
    }

    private static func remove<Key: Hashable>(
        _ key: ObjectKey, from index: inout [Key: Set<ObjectKey>], at position: Key
    ) {
        index[position]?.remove(key)
        if index[position]?.isEmpty == true { index[position] = nil }
    }
}

// Questions.
extension ClusterState {
    /// A service with everything behind it.
    package func view(of key: ObjectKey) -> ServiceView {
        var view = ServiceView(
            service: services[key], slices: [], pods: [:],
            namespaceOpaquePorts: namespaceOpaquePorts[key.namespace], profiles: profiles[key] ?? [:],
            // Of several splits the first by name counts, so that every proxy is told the same.
            split: splitsByService[key]?.min().flatMap { splits[$0] })
        for sliceKey in slicesByService[key] ?? [] {
            guard let slice = slices[sliceKey] else { continue }
            view.slices.append(slice)
            for pod in Self.pods(in: slice) { view.pods[pod] = pods[pod].map(resolve) }
        }
        return view
    }

    /// What has an address: a service, else a running pod, else a pod's port on its host.
    ///
    /// - Throws: `failedPrecondition` when several do.
    package func view(of address: SocketAddress) throws(DestinationError) -> AddressView {
        let owners = servicesByAddress[address.ip] ?? []
        guard owners.count <= 1 else {
            throw DestinationError(.failedPrecondition, "\(address.ip) belongs to several services")
        }
        if let service = owners.first { return .service(service, view(of: service)) }

        let candidates = (podsByAddress[address.ip] ?? []).compactMap { pods[$0] }.filter(\.isRunning)
        let direct = candidates.filter { !$0.isHostNetwork && $0.addresses.contains(address.ip) }
        guard direct.count <= 1 else {
            throw DestinationError(.failedPrecondition, "\(address.ip) belongs to several pods")
        }
        if let pod = direct.first { return .pod(resolve(pod), containerPort: address.port) }

        let hosted = candidates.compactMap { pod in
            pod.ports.first { $0.hostPort == address.port && pod.hostAddresses.contains(address.ip) }
                .map { (pod, $0.number) }
        }
        guard hosted.count <= 1 else {
            throw DestinationError(.failedPrecondition, "\(address) belongs to several pods")
        }
        guard let (pod, port) = hosted.first else { return .unknown }
        return .pod(resolve(pod), containerPort: port)
    }

    private func resolve(_ pod: PodFacts) -> ResolvedPod {
        let parent = Self.ownerKey(of: pod).flatMap { owners[$0] }
        return ResolvedPod(
            facts: pod, workload: parent ?? pod.owner,
            namespaceOpaquePorts: namespaceOpaquePorts[pod.key.namespace])
    }
}
