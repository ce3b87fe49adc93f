import MeshModel
package import MeshRollup
package import RollupStore

/// Answers from the built-in rollup store.
///
/// Objects without a filter are counted where they received; everything else is read from edges, as the clients'
/// proxies saw it. Services, authorities and leaves are known to clients only.
package struct StoreBackend: MetricsBackend {
    let store: RollupStore
    let index: @Sendable () -> ClusterIndex
    let notes: @Sendable () async -> [ObjectName: ScrapeNote]

    /// - Parameters:
    ///   - index: The cluster now; owners of pods are looked up in it.
    ///   - notes: When pods were last scraped.
    package init(
        store: RollupStore, index: @escaping @Sendable () -> ClusterIndex,
        notes: @escaping @Sendable () async -> [ObjectName: ScrapeNote] = { [:] }
    ) {
        self.store = store
        self.index = index
        self.notes = notes
    }

    package var title: String { "the rollup store" }

    package func scrapes() async throws -> [ObjectName: ScrapeNote] { await notes() }

    package func problem() async -> String? {
        await store.currentStatus().isWritable ? nil : "the built-in rollup store cannot be written"
    }

    package func traffic(_ query: TrafficQuery) async throws -> [ObjectName: TrafficStats] {
        let mapper = ObjectMapper(query.selected.kind, index())
        let kind = query.selected.kind
        if let direction = Self.objectDirection(query) {
            return try await totals(.objects, query.window, keepsPods: mapper.needsPods) { key in
                guard case .object(let traffic) = key, traffic.direction == direction,
                    let object = mapper.object(traffic.workload, pod: traffic.pod)
                else { return nil as ObjectName? }
                return ObjectMapper.matches(object, query.selected) ? object : nil
            }
        }
        if kind == .authority, query.filter == .none {
            // What servers were called by; clients are asked only when a filter names one end.
            return try await totals(.arrivals, query.window, keepsPods: false) { key in
                guard case .arrival(let arrival) = key, !arrival.authority.isEmpty else { return nil as ObjectName? }
                let object = ObjectName(arrival.workload.namespace, arrival.authority)
                return ObjectMapper.matches(object, query.selected) ? object : nil
            }
        }
        let far = query.filter.end.map { ObjectMapper($0.kind, index()) }
        let needsPods = mapper.needsPods || (far?.needsPods ?? false)
        return try await totals(.edges, query.window, keepsPods: needsPods) { key in
            guard case .edge(let edge) = key else { return nil as ObjectName? }
            guard Self.matches(edge, query.filter, far) else { return nil }
            // The selected objects are the sources with `to`, else the destinations.
            var selected = mapper.destination(edge)
            if case .to = query.filter, !kind.isKnownToClientsOnly {
                selected = mapper.object(edge.src, pod: edge.srcPod)
            }
            return selected.flatMap { ObjectMapper.matches($0, query.selected) ? $0 : nil }
        }
    }

    /// The totals that answer a question without edges; `nil` when it takes edges.
    private static func objectDirection(_ query: TrafficQuery) -> Direction? {
        guard !query.selected.kind.isKnownToClientsOnly else { return nil }
        switch query.filter {
        case .none: return .inbound
        // A type alone takes all outbound traffic, as Linkerd's query without a `dst_` matcher does.
        case .to(let end) where end.name.isEmpty: return .outbound
        case .to, .from: return nil
        }
    }

    /// Whether an edge passes the filter; `far` maps the filter's end.
    static func matches(_ edge: EdgeKey, _ filter: TrafficFilter, _ far: ObjectMapper?) -> Bool {
        switch filter {
        case .none: return true
        case .to(let end):
            guard let object = far?.destination(edge) else { return false }
            return ObjectMapper.matches(object, end)
        case .from(let end):
            guard let object = far?.object(edge.src, pod: edge.srcPod) else { return false }
            return ObjectMapper.matches(object, end)
        }
    }

    package func workloads(namespace: String, _ window: StatWindow) async throws -> [WorkloadKey: TrafficStats] {
        // A bare pod is its own workload; all others keep their key in every tier.
        try await totals(.objects, window, keepsPods: false) { key in
            guard case .object(let traffic) = key, traffic.direction == .inbound,
                namespace.isEmpty || traffic.workload.namespace == namespace
            else { return nil as WorkloadKey? }
            return traffic.workload
        }
    }

    package func leaves(_ query: LeafQuery) async throws -> [LeafName: TrafficStats] {
        let far = query.filter.end.map { ObjectMapper($0.kind, index()) }
        let prefix = "\(query.apex.name).\(query.apex.namespace).svc"
        return try await totals(.edges, query.window, keepsPods: far?.needsPods ?? false) { key in
            guard case .edge(let edge) = key, Self.isHost(edge.authority, prefix), !edge.service.isEmpty,
                Self.matches(edge, query.filter, far)
            else { return nil as LeafName? }
            return LeafName(namespace: edge.dst.namespace, service: edge.service)
        }
    }

    /// Whether an authority is the host `prefix`, with or without a domain and a port.
    private static func isHost(_ authority: String, _ prefix: String) -> Bool {
        guard authority.hasPrefix(prefix) else { return false }
        let next = authority.dropFirst(prefix.count).first
        return next == nil || next == "." || next == ":"
    }

    package func routes(_ query: RouteQuery) async throws -> [RouteName: TrafficStats] {
        struct Part: Hashable { let name: RouteName; let countsAttempts: Bool }
        let isService = query.selected.kind == .service
        let mapper = ObjectMapper(isService ? .namespace : query.selected.kind, index())
        let selected =
            isService
            ? TrafficEnd(kind: .namespace, namespace: "", name: query.selected.namespace) : query.selected
        let parts = try await totals(.routes, query.window, keepsPods: mapper.needsPods) { key in
            guard case .route(let route) = key, (route.direction == .outbound) == query.isOutbound,
                let object = mapper.object(route.workload, pod: route.pod),
                ObjectMapper.matches(object, selected)
            else { return nil as Part? }
            let profile = RouteName.host(route.dst)
            guard query.profiles.contains(profile) else { return nil }
            return Part(name: RouteName(profile: profile, route: route.route), countsAttempts: route.countsAttempts)
        }
        var routes: [RouteName: TrafficStats] = [:]
        for (part, stats) in parts {
            if part.countsAttempts {
                routes[part.name, default: TrafficStats()].actualSuccesses &+= stats.successes
                routes[part.name, default: TrafficStats()].actualFailures &+= stats.failures
            } else {
                routes[part.name, default: TrafficStats()].successes &+= stats.successes
                routes[part.name, default: TrafficStats()].failures &+= stats.failures
                routes[part.name, default: TrafficStats()].latency = stats.latency
            }
        }
        return routes
    }

    /// Sums over keys, brought to the length that was asked for; quiet groups are left out.
    private func totals<Group: Hashable & Sendable>(
        _ family: KeyFamily, _ window: StatWindow, keepsPods: Bool,
        groupedBy group: @Sendable @escaping (RollupKey) -> Group?
    ) async throws -> [Group: TrafficStats] {
        let sums = try await sums(family, window, keepsPods: keepsPods, groupedBy: group)
        var totals = [Group: TrafficStats](minimumCapacity: sums.count)
        for (group, rollup) in sums {
            let stats = TrafficStats(window.fitted(rollup))
            if stats.isActive { totals[group] = stats }
        }
        return totals
    }

    func rollups<Group: Hashable & Sendable>(
        _ family: KeyFamily, _ window: StatWindow, keepsPods: Bool,
        groupedBy group: @Sendable @escaping (RollupKey) -> Group?
    ) async throws -> [Group: Rollup] {
        try await sums(family, window, keepsPods: keepsPods, groupedBy: group).mapValues(window.fitted)
    }

    private func sums<Group: Hashable & Sendable>(
        _ family: KeyFamily, _ window: StatWindow, keepsPods: Bool,
        groupedBy group: @Sendable @escaping (RollupKey) -> Group?
    ) async throws -> [Group: Rollup] {
        do {
            return try await store.totals(
                family, in: window.readWindow, now: window.now, keepsPods: keepsPods, groupedBy: group
            ).rollups
        } catch {
            throw BackendError("the rollup store cannot be read: \(error)")
        }
    }
}

extension RouteName {
    /// The host of an authority such as `web-svc.emojivoto.svc.cluster.local:80`.
    package static func host(_ authority: String) -> String {
        guard let colon = authority.lastIndex(of: ":"),
            authority[authority.index(after: colon)...].allSatisfy(\.isNumber)
        else { return authority }
        return String(authority[..<colon])
    }
}

extension ResourceKind {
    /// Whether only clients' proxies can tell its traffic apart.
    var isKnownToClientsOnly: Bool { self == .service || self == .authority }
}
