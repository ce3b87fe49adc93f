import MeshModel
import MeshRollup
import RollupStore

extension StoreBackend {
    package func series(_ query: SeriesQuery) async throws -> SeriesAnswer {
        let wanted = SeriesSelection(query, index())
        let window = query.window.readWindow
        do {
            let series = try await store.series(
                wanted.family, in: window, step: query.stepMilliseconds, now: query.window.now,
                keepsPods: wanted.needsPods, matching: wanted.contains)
            var isScraped = series.buckets.map { $0 != nil }
            if wanted.family == .edges {
                // A quiet edge has no records of its own; whether somebody looked is known from the pods' totals.
                let objects = try await store.series(
                    .objects, in: window, step: query.stepMilliseconds, now: query.window.now,
                    keepsPods: wanted.needsPods, matching: wanted.containsObject)
                isScraped = zip(isScraped, objects.buckets).map { $0 || $1 != nil }
            }
            let buckets = zip(series.buckets, isScraped).map { rollup, isScraped in
                isScraped ? TrafficStats(rollup ?? Rollup()) : nil
            }
            return SeriesAnswer(
                start: series.start, stepMilliseconds: series.stepMilliseconds, buckets: buckets)
        } catch {
            throw BackendError("the rollup store cannot be read: \(error)")
        }
    }
}

/// Which keys a series sums.
private struct SeriesSelection {
    let family: KeyFamily
    let needsPods: Bool
    private let selected: TrafficEnd
    private let filter: TrafficFilter
    private let mapper: ObjectMapper
    private let far: ObjectMapper?

    init(_ query: SeriesQuery, _ index: ClusterIndex) {
        selected = query.selected
        filter = query.filter
        mapper = ObjectMapper(selected.kind, index)
        far = filter.end.map { ObjectMapper($0.kind, index) }
        family = filter == .none && !selected.kind.isKnownToClientsOnly ? .objects : .edges
        needsPods = mapper.needsPods || (far?.needsPods ?? false)
    }

    /// Whether a key is part of the series.
    func contains(_ key: RollupKey) -> Bool {
        switch key {
        case .object(let traffic): traffic.direction == .inbound && isSelected(traffic.workload, traffic.pod)
        case .edge(let edge): contains(edge)
        case .route, .arrival, .request: false
        }
    }

    /// Whether a key tells that somebody looked at the clients of the series.
    func containsObject(_ key: RollupKey) -> Bool {
        guard case .object(let traffic) = key, traffic.direction == .outbound else { return false }
        switch filter {
        case .none: return true
        case .to: return selected.kind.isKnownToClientsOnly || isSelected(traffic.workload, traffic.pod)
        case .from(let end):
            guard let object = far?.object(traffic.workload, pod: traffic.pod) else { return false }
            return ObjectMapper.matches(object, end)
        }
    }

    private func contains(_ edge: EdgeKey) -> Bool {
        guard StoreBackend.matches(edge, filter, far) else { return false }
        if case .to = filter, !selected.kind.isKnownToClientsOnly { return isSelected(edge.src, edge.srcPod) }
        return mapper.destination(edge).map { ObjectMapper.matches($0, selected) } ?? false
    }

    private func isSelected(_ workload: WorkloadKey, _ pod: String) -> Bool {
        mapper.object(workload, pod: pod).map { ObjectMapper.matches($0, selected) } ?? false
    }
}
