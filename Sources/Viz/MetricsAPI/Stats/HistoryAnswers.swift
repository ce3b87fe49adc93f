package import MeshAPI
import MeshModel
package import MeshRollup
package import RollupStore

/// Answers the history RPCs: series for charts, the topology, and the workloads of a namespace.
package struct HistoryAnswers: Sendable {
    /// Buckets a series has when the caller names no step.
    static let bucketsAimedAt: Int64 = 240

    let index: ClusterIndex
    let store: RollupStore
    let now: UnixTime

    package init(index: ClusterIndex, store: RollupStore, now: UnixTime) {
        self.index = index
        self.store = store
        self.now = now
    }

    private func window(_ text: String, _ atMs: Int64) throws -> StatWindow {
        try StatWindow(text, end: atMs > 0 ? UnixTime(milliseconds: atMs) : nil, now: now)
    }

    /// One resource, or the traffic between it and a peer, bucket by bucket.
    package func series(
        _ request: Linkerd2_Viz_History_SeriesRequest
    ) async throws -> Linkerd2_Viz_History_SeriesResponse {
        let window = try window(request.window, request.atMs).readWindow
        let steps: [Int64] = [10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400]
        let aim = window.milliseconds / Self.bucketsAimedAt
        let chosen = steps.first { $0 * 1_000 >= aim } ?? 86_400
        let step = request.stepSeconds > 0 ? Int64(request.stepSeconds) * 1_000 : chosen * 1_000
        let wanted = try SeriesSelection(request, index)
        let series = try await store.series(
            wanted.family, in: window, step: step, now: now, keepsPods: wanted.needsPods,
            matching: wanted.contains)
        var isScraped = series.buckets.map { $0 != nil }
        if wanted.family == .edges {
            // A quiet edge has no records of its own; whether somebody looked is known from the pods' totals.
            let objects = try await store.series(
                .objects, in: window, step: step, now: now, keepsPods: wanted.needsPods,
                matching: wanted.containsObject)
            isScraped = zip(isScraped, objects.buckets).map { $0 || $1 != nil }
        }
        var response = Linkerd2_Viz_History_SeriesResponse()
        response.stepMs = series.stepMilliseconds
        response.buckets = series.buckets.enumerated().map { index, rollup in
            var bucket = Linkerd2_Viz_History_SeriesResponse.Bucket(rollup ?? Rollup())
            bucket.startMs = series.start.advanced(by: Int64(index) * series.stepMilliseconds).milliseconds
            bucket.hasData_p = index < isScraped.count && isScraped[index]
            return bucket
        }
        return response
    }

    /// Workloads of a namespace and their peers, with the traffic between them.
    package func topology(
        _ request: Linkerd2_Viz_History_TopologyRequest
    ) async throws -> Linkerd2_Viz_History_TopologyResponse {
        let asked = try window(request.window, request.atMs)
        let edges = try await topologyEdges(namespace: request.namespace, asked)
        var keys = Set(edges.flatMap { [$0.src, $0.dst] })
        for pod in index.pods
        where pod.isCounted && (request.namespace.isEmpty || pod.namespace == request.namespace) {
            keys.insert(pod.workload)
        }
        let inbound = try await inboundTotals(asked, keys)
        var response = Linkerd2_Viz_History_TopologyResponse()
        response.startMs = asked.window.from.milliseconds
        response.endMs = asked.window.to.milliseconds
        response.nodes = keys.sorted().map { node($0, inbound[$0].map(asked.fitted)) }
        response.edges = edges.map { $0.message(asked, index) }
        return response
    }

    /// Workloads of a namespace with their inbound totals.
    package func workloads(
        _ request: Linkerd2_Viz_History_WorkloadsRequest
    ) async throws -> Linkerd2_Viz_History_WorkloadsResponse {
        let asked = try window(request.window, request.atMs)
        let kinds =
            try request.types.isEmpty
            ? ResourceKind.allCases.filter { $0.isWorkload && $0 != .pod && $0 != .replicaset }
            : request.types.map { try StatQuestion.kind($0) }
        var keys: [WorkloadKey] = []
        for kind in kinds {
            let objects = index.objects(
                kind, namespace: request.namespace, name: "", matching: try LabelQuery(""))
            keys += objects.map { WorkloadKey(namespace: $0.namespace, kind: kind.name, name: $0.name) }
        }
        let inbound = try await inboundTotals(asked, Set(keys))
        var response = Linkerd2_Viz_History_WorkloadsResponse()
        response.workloads = keys.sorted().map { key in
            let node = node(key, inbound[key].map(asked.fitted))
            var workload = Linkerd2_Viz_History_WorkloadsResponse.Workload()
            workload.resource = node.resource
            if node.hasStats { workload.stats = node.stats }
            if node.hasTcpStats { workload.tcpStats = node.tcpStats }
            workload.meshedPodCount = node.meshedPodCount
            workload.runningPodCount = node.runningPodCount
            workload.failedPodCount = node.failedPodCount
            return workload
        }
        return response
    }

    private func inboundTotals(_ asked: StatWindow, _ keys: Set<WorkloadKey>) async throws -> [WorkloadKey:
        Rollup]
    {
        // A bare pod is its own workload; all others keep their key in every tier.
        try await store.totals(.objects, in: asked.readWindow, now: now, keepsPods: false) { key in
            guard case .object(let traffic) = key, traffic.direction == .inbound,
                keys.contains(traffic.workload)
            else { return nil as WorkloadKey? }
            return traffic.workload
        }.rollups
    }

    private func node(_ key: WorkloadKey, _ rollup: Rollup?) -> Linkerd2_Viz_History_TopologyResponse.Node {
        var node = Linkerd2_Viz_History_TopologyResponse.Node()
        node.resource = Linkerd2_Viz_Resource(key)
        if let rollup {
            if let stats = Linkerd2_Viz_BasicStats(rollup) { node.stats = stats }
            node.tcpStats = Linkerd2_Viz_TcpStats(rollup)
        }
        let counts = PodCounts(index.pods(of: key), controllerNamespace: index.controllerNamespace)
        node.meshed = counts.meshed > 0
        node.meshedPodCount = counts.meshed
        node.runningPodCount = counts.running
        node.failedPodCount = counts.failed
        return node
    }
}

/// One edge of the picture: all traffic of a pair, whatever service and TLS state it went by.
struct TopologyEdge: Sendable {
    let src: WorkloadKey
    let dst: WorkloadKey
    var total = Rollup()
    var isSecured = true
    var serverID = ""

    func message(
        _ asked: StatWindow, _ index: ClusterIndex
    ) -> Linkerd2_Viz_History_TopologyResponse.Edge {
        let rollup = asked.fitted(total)
        var edge = Linkerd2_Viz_History_TopologyResponse.Edge()
        edge.src = Linkerd2_Viz_Resource(src)
        edge.dst = Linkerd2_Viz_Resource(dst)
        if let stats = Linkerd2_Viz_BasicStats(rollup) { edge.stats = stats }
        edge.tcpStats = Linkerd2_Viz_TcpStats(rollup)
        edge.protocol = rollup.wireProtocol.rawValue
        edge.tls = isSecured
        edge.serverID = serverID
        if isSecured { edge.clientID = index.pods(of: src).first?.identity ?? "" }
        return edge
    }
}

extension HistoryAnswers {
    private struct PairAndTLS: Hashable, Sendable {
        let src: WorkloadKey
        let dst: WorkloadKey
        let tls: Bool
        let serverID: String
    }

    private func topologyEdges(namespace: String, _ asked: StatWindow) async throws -> [TopologyEdge] {
        let totals = try await store.totals(.edges, in: asked.readWindow, now: now, keepsPods: false) { key in
            guard case .edge(let edge) = key else { return nil as PairAndTLS? }
            guard namespace.isEmpty || edge.src.namespace == namespace || edge.dst.namespace == namespace
            else { return nil }
            return PairAndTLS(
                src: edge.src, dst: Self.destination(edge), tls: edge.isSecured,
                serverID: edge.isSecured ? edge.tlsDetail : "")
        }
        var edges: [[WorkloadKey]: TopologyEdge] = [:]
        for (pair, rollup) in totals.rollups {
            let isActive =
                rollup.responses > 0 || rollup[.requests] > 0 || rollup[.tcpOpens] > 0
                || rollup[.readBytes] &+ rollup[.writeBytes] > 0 || (rollup.openConnections?.last ?? 0) > 0
            guard isActive else { continue }
            var edge = edges[[pair.src, pair.dst]] ?? TopologyEdge(src: pair.src, dst: pair.dst)
            edge.total.combine(rollup)
            edge.isSecured = edge.isSecured && pair.tls
            if !pair.serverID.isEmpty { edge.serverID = pair.serverID }
            edges[[pair.src, pair.dst]] = edge
        }
        return edges.values.sorted { ($0.src, $0.dst) < ($1.src, $1.dst) }
    }

    /// What to call the far end: its workload, else its service, else what the client asked for.
    static func destination(_ edge: EdgeKey) -> WorkloadKey {
        if !edge.dst.name.isEmpty { return edge.dst }
        if !edge.service.isEmpty {
            return WorkloadKey(namespace: edge.dst.namespace, kind: "service", name: edge.service)
        }
        return WorkloadKey(
            namespace: "", kind: "external", name: edge.authority.isEmpty ? "unknown" : edge.authority)
    }
}

extension Linkerd2_Viz_Resource {
    /// The resource that a workload key names.
    package init(_ key: WorkloadKey) {
        self.init()
        namespace = key.namespace
        type = key.kind
        name = key.name
    }
}

extension Linkerd2_Viz_History_SeriesResponse.Bucket {
    fileprivate init(_ rollup: Rollup) {
        self.init()
        successCount = rollup[.successes]
        failureCount = rollup[.failures]
        if let stats = Linkerd2_Viz_BasicStats(rollup) {
            latencyMsP50 = stats.latencyMsP50
            latencyMsP95 = stats.latencyMsP95
            latencyMsP99 = stats.latencyMsP99
        }
        openConnections = rollup.openConnections?.last ?? 0
        readBytes = rollup[.readBytes]
        writeBytes = rollup[.writeBytes]
    }
}
