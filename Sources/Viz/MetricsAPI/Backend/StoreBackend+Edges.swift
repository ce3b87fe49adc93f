import MeshModel
package import MeshRollup
import RollupStore

extension StoreBackend {
    private struct Group: Hashable, Sendable {
        let ends: EdgeEnds
        let tls: String
        let detail: String
        let srcPod: ObjectName?

        /// A fixed order, so that a mixed edge always shows the same identity and reason.
        var order: String {
            "\(tls)\u{0}\(detail)\u{0}\(srcPod.map { $0.namespace + "/" + $0.name } ?? "")"
        }
    }

    package func edges(_ query: EdgeQuery) async throws -> [EdgeTraffic] {
        let mapper = EdgeMapper(query, index())
        let keepsPods = query.kind != nil && mapper.canTellPods(query.window)
        let groups = try await rollups(.edges, query.window, keepsPods: keepsPods) { key in
            guard case .edge(let edge) = key, let ends = mapper.ends(edge) else { return nil as Group? }
            return Group(
                ends: ends, tls: edge.tls, detail: edge.tlsDetail,
                srcPod: edge.srcPod.isEmpty ? nil : ObjectName(edge.src.namespace, edge.srcPod))
        }
        var sums: [EdgeEnds: Rollup] = [:]
        var edges: [EdgeEnds: EdgeTraffic] = [:]
        for (group, rollup) in groups.sorted(by: { $0.key.order < $1.key.order }) {
            guard Self.isActive(rollup) else { continue }
            sums[group.ends, default: Rollup()].combine(rollup)
            var edge =
                edges[group.ends]
                ?? EdgeTraffic(
                    ends: group.ends, srcPod: nil, isSecured: true, serverID: "", noTLSReason: "",
                    wireProtocol: .tcp, stats: TrafficStats())
            if group.tls == "true" {
                if edge.serverID.isEmpty { edge.serverID = group.detail }
                edge.srcPod = edge.srcPod ?? group.srcPod
            } else {
                // An edge that is partly in the clear must not look secured.
                edge.isSecured = false
                edge.noTLSReason = group.detail.isEmpty ? group.tls : group.detail
            }
            edges[group.ends] = edge
        }
        return edges.values.sorted { $0.ends < $1.ends }.map { edge in
            var edge = edge
            let sum = sums[edge.ends] ?? Rollup()
            edge.wireProtocol = sum.wireProtocol
            edge.stats = TrafficStats(sum)
            return edge
        }
    }

    package func lastSeen(_ query: EdgeQuery) async throws -> [EdgeEnds: UnixTime] {
        let mapper = EdgeMapper(query, index())
        let keepsPods = query.kind != nil && mapper.canTellPods(query.window)
        do {
            return try await store.lastActive(
                .edges, in: query.window.readWindow, now: query.window.now, keepsPods: keepsPods
            ) { key in
                guard case .edge(let edge) = key else { return nil as EdgeEnds? }
                return mapper.ends(edge)
            }
        } catch {
            throw BackendError("the rollup store cannot be read: \(error)")
        }
    }

    private static func isActive(_ rollup: Rollup) -> Bool {
        rollup.responses > 0 || rollup[.requests] > 0 || rollup[.tcpOpens] > 0
            || rollup[.readBytes] &+ rollup[.writeBytes] > 0 || (rollup.openConnections?.last ?? 0) > 0
    }
}

/// Maps edges of the store to pairs of objects of one kind, or of root workloads.
private struct EdgeMapper {
    let kind: ResourceKind?
    let namespace: String
    let objects: ObjectMapper?

    init(_ query: EdgeQuery, _ index: ClusterIndex) {
        kind = query.kind
        namespace = query.namespace
        objects = query.kind.map { ObjectMapper($0, index) }
    }

    /// Pods are kept for six hours; kinds that do not need them are answered without, further back.
    func canTellPods(_ window: StatWindow) -> Bool {
        if objects?.needsPods ?? false { return true }
        let oldest = window.now.advanced(by: -Tier.tenSeconds.retentionMilliseconds)
        return window.readWindow.from >= oldest
    }

    func ends(_ edge: EdgeKey) -> EdgeEnds? {
        guard let objects, let kind else { return workloads(edge) }
        guard let src = objects.object(edge.src, pod: edge.srcPod),
            let dst = objects.object(edge.dst, pod: edge.dstPod)
        else { return nil }
        func matches(_ object: ObjectName) -> Bool {
            (kind == .namespace ? object.name : object.namespace) == namespace
        }
        guard namespace.isEmpty || matches(src) || matches(dst) else { return nil }
        func workload(_ object: ObjectName) -> WorkloadKey {
            WorkloadKey(namespace: object.namespace, kind: kind.name, name: object.name)
        }
        return EdgeEnds(workload(src), workload(dst))
    }

    private func workloads(_ edge: EdgeKey) -> EdgeEnds? {
        guard namespace.isEmpty || edge.src.namespace == namespace || edge.dst.namespace == namespace else {
            return nil
        }
        return EdgeEnds(edge.src, edge.farEnd)
    }
}

extension EdgeKey {
    /// What to call the far end: its workload, else its service, else what the client asked for.
    var farEnd: WorkloadKey {
        if !dst.name.isEmpty { return dst }
        if !service.isEmpty { return WorkloadKey(namespace: dst.namespace, kind: "service", name: service) }
        return WorkloadKey(namespace: "", kind: "external", name: authority.isEmpty ? "unknown" : authority)
    }
}
