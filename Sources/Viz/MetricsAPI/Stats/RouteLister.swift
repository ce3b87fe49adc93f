package import MeshAPI
import MeshModel
package import MeshRollup

/// Answers `TopRoutes`: traffic by the routes of ServiceProfiles.
///
/// For a workload the profiles are those of the services that select its pods, as its own proxies counted them;
/// with `to` they are the services of the other end, as the clients' proxies did, where every attempt is counted
/// beside what was left after retries.
package struct RouteLister: Sendable {
    /// What stands for requests that no route matches.
    package static let defaultRoute = "[DEFAULT]"

    let index: ClusterIndex
    let backend: any MetricsBackend
    let clusterDomain: String
    let now: UnixTime

    package typealias Table = Linkerd2_Viz_RouteTable

    package init(index: ClusterIndex, backend: any MetricsBackend, clusterDomain: String, now: UnixTime) {
        self.index = index
        self.backend = backend
        self.clusterDomain = clusterDomain
        self.now = now
    }

    /// One profile to report on.
    private struct Profile {
        /// The host that proxies name it by.
        let host: String
        /// What it is shown as: the service, or the authority that was asked for.
        let title: String
        let routes: [String]
    }

    /// One table per selected object that has services, by kind and name.
    package func tables(_ request: Linkerd2_Viz_TopRoutesRequest) async throws -> [Table] {
        guard request.hasSelector, request.selector.hasResource else {
            throw StatError(.badRequest, "TopRoutes request missing Selector Resource")
        }
        let resource = request.selector.resource
        let kind = try Self.kind(resource.type)
        let window = try StatWindow(request.timeWindow, now: now)
        let labels = try LabelQuery(request.selector.labelSelector)
        var to: [Profile]?
        if case .toResource(let end) = request.outbound {
            guard kind != .service else {
                throw StatError(.badRequest, "The service resource type is not supported with 'to' queries")
            }
            to = try profiles(of: end, clientNamespace: resource.namespace)
        }
        let objects = index.objects(
            kind, namespace: resource.namespace, name: resource.name, matching: labels)
        var tables: [Table] = []
        for object in objects.sorted(by: { ($0.namespace, $0.name) < ($1.namespace, $1.name) }) {
            let name = ObjectName(object.namespace, object.name)
            let own = to ?? profiles(of: kind, name, clientNamespace: object.namespace)
            guard !own.isEmpty else { continue }
            tables.append(try await table(kind, name, own, isOutbound: to != nil, window))
        }
        guard !tables.isEmpty else {
            throw StatError(.badRequest, "No Service Profiles found for selected resources")
        }
        return tables
    }

    private static func kind(_ text: String) throws(StatError) -> ResourceKind {
        let kind = try StatQuestion.kind(text)
        if kind == .authority {
            throw StatError(
                .badRequest,
                "Authority cannot be the target of a routes query; try using an authority in the --to flag instead")
        }
        guard kind.isWorkload || kind == .namespace || kind == .service else {
            throw StatError(.badRequest, "resource type is not supported: \(kind.name)")
        }
        return kind
    }

    private func profiles(of end: Linkerd2_Viz_Resource, clientNamespace: String) throws -> [Profile] {
        let kind = try StatQuestion.kind(end.type)
        if kind == .authority {
            let host = RouteName.host(end.name)
            let routes = index.profile(named: host, in: [clientNamespace, end.namespace])?.routes ?? []
            return [Profile(host: host, title: end.name, routes: routes)]
        }
        guard kind.isWorkload || kind == .namespace || kind == .service else {
            throw StatError(.badRequest, "resource type is not supported: \(kind.name)")
        }
        let all = try LabelQuery("")
        let objects = index.objects(kind, namespace: end.namespace, name: end.name, matching: all)
        var seen: Set<String> = []
        return objects.flatMap { object in
            profiles(of: kind, ObjectName(object.namespace, object.name), clientNamespace: clientNamespace)
        }.filter { seen.insert($0.host).inserted }
    }

    private func profiles(of kind: ResourceKind, _ name: ObjectName, clientNamespace: String) -> [Profile] {
        let services = kind == .service ? [name] : index.services(of: kind, name)
        return services.sorted().map { service in
            let profile = index.profile(
                of: service, clientNamespace: clientNamespace, clusterDomain: clusterDomain)
            return Profile(
                host: ClusterIndex.host(of: service, clusterDomain: clusterDomain), title: service.name,
                routes: profile?.routes ?? [])
        }
    }

    private func table(
        _ kind: ResourceKind, _ name: ObjectName, _ profiles: [Profile], isOutbound: Bool, _ window: StatWindow
    ) async throws -> Table {
        let selected = TrafficEnd(kind: kind, namespace: name.namespace, name: name.name)
        var routes = try await backend.routes(
            RouteQuery(
                selected: selected, isOutbound: isOutbound, profiles: Set(profiles.map(\.host)), window: window))
        for profile in profiles where !routes.keys.contains(where: { $0.profile == profile.host }) {
            routes[RouteName(profile: profile.host, route: "")] = try await unrouted(
                selected, profile, isOutbound: isOutbound, isOnly: profiles.count == 1, window)
        }
        var table = Table()
        table.resource = "\(kind.name)/\(name.name)"
        for profile in profiles {
            // Routes in the metrics but no longer in the profile are left out, as Linkerd does.
            for route in profile.routes + [""] {
                var row = Table.Row()
                row.route = route.isEmpty ? Self.defaultRoute : route
                row.authority = profile.title
                row.timeWindow = window.text
                let stats = routes[RouteName(profile: profile.host, route: route)] ?? TrafficStats()
                row.stats = Linkerd2_Viz_BasicStats(stats) ?? Linkerd2_Viz_BasicStats()
                table.rows.append(row)
            }
        }
        return table
    }

    /// All traffic of a service without a profile: proxies count routes only where there are any, and people expect
    /// what they see in `stat` under `[DEFAULT]` until they write a profile.
    ///
    /// - Returns: `nil` where it cannot be told apart: a server behind several services.
    private func unrouted(
        _ selected: TrafficEnd, _ profile: Profile, isOutbound: Bool, isOnly: Bool, _ window: StatWindow
    ) async throws -> TrafficStats? {
        guard profile.routes.isEmpty, isOutbound || isOnly else { return nil }
        var query = TrafficQuery(selected, window: window, wantsTCP: false)
        if isOutbound {
            let parts = profile.host.split(separator: ".").map(String.init)
            guard parts.count > 2 else { return nil }
            query.filter = .to(TrafficEnd(kind: .service, namespace: parts[1], name: parts[0]))
        }
        guard var stats = try await backend.traffic(query)[ObjectName(selected.namespace, selected.name)] else {
            return nil
        }
        if isOutbound { (stats.actualSuccesses, stats.actualFailures) = (stats.successes, stats.failures) }
        return stats
    }
}
