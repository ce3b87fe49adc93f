package import MeshAPI
import MeshModel
package import MeshRollup
package import RollupStore

/// Answers `StatSummary`: which objects there are, what they received or sent in a window.
///
/// Without a filter the rows are the cluster's objects and their inbound traffic. With `to` or `from` the rows
/// are the objects that have matching outbound traffic, as the clients' proxies saw it. Services are known
/// only to clients, so theirs is outbound traffic too.
package struct StatSummarizer: Sendable {
    let index: ClusterIndex
    let store: RollupStore
    let now: UnixTime

    package typealias Row = Linkerd2_Viz_StatTable.PodGroup.Row

    package init(index: ClusterIndex, store: RollupStore, now: UnixTime) {
        self.index = index
        self.store = store
        self.now = now
    }

    /// The tables of a request: one per kind.
    package func tables(
        _ request: Linkerd2_Viz_StatSummaryRequest
    ) async throws -> [Linkerd2_Viz_StatTable] {
        let question = try StatQuestion(request, now: now)
        var tables: [Linkerd2_Viz_StatTable] = []
        for kind in question.kinds {
            let rows = try await rows(of: kind, question)
            var table = Linkerd2_Viz_StatTable()
            table.podGroup.rows = rows
            tables.append(table)
        }
        return tables
    }

    private func rows(of kind: ResourceKind, _ question: StatQuestion) async throws -> [Row] {
        switch kind {
        case .service: return try await serviceRows(question)
        case .server, .serverauthorization, .authorizationpolicy, .httproute:
            return []  // Policy objects have no traffic counted under them here.
        default: break
        }
        let objects = index.objects(
            kind, namespace: question.namespace, name: question.name, matching: question.labels)
        let traffic = question.skipsStats ? [:] : try await traffic(of: kind, question)
        let names: [ObjectName]
        if question.filter == .none {
            names = objects.map { ObjectName($0.namespace, $0.name) }.sorted()
        } else {
            let allowed =
                question.labels.isEmpty ? nil : Set(objects.map { ObjectName($0.namespace, $0.name) })
            names = traffic.keys.filter { allowed?.contains($0) ?? true }.sorted()
        }
        return names.map { name in
            var row = row(kind, name, question)
            fillPods(&row, kind, name)
            if let rollup = traffic[name] { fill(&row, rollup, question) }
            return row
        }
    }

    private func serviceRows(_ question: StatQuestion) async throws -> [Row] {
        guard !question.skipsStats else { return [] }
        var allowed: Set<ObjectName>?
        if !question.labels.isEmpty {
            let services = index.objects(
                .service, namespace: question.namespace, name: question.name, matching: question.labels)
            allowed = Set(services.map { ObjectName($0.namespace, $0.name) })
        }
        let traffic = try await traffic(of: .service, question)
        return traffic.keys.filter { allowed?.contains($0) ?? true }.sorted().map { name in
            var row = row(.service, name, question)
            if let rollup = traffic[name] { fill(&row, rollup, question) }
            return row
        }
    }

    private func row(_ kind: ResourceKind, _ name: ObjectName, _ question: StatQuestion) -> Row {
        var row = Row()
        row.resource.namespace = name.namespace
        row.resource.type = kind.name
        row.resource.name = name.name
        row.timeWindow = question.window.text
        return row
    }

    private func fill(_ row: inout Row, _ rollup: Rollup, _ question: StatQuestion) {
        let rollup = question.window.fitted(rollup)
        if let stats = Linkerd2_Viz_BasicStats(rollup) { row.stats = stats }
        if question.wantsTCP { row.tcpStats = Linkerd2_Viz_TcpStats(rollup) }
    }

    private func fillPods(_ row: inout Row, _ kind: ResourceKind, _ name: ObjectName) {
        let pods = index.pods(of: kind, namespace: name.namespace, name: name.name)
        let counts = PodCounts(pods, controllerNamespace: index.controllerNamespace)
        row.meshedPodCount = counts.meshed
        row.runningPodCount = counts.running
        row.failedPodCount = counts.failed
        if kind == .pod { row.status = pods.first?.statusText ?? "" }
        for pod in pods {
            let troubles = pod.troubles
            guard !troubles.isEmpty else { continue }
            var errors = Linkerd2_Viz_PodErrors()
            errors.errors = troubles.map { trouble in
                var error = Linkerd2_Viz_PodErrors.PodError()
                error.container.container = trouble.container
                error.container.image = trouble.image
                error.container.reason = trouble.reason
                error.container.message = trouble.message
                return error
            }
            row.errorsByPod[pod.name] = errors
        }
    }
}

extension StatSummarizer {
    /// Traffic of the objects of a kind, by object.
    func traffic(of kind: ResourceKind, _ question: StatQuestion) async throws -> [ObjectName: Rollup] {
        let selection = TrafficEnd(kind: kind, namespace: question.namespace, name: question.name)
        let mapper = ObjectMapper(kind, index)
        let window = question.window.readWindow
        switch question.filter {
        case .none where kind != .service:
            return try await objects(.inbound, mapper, selection, window)
        case .to(let end) where kind != .service && end.name.isEmpty:
            return try await objects(.outbound, mapper, selection, window)
        default: break
        }
        let filter = question.filter
        let far = filter.end.map { ObjectMapper($0.kind, index) }
        let needsPods = mapper.needsPods || (far?.needsPods ?? false)
        let totals = try await store.totals(.edges, in: window, now: now, keepsPods: needsPods) { key in
            guard case .edge(let edge) = key else { return nil as ObjectName? }
            let source = far ?? mapper
            // The selected objects are the sources with `to`, else the destinations.
            var selected = mapper.destination(edge)
            switch filter {
            case .none: break
            case .to(let end):
                guard let object = source.destination(edge), ObjectMapper.matches(object, end) else {
                    return nil
                }
                if kind != .service { selected = mapper.object(edge.src, pod: edge.srcPod) }
            case .from(let end):
                guard let object = source.object(edge.src, pod: edge.srcPod),
                    ObjectMapper.matches(object, end)
                else { return nil }
            }
            return selected.flatMap { ObjectMapper.matches($0, selection) ? $0 : nil }
        }
        return totals.rollups
    }

    private func objects(
        _ direction: Direction, _ mapper: ObjectMapper, _ selection: TrafficEnd, _ window: Window
    ) async throws -> [ObjectName: Rollup] {
        try await store.totals(.objects, in: window, now: now, keepsPods: mapper.needsPods) { key in
            guard case .object(let traffic) = key, traffic.direction == direction,
                let object = mapper.object(traffic.workload, pod: traffic.pod)
            else { return nil as ObjectName? }
            return ObjectMapper.matches(object, selection) ? object : nil
        }.rollups
    }
}

/// How many pods an object has, by what they are.
package struct PodCounts: Sendable, Equatable {
    /// Running or pending, with the proxy of our control plane.
    package private(set) var meshed: UInt64 = 0
    /// Running or pending.
    package private(set) var running: UInt64 = 0
    package private(set) var failed: UInt64 = 0

    /// Counts; `pods` has no finished ones.
    package init(_ pods: [PodFacts], controllerNamespace: String) {
        for pod in pods {
            if pod.phase == "Failed" {
                failed += 1
                continue
            }
            running += 1
            if pod.controllerNamespace == controllerNamespace { meshed += 1 }
        }
    }
}
