// The past of `top`, and the requests behind a spike: both from samples.

package import MeshAPI
import MeshModel
package import MeshRollup

/// A question about sampled requests.
package struct SampleQuery: Sendable, Equatable {
    /// Requests that this end sent or received, when nothing is asked `to`; else only those it sent.
    package var selected: TrafficEnd
    package var to: TrafficEnd?
    package var window: StatWindow

    package init(selected: TrafficEnd, to: TrafficEnd? = nil, window: StatWindow) {
        self.selected = selected
        self.to = to
        self.window = window
    }

    /// Whether requests between these are asked about.
    func matches(src: WorkloadKey, dst: WorkloadKey) -> Bool {
        guard let to else { return selected.matches(src) || selected.matches(dst) }
        return selected.matches(src) && to.matches(dst)
    }
}

extension TrafficEnd {
    /// Whether it names a workload: samples do not tell pods apart.
    func matches(_ workload: WorkloadKey) -> Bool {
        kind == .namespace
            ? !workload.namespace.isEmpty && (name.isEmpty || workload.namespace == name)
            : workload.kind == kind.name && (namespace.isEmpty || workload.namespace == namespace)
                && (name.isEmpty || workload.name == name)
    }

    /// The same for the store.
    var exemplarEnd: ExemplarFilter.End {
        kind == .namespace
            ? ExemplarFilter.End(namespace: name) : ExemplarFilter.End(namespace: namespace, kind: kind.name, name: name)
    }
}

/// Answers `Top` and `Exemplars`.
package struct TopLister: Sendable {
    /// Rows of one answer; those with the most requests.
    static let rowsMax = 5_000
    static let exemplarsDefault = 10
    static let exemplarsMax = 100

    let backend: any MetricsBackend
    let now: UnixTime

    package init(backend: any MetricsBackend, now: UnixTime) {
        self.backend = backend
        self.now = now
    }

    /// Rows of a window, most requests first.
    package func top(_ request: Linkerd2_Viz_History_TopRequest) async throws -> Linkerd2_Viz_History_TopResponse {
        guard request.hasResource else { throw StatError(.badRequest, "Top request missing resource") }
        let query = try Self.query(
            request.resource, to: request.hasToResource ? request.toResource : nil, request.window, request.atMs, now)
        let rollups = try await backend.requests(query)
        var rows: [(key: RequestKey, rollup: Rollup)] = []
        for (key, rollup) in rollups where rollup.responses > 0 {
            guard request.method.isEmpty || key.method == request.method, key.path.hasPrefix(request.path) else { continue }
            rows.append((key, rollup))
        }
        rows.sort { left, right in
            left.rollup[.requests] != right.rollup[.requests]
                ? left.rollup[.requests] > right.rollup[.requests] : left.key < right.key
        }
        var response = Linkerd2_Viz_History_TopResponse()
        response.startMs = query.window.readWindow.from.milliseconds
        response.endMs = query.window.readWindow.to.milliseconds
        response.rows = rows.prefix(Self.rowsMax).map { .init($0.key, $0.rollup) }
        return response
    }

    /// The slowest and the failed of a window.
    package func exemplars(
        _ request: Linkerd2_Viz_History_ExemplarsRequest
    ) async throws -> Linkerd2_Viz_History_ExemplarsResponse {
        guard request.hasResource else { throw StatError(.badRequest, "Exemplars request missing resource") }
        guard request.limit <= Self.exemplarsMax else {
            throw StatError(.badRequest, "limit must be at most \(Self.exemplarsMax)")
        }
        let query = try Self.query(
            request.resource, to: request.hasToResource ? request.toResource : nil, request.window, request.atMs, now)
        var filter = ExemplarFilter(limit: request.limit == 0 ? Self.exemplarsDefault : Int(request.limit))
        if let to = query.to {
            filter.src = query.selected.exemplarEnd
            filter.dst = to.exemplarEnd
        } else {
            filter.dst = query.selected.exemplarEnd
        }
        let lists = try await backend.exemplars(filter, query.window)
        var response = Linkerd2_Viz_History_ExemplarsResponse()
        response.startMs = query.window.readWindow.from.milliseconds
        response.endMs = query.window.readWindow.to.milliseconds
        response.slowest = lists.slowest.map(Linkerd2_Viz_History_Exemplar.init)
        response.failed = lists.failed.map(Linkerd2_Viz_History_Exemplar.init)
        return response
    }

    private static func query(
        _ resource: Linkerd2_Viz_Resource, to: Linkerd2_Viz_Resource?, _ window: String, _ atMs: Int64, _ now: UnixTime
    ) throws(StatError) -> SampleQuery {
        SampleQuery(
            selected: try end(resource), to: try to.map { (resource) throws(StatError) in try end(resource) },
            window: try StatWindow(window, end: atMs > 0 ? UnixTime(milliseconds: atMs) : nil, now: now))
    }

    private static func end(_ resource: Linkerd2_Viz_Resource) throws(StatError) -> TrafficEnd {
        let kind = try StatQuestion.kind(resource.type)
        guard kind == .namespace || kind.isWorkload, kind != .pod, kind != .replicaset else {
            throw StatError(
                .badRequest,
                "samples are kept by workload, not by \(kind.name): ask about a deployment, another workload or a namespace")
        }
        return TrafficEnd(kind: kind, namespace: resource.namespace, name: resource.name)
    }
}

extension Linkerd2_Viz_History_TopResponse.Row {
    fileprivate init(_ key: RequestKey, _ rollup: Rollup) {
        self.init()
        src = Linkerd2_Viz_Resource(key.src)
        dst = Linkerd2_Viz_Resource(key.dst)
        method = key.method
        path = key.path
        if let basic = Linkerd2_Viz_BasicStats(TrafficStats(rollup)) { stats = basic }
        estimatedCount = rollup[.requests]
        bestUs = rollup.extremes?.best ?? 0
        worstUs = rollup.extremes?.worst ?? 0
        lastUs = rollup.extremes?.last ?? 0
    }
}

extension Linkerd2_Viz_History_Exemplar {
    /// As it is kept.
    package init(_ exemplar: RequestExemplar) {
        self.init()
        atMs = exemplar.at.milliseconds
        src = Linkerd2_Viz_Resource(exemplar.src)
        dst = Linkerd2_Viz_Resource(exemplar.dst)
        srcPod = exemplar.srcPod
        dstPod = exemplar.dstPod
        method = exemplar.method
        path = exemplar.path
        httpStatus = exemplar.httpStatus
        if let status = exemplar.grpcStatus { grpcStatus = status }
        isReset = exemplar.isReset
        latencyUs = exemplar.latencyMicroseconds
        isFailure = exemplar.isFailure
        traceID = exemplar.traceID
    }
}
