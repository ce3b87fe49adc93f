package import MeshAPI
import MeshModel
import MeshRollup

extension HistoryAnswers {
    /// How long before the end of a window an edge must have been active to count as open.
    static let openMilliseconds: Int64 = 60_000

    /// Who talked to whom in a window, also where the connections have closed since.
    package func pastEdges(
        _ request: Linkerd2_Viz_History_PastEdgesRequest
    ) async throws -> Linkerd2_Viz_History_PastEdgesResponse {
        let asked = try window(request.window, request.atMs)
        let query = EdgeQuery(
            kind: try EdgeLister.kind(request.type), namespace: request.namespace, window: asked)
        async let edges = backend.edges(query)
        async let lastSeen = backend.lastSeen(query)
        let seen = try await lastSeen
        let openSince = asked.window.to.advanced(by: -Self.openMilliseconds)
        var response = Linkerd2_Viz_History_PastEdgesResponse()
        response.startMs = asked.window.from.milliseconds
        response.endMs = asked.window.to.milliseconds
        response.edges = try await edges.map { traffic in
            var edge = Linkerd2_Viz_History_PastEdgesResponse.PastEdge()
            edge.edge = Linkerd2_Viz_Edge(traffic, index)
            if let basic = Linkerd2_Viz_BasicStats(traffic.stats) { edge.stats = basic }
            edge.tcpStats = Linkerd2_Viz_TcpStats(traffic.stats)
            let last = seen[traffic.ends]
            edge.lastSeenMs = last?.milliseconds ?? 0
            edge.isOpen = traffic.stats.openConnections > 0 || last.map { $0 >= openSince } ?? false
            return edge
        }
        return response
    }

    /// The same resources in two windows; rows are all objects that have traffic in either.
    package func compare(
        _ request: Linkerd2_Viz_History_CompareRequest
    ) async throws -> Linkerd2_Viz_History_CompareResponse {
        guard request.hasSelector, request.selector.hasResource else {
            throw StatError(.badRequest, "Compare request missing Selector Resource")
        }
        let after = try window(request.window, request.afterAtMs)
        let beforeEnd = request.beforeAtMs > 0 ? request.beforeAtMs : after.window.from.milliseconds
        let before = try window(request.window, beforeEnd)
        guard before.window.to < after.window.to else {
            throw StatError(.badRequest, "the window to compare with must end before the other one does")
        }
        let labels = try LabelQuery(request.selector.labelSelector)
        let resource = request.selector.resource
        let kind = try StatQuestion.kind(resource.type)
        guard kind == .all || kind.isWorkload || kind == .namespace || kind == .service || kind == .authority else {
            throw StatError(.badRequest, "resource type is not supported: \(kind.name)")
        }
        let filter = try Self.filter(request, kind)
        var response = Linkerd2_Viz_History_CompareResponse()
        for kind in kind == .all ? ResourceKind.membersOfAll : [kind] {
            let selected = TrafficEnd(kind: kind, namespace: resource.namespace, name: resource.name)
            async let first = backend.traffic(TrafficQuery(selected, filter: filter, window: before))
            async let second = backend.traffic(TrafficQuery(selected, filter: filter, window: after))
            let (old, new) = (try await first, try await second)
            var names = Set(old.keys).union(new.keys)
            if !labels.isEmpty {
                let objects = index.objects(
                    kind, namespace: selected.namespace, name: selected.name, matching: labels)
                names.formIntersection(objects.map { ObjectName($0.namespace, $0.name) })
            }
            response.rows += names.sorted().map { .init(kind, $0, before: old[$0], after: new[$0]) }
        }
        response.beforeStartMs = before.window.from.milliseconds
        response.beforeEndMs = before.window.to.milliseconds
        response.afterStartMs = after.window.from.milliseconds
        response.afterEndMs = after.window.to.milliseconds
        return response
    }

    private static func filter(
        _ request: Linkerd2_Viz_History_CompareRequest, _ kind: ResourceKind
    ) throws(StatError) -> TrafficFilter {
        switch request.outbound {
        case nil: .none
        case .toResource(let end): .to(try StatQuestion.end(end, selected: kind, word: "to"))
        case .fromResource(let end): .from(try StatQuestion.end(end, selected: kind, word: "from"))
        }
    }
}

extension Linkerd2_Viz_History_CompareResponse.Row {
    fileprivate init(_ kind: ResourceKind, _ name: ObjectName, before old: TrafficStats?, after new: TrafficStats?) {
        self.init()
        resource.namespace = name.namespace
        resource.type = kind.name
        resource.name = name.name
        if let old {
            if let basic = Linkerd2_Viz_BasicStats(old) { before = basic }
            beforeTcp = Linkerd2_Viz_TcpStats(old)
        }
        if let new {
            if let basic = Linkerd2_Viz_BasicStats(new) { after = basic }
            afterTcp = Linkerd2_Viz_TcpStats(new)
        }
    }
}
