import MeshAPI
import MeshModel
import MeshRollup

/// Which keys a series sums.
struct SeriesSelection: Sendable {
    let family: KeyFamily
    let needsPods: Bool
    private let resource: TrafficEnd
    private let filter: StatQuestion.Filter
    private let mapper: ObjectMapper
    private let far: ObjectMapper?

    /// Reads what a request selects.
    ///
    /// - Throws: `StatError` when a kind is unknown or has no traffic.
    init(_ request: Linkerd2_Viz_History_SeriesRequest, _ index: ClusterIndex) throws {
        guard request.hasResource else { throw StatError(.badRequest, "Series request missing resource") }
        resource = try Self.end(request.resource)
        switch request.peer {
        case nil: filter = .none
        case .toResource(let end): filter = .to(try Self.end(end))
        case .fromResource(let end): filter = .from(try Self.end(end))
        }
        mapper = ObjectMapper(resource.kind, index)
        far = filter.end.map { ObjectMapper($0.kind, index) }
        family = filter == .none && resource.kind != .service ? .objects : .edges
        needsPods = mapper.needsPods || (far?.needsPods ?? false)
    }

    private static func end(_ resource: Linkerd2_Viz_Resource) throws -> TrafficEnd {
        let kind = try StatQuestion.kind(resource.type)
        guard kind.isWorkload || kind == .namespace || kind == .service else {
            throw StatError(.badRequest, "resource type is not supported: \(kind.name)")
        }
        return TrafficEnd(kind: kind, namespace: resource.namespace, name: resource.name)
    }

    /// Whether a key is part of the series.
    func contains(_ key: RollupKey) -> Bool {
        switch key {
        case .object(let traffic): traffic.direction == .inbound && isResource(traffic.workload, traffic.pod)
        case .edge(let edge): contains(edge)
        case .route, .arrival: false
        }
    }

    /// Whether a key tells that somebody looked at the clients of the series.
    func containsObject(_ key: RollupKey) -> Bool {
        guard case .object(let traffic) = key, traffic.direction == .outbound else { return false }
        switch filter {
        case .none: return true
        case .to: return isResource(traffic.workload, traffic.pod)
        case .from(let end):
            guard let object = far?.object(traffic.workload, pod: traffic.pod) else { return false }
            return ObjectMapper.matches(object, end)
        }
    }

    private func contains(_ edge: EdgeKey) -> Bool {
        switch filter {
        case .none: return isDestination(edge)
        case .to(let end):
            guard let far, let object = far.destination(edge), ObjectMapper.matches(object, end) else {
                return false
            }
            return resource.kind == .service ? isDestination(edge) : isResource(edge.src, edge.srcPod)
        case .from(let end):
            guard let far, let object = far.object(edge.src, pod: edge.srcPod),
                ObjectMapper.matches(object, end)
            else { return false }
            return isDestination(edge)
        }
    }

    private func isResource(_ workload: WorkloadKey, _ pod: String) -> Bool {
        mapper.object(workload, pod: pod).map { ObjectMapper.matches($0, resource) } ?? false
    }

    private func isDestination(_ edge: EdgeKey) -> Bool {
        mapper.destination(edge).map { ObjectMapper.matches($0, resource) } ?? false
    }
}
