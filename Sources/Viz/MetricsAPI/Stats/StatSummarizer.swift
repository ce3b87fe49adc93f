package import MeshAPI
import MeshModel
package import MeshRollup

/// Answers `StatSummary`: which objects there are, what they received or sent in a window.
///
/// Without a filter the rows are the cluster's objects and their inbound traffic. With `to` or `from` the rows
/// are the objects that have matching outbound traffic, as the clients' proxies saw it. Services, authorities and
/// traffic splits are known only to clients, so theirs is outbound traffic too.
package struct StatSummarizer: Sendable {
    let index: ClusterIndex
    let backend: any MetricsBackend
    let clusterDomain: String
    let now: UnixTime

    package typealias Row = Linkerd2_Viz_StatTable.PodGroup.Row

    package init(
        index: ClusterIndex, backend: any MetricsBackend, clusterDomain: String = "cluster.local", now: UnixTime
    ) {
        self.index = index
        self.backend = backend
        self.clusterDomain = clusterDomain
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
        case .authority: return try await clientRows(.authority, question)
        case .trafficsplit: return try await splitRows(question)
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
            fill(&row, traffic[name], question)
            return row
        }
    }

    private func traffic(
        of kind: ResourceKind, _ question: StatQuestion
    ) async throws -> [ObjectName: TrafficStats] {
        let selected = TrafficEnd(kind: kind, namespace: question.namespace, name: question.name)
        return try await backend.traffic(
            TrafficQuery(
                selected, filter: question.filter, window: question.window, wantsTCP: question.wantsTCP))
    }

    /// Rows of a kind that only its clients' proxies know: idle objects are none.
    private func clientRows(_ kind: ResourceKind, _ question: StatQuestion) async throws -> [Row] {
        guard !question.skipsStats else { return [] }
        var allowed: Set<ObjectName>?
        if !question.labels.isEmpty {
            let objects = index.objects(
                kind, namespace: question.namespace, name: question.name, matching: question.labels)
            allowed = Set(objects.map { ObjectName($0.namespace, $0.name) })
        }
        let traffic = try await traffic(of: kind, question)
        return traffic.keys.filter { allowed?.contains($0) ?? true }.sorted().map { name in
            var row = row(kind, name, question)
            fill(&row, traffic[name], question)
            return row
        }
    }

    /// Services; a named one whose profile overrides its destinations has a row for each of them.
    private func serviceRows(_ question: StatQuestion) async throws -> [Row] {
        let apex = ObjectName(question.namespace, question.name)
        let overrides =
            question.name.isEmpty || question.namespace.isEmpty
            ? [] : index.profile(of: apex, clientNamespace: apex.namespace, clusterDomain: clusterDomain)?.overrides ?? []
        guard !overrides.isEmpty, !question.skipsStats else { return try await clientRows(.service, question) }
        let backends = overrides.map { override in
            SplitFacts.Backend(
                service: String(override.authority.prefix { $0 != "." }), weight: override.weight)
        }
        let split = SplitFacts(name: apex, labels: [:], apex: apex.name, backends: backends)
        return try await leafRows(.service, split, question)
    }

    private func splitRows(_ question: StatQuestion) async throws -> [Row] {
        var rows: [Row] = []
        for split in index.splits
        where (question.namespace.isEmpty || split.name.namespace == question.namespace)
            && (question.name.isEmpty || split.name.name == question.name)
            && question.labels.matches(split.labels)
        { rows += try await leafRows(.trafficsplit, split, question) }
        return rows
    }

    private func leafRows(_ kind: ResourceKind, _ split: SplitFacts, _ question: StatQuestion) async throws -> [Row] {
        let apex = ObjectName(split.name.namespace, split.apex)
        let leaves =
            question.skipsStats
            ? [:]
            : try await backend.leaves(
                LeafQuery(apex: apex, filter: question.filter, window: question.window))
        return split.backends.sorted { $0.service < $1.service }.map { leaf in
            var row = row(kind, split.name, question)
            row.tsStats.apex = split.apex
            row.tsStats.leaf = leaf.service
            row.tsStats.weight = leaf.weight
            let stats = leaves[LeafName(namespace: split.name.namespace, service: leaf.service)]
            fill(&row, stats, question)
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

    private func fill(_ row: inout Row, _ stats: TrafficStats?, _ question: StatQuestion) {
        guard let stats else { return }
        if let basic = Linkerd2_Viz_BasicStats(stats) { row.stats = basic }
        if question.wantsTCP { row.tcpStats = Linkerd2_Viz_TcpStats(stats) }
    }

    private func fillPods(_ row: inout Row, _ kind: ResourceKind, _ name: ObjectName) {
        let numbers = index.podNumbers(of: kind, namespace: name.namespace, name: name.name)
        let counts = PodCounts(numbers, of: index)
        row.meshedPodCount = counts.meshed
        row.runningPodCount = counts.running
        row.failedPodCount = counts.failed
        if kind == .pod { row.status = numbers.first.map { index.pods[$0].statusText } ?? "" }
        for number in numbers where !index.pods[number].troubles.isEmpty {
            var errors = Linkerd2_Viz_PodErrors()
            errors.errors = index.pods[number].troubles.map { trouble in
                var error = Linkerd2_Viz_PodErrors.PodError()
                error.container.container = trouble.container
                error.container.image = trouble.image
                error.container.reason = trouble.reason
                error.container.message = trouble.message
                return error
            }
            row.errorsByPod[index.pods[number].name] = errors
        }
    }
}

/// How many pods an object has, by what they are.
package struct PodCounts: Sendable, Equatable {
    /// Running or pending, with the proxy of our control plane.
    package private(set) var meshed: UInt64 = 0
    /// Running or pending.
    package private(set) var running: UInt64 = 0
    package private(set) var failed: UInt64 = 0

    /// Counts pods of an index, given by their positions and without finished ones.
    init(_ numbers: [Int], of index: ClusterIndex) {
        for number in numbers {
            if index.pods[number].phase == "Failed" {
                failed += 1
                continue
            }
            running += 1
            if index.pods[number].controllerNamespace == index.controllerNamespace { meshed += 1 }
        }
    }
}
