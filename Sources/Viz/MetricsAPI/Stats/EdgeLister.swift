package import MeshAPI
import MeshModel
package import MeshRollup
package import RollupStore

/// Answers `Edges`: who talked to whom in the last minute, and how it was secured.
package struct EdgeLister: Sendable {
    /// How far back an edge counts as alive.
    static let windowMilliseconds: Int64 = 60_000

    let index: ClusterIndex
    let store: RollupStore
    let now: UnixTime

    package init(index: ClusterIndex, store: RollupStore, now: UnixTime) {
        self.index = index
        self.store = store
        self.now = now
    }

    private struct Group: Hashable, Sendable {
        let src: ObjectName
        let dst: ObjectName
        let tls: String
        let detail: String
        let srcWorkload: WorkloadKey
        let srcPod: String
    }

    /// The edges between objects of the requested kind that touch the requested namespace.
    package func edges(_ request: Linkerd2_Viz_EdgesRequest) async throws -> [Linkerd2_Viz_Edge] {
        guard request.hasSelector, request.selector.hasResource else {
            throw StatError(.badRequest, "Edges request missing Selector Resource")
        }
        let resource = request.selector.resource
        let kind = try StatQuestion.kind(resource.type)
        guard kind.isWorkload || kind == .namespace else {
            throw StatError(.badRequest, "resource type is not supported: \(kind.name)")
        }
        let mapper = ObjectMapper(kind, index)
        let window = Window.last(.milliseconds(Self.windowMilliseconds), before: now)
        let totals = try await store.totals(.edges, in: window, now: now, keepsPods: true) { key in
            guard case .edge(let edge) = key, let src = mapper.object(edge.src, pod: edge.srcPod),
                let dst = mapper.object(edge.dst, pod: edge.dstPod)
            else { return nil as Group? }
            return Group(
                src: src, dst: dst, tls: edge.tls, detail: edge.tlsDetail, srcWorkload: edge.src,
                srcPod: edge.srcPod)
        }
        return list(totals.rollups, kind, namespace: resource.namespace)
    }

    private func list(
        _ rollups: [Group: Rollup], _ kind: ResourceKind, namespace: String
    ) -> [Linkerd2_Viz_Edge] {
        var edges: [Pair: Linkerd2_Viz_Edge] = [:]
        for (group, rollup) in rollups {
            guard (rollup.openConnections?.last ?? 0) > 0 || rollup.responses > 0 else { continue }
            guard
                namespace.isEmpty || namespaceOf(group.src, kind) == namespace
                    || namespaceOf(group.dst, kind) == namespace
            else { continue }
            let edge = edge(group, kind)
            let pair = Pair(src: group.src, dst: group.dst)
            // An edge that is partly in the clear must not look secured.
            if let known = edges[pair], !known.noIdentityMsg.isEmpty || edge.noIdentityMsg.isEmpty {
                continue
            }
            edges[pair] = edge
        }
        return edges.sorted { $0.key < $1.key }.map(\.value)
    }

    private struct Pair: Hashable, Comparable {
        let src: ObjectName
        let dst: ObjectName
        static func < (left: Pair, right: Pair) -> Bool { (left.src, left.dst) < (right.src, right.dst) }
    }

    private func namespaceOf(_ object: ObjectName, _ kind: ResourceKind) -> String {
        kind == .namespace ? object.name : object.namespace
    }

    private func edge(_ group: Group, _ kind: ResourceKind) -> Linkerd2_Viz_Edge {
        var edge = Linkerd2_Viz_Edge()
        edge.src.namespace = group.src.namespace
        edge.src.type = kind.name
        edge.src.name = group.src.name
        edge.dst.namespace = group.dst.namespace
        edge.dst.type = kind.name
        edge.dst.name = group.dst.name
        if group.tls == "true" {
            edge.serverID = group.detail
            edge.clientID =
                index.pod(namespace: group.srcWorkload.namespace, name: group.srcPod)?.identity ?? ""
        } else {
            edge.noIdentityMsg = Self.reason(group.tls, group.detail)
        }
        return edge
    }

    /// Why an edge has no identity, in Linkerd's words; a reason it has no word for is shown as it is.
    static func reason(_ tls: String, _ detail: String) -> String {
        switch detail {
        case "disabled": "Disabled"
        case "loopback": "Loopback"
        case "no_authority_in_http_request": "No Authority In HTTP Request"
        case "not_http": "Not HTTP"
        case "not_provided_by_remote": "Not Provided By Remote"
        case "not_provided_by_service_discovery": "Not Provided By Service Discovery"
        case "": tls.isEmpty || tls == "disabled" ? "Disabled" : "Unknown"
        default: detail
        }
    }
}
