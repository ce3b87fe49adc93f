package import MeshAPI
import MeshModel
package import MeshRollup

/// Answers the history RPCs: series for charts, the topology, past edges, and two windows side by side.
package struct HistoryAnswers: Sendable {
    /// Buckets a series has when the caller names no step.
    static let bucketsAimedAt: Int64 = 240

    let index: ClusterIndex
    let backend: any MetricsBackend
    let now: UnixTime

    package init(index: ClusterIndex, backend: any MetricsBackend, now: UnixTime) {
        self.index = index
        self.backend = backend
        self.now = now
    }

    func window(_ text: String, _ atMs: Int64) throws(StatError) -> StatWindow {
        try StatWindow(text, end: atMs > 0 ? UnixTime(milliseconds: atMs) : nil, now: now)
    }

    /// One resource, or the traffic between it and a peer, bucket by bucket.
    package func series(
        _ request: Linkerd2_Viz_History_SeriesRequest
    ) async throws -> Linkerd2_Viz_History_SeriesResponse {
        guard request.hasResource else { throw StatError(.badRequest, "Series request missing resource") }
        let asked = try window(request.window, request.atMs)
        let filter: TrafficFilter
        switch request.peer {
        case nil: filter = .none
        case .toResource(let end): filter = .to(try Self.end(end))
        case .fromResource(let end): filter = .from(try Self.end(end))
        }
        let steps: [Int64] = [10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400]
        let aim = asked.readWindow.milliseconds / Self.bucketsAimedAt
        let chosen = steps.first { $0 * 1_000 >= aim } ?? 86_400
        let step = request.stepSeconds > 0 ? Int64(request.stepSeconds) : chosen
        let answer = try await backend.series(
            SeriesQuery(
                try Self.end(request.resource), filter: filter, window: asked, stepMilliseconds: step * 1_000))
        var response = Linkerd2_Viz_History_SeriesResponse()
        response.stepMs = answer.stepMilliseconds
        response.buckets = answer.buckets.enumerated().map { index, stats in
            var bucket = Linkerd2_Viz_History_SeriesResponse.Bucket(stats ?? TrafficStats())
            bucket.startMs = answer.start.advanced(by: Int64(index) * answer.stepMilliseconds).milliseconds
            bucket.hasData_p = stats != nil
            return bucket
        }
        return response
    }

    private static func end(_ resource: Linkerd2_Viz_Resource) throws(StatError) -> TrafficEnd {
        let kind = try StatQuestion.kind(resource.type)
        guard kind.isWorkload || kind == .namespace || kind == .service || kind == .authority else {
            throw StatError(.badRequest, "resource type is not supported: \(kind.name)")
        }
        return TrafficEnd(kind: kind, namespace: resource.namespace, name: resource.name)
    }

    /// Workloads of a namespace and their peers, with the traffic between them.
    package func topology(
        _ request: Linkerd2_Viz_History_TopologyRequest
    ) async throws -> Linkerd2_Viz_History_TopologyResponse {
        let asked = try window(request.window, request.atMs)
        let edges = try await backend.edges(
            EdgeQuery(kind: nil, namespace: request.namespace, window: asked))
        var keys = Set(edges.flatMap { [$0.ends.src, $0.ends.dst] })
        for pod in index.pods
        where pod.isCounted && (request.namespace.isEmpty || pod.namespace == request.namespace) {
            keys.insert(pod.workload)
        }
        let inbound = try await backend.workloads(namespace: "", asked)
        var response = Linkerd2_Viz_History_TopologyResponse()
        response.startMs = asked.window.from.milliseconds
        response.endMs = asked.window.to.milliseconds
        response.nodes = keys.sorted().map { node($0, inbound[$0]) }
        response.edges = edges.map { .init($0, index) }
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
        let inbound = try await backend.workloads(namespace: request.namespace, asked)
        var response = Linkerd2_Viz_History_WorkloadsResponse()
        response.workloads = keys.sorted().map { key in
            let node = node(key, inbound[key])
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

    private func node(_ key: WorkloadKey, _ stats: TrafficStats?) -> Linkerd2_Viz_History_TopologyResponse.Node {
        var node = Linkerd2_Viz_History_TopologyResponse.Node()
        node.resource = Linkerd2_Viz_Resource(key)
        if let stats {
            if let basic = Linkerd2_Viz_BasicStats(stats) { node.stats = basic }
            node.tcpStats = Linkerd2_Viz_TcpStats(stats)
        }
        let counts = PodCounts(index.podNumbers(of: key), of: index)
        node.meshed = counts.meshed > 0
        node.meshedPodCount = counts.meshed
        node.runningPodCount = counts.running
        node.failedPodCount = counts.failed
        return node
    }
}

extension Linkerd2_Viz_History_TopologyResponse.Edge {
    /// An edge of the picture: all traffic of a pair, whatever service and TLS state it went by.
    init(_ traffic: EdgeTraffic, _ index: ClusterIndex) {
        self.init()
        src = Linkerd2_Viz_Resource(traffic.ends.src)
        dst = Linkerd2_Viz_Resource(traffic.ends.dst)
        if let basic = Linkerd2_Viz_BasicStats(traffic.stats) { stats = basic }
        tcpStats = Linkerd2_Viz_TcpStats(traffic.stats)
        `protocol` = traffic.wireProtocol.rawValue
        tls = traffic.isSecured
        serverID = traffic.serverID
        if traffic.isSecured { clientID = traffic.clientID(index) }
    }
}

extension Linkerd2_Viz_History_SeriesResponse.Bucket {
    fileprivate init(_ stats: TrafficStats) {
        self.init()
        successCount = stats.successes
        failureCount = stats.failures
        if let basic = Linkerd2_Viz_BasicStats(stats) {
            latencyMsP50 = basic.latencyMsP50
            latencyMsP95 = basic.latencyMsP95
            latencyMsP99 = basic.latencyMsP99
        }
        openConnections = stats.openConnections
        readBytes = stats.readBytes
        writeBytes = stats.writeBytes
    }
}
