import MeshAPI
package import MeshModel
import SwiftProtobuf

/// Answers a whole screen: asks the source what the screen needs, side by side, and joins the answers.
package struct ViewComposer: Sendable {
    /// Namespaces that get a sparkline; the busiest screens stay cheap.
    package static let sparklinesMax = 24

    private let source: any StatSource

    /// A composer over `source`.
    package init(source: any StatSource) {
        self.source = source
    }

    /// The JSON document of a screen.
    package func document(_ query: ViewQuery) async throws -> JSONValue {
        var document: JSONValue =
            switch query.screen {
            case .namespaces: try await namespaces(query)
            case .namespace(let namespace): try await self.namespace(namespace, query)
            case .topology(let namespace):
                ["view": "topology", "topology": try await topologyJSON(namespace, query)]
            case .workload(let namespace, let kind, let name):
                try await workload(Linkerd2_Viz_Resource.named(kind, namespace: namespace, name: name), query)
            }
        document["window"] = .string(query.window)
        return document
    }

    private func namespaces(_ query: ViewQuery) async throws -> JSONValue {
        let rows = try await stat(.named(.namespace), query)
        let busy = rows.filter { $0.hasStats && $0.stats.successCount + $0.stats.failureCount > 0 }
            .map(\.resource.name).sorted().prefix(Self.sparklinesMax)
        let sparklines = try await withThrowingTaskGroup(of: (String, JSONValue).self) { group in
            for name in busy {
                group.addTask {
                    (name, ViewJSON.series(try await series(.named(.namespace, name: name), query)))
                }
            }
            return try await group.reduce(into: [String: JSONValue]()) { $0[$1.0] = $1.1 }
        }
        return [
            "view": "namespaces", "sparklines": .object(sparklines),
            "rows": .array(sorted(rows).map { ViewJSON.row($0, windowSeconds: query.windowSeconds) }),
        ]
    }

    private func namespace(_ namespace: String, _ query: ViewQuery) async throws -> JSONValue {
        async let workloads = source.workloads(
            .with {
                $0.namespace = namespace
                $0.window = query.window
                $0.atMs = query.atMilliseconds
            })
        async let pods = stat(.named(.pod, namespace: namespace), query)
        async let topology = topologyJSON(namespace, query)
        let rows = try await workloads.workloads.filter { $0.resource.type != ResourceKind.pod.name }
            .sorted { ($0.resource.type, $0.resource.name) < ($1.resource.type, $1.resource.name) }
        return [
            "view": "namespace", "namespace": .string(namespace),
            "workloads": .array(rows.map { ViewJSON.workload($0, windowSeconds: query.windowSeconds) }),
            "pods": .array(
                sorted(try await pods).map { ViewJSON.row($0, windowSeconds: query.windowSeconds) }),
            "topology": try await topology,
        ]
    }

    private func workload(_ resource: Linkerd2_Viz_Resource, _ query: ViewQuery) async throws -> JSONValue {
        async let rows = stat(resource, query)
        async let podRows = stat(.named(.pod, namespace: resource.namespace), query)
        async let owned = source.listPods(.with { $0.selector.resource = resource })
        async let topology = self.topology(resource.namespace, query)
        async let buckets = series(resource, query)
        let neighbours = ViewJSON.neighbours(
            of: resource, in: try await topology, windowSeconds: query.windowSeconds)
        let names = Set(try await owned.pods.map(\.name))
        let pods = sorted(try await podRows).filter {
            names.contains("\($0.resource.namespace)/\($0.resource.name)")
        }
        let row = try await rows.first.map { ViewJSON.row($0, windowSeconds: query.windowSeconds) }
        return [
            "view": "workload", "resource": .object(ViewJSON.resourceFields(resource)), "row": row ?? .null,
            "inbound": neighbours.inbound, "outbound": neighbours.outbound,
            "pods": .array(pods.map { ViewJSON.row($0, windowSeconds: query.windowSeconds) }),
            "series": ViewJSON.series(try await buckets),
        ]
    }

    private func topologyJSON(_ namespace: String, _ query: ViewQuery) async throws -> JSONValue {
        ViewJSON.topology(try await topology(namespace, query), windowSeconds: query.windowSeconds)
    }

    private func topology(
        _ namespace: String, _ query: ViewQuery
    ) async throws -> Linkerd2_Viz_History_TopologyResponse {
        try await source.topology(
            .with {
                $0.namespace = namespace
                $0.window = query.window
                $0.atMs = query.atMilliseconds
            })
    }

    private func series(
        _ resource: Linkerd2_Viz_Resource, _ query: ViewQuery
    ) async throws -> Linkerd2_Viz_History_SeriesResponse {
        try await source.series(
            .with {
                $0.resource = resource
                $0.window = query.window
                $0.atMs = query.atMilliseconds
            })
    }

    private func stat(
        _ resource: Linkerd2_Viz_Resource, _ query: ViewQuery
    ) async throws -> [Linkerd2_Viz_StatTable.PodGroup.Row] {
        let response = try await source.statSummary(
            .with {
                $0.selector.resource = resource
                $0.timeWindow = query.window
                $0.none = .init()
                $0.tcpStats = true
            })
        return try response.rows()
    }

    private func sorted(
        _ rows: [Linkerd2_Viz_StatTable.PodGroup.Row]
    ) -> [Linkerd2_Viz_StatTable.PodGroup.Row] {
        rows.sorted { ($0.resource.namespace, $0.resource.name) < ($1.resource.namespace, $1.resource.name) }
    }
}

extension Linkerd2_Viz_Resource {
    /// A resource of `kind`; empty names mean all of them.
    static func named(_ kind: ResourceKind, namespace: String = "", name: String = "") -> Self {
        .with {
            $0.type = kind.name
            $0.namespace = namespace
            $0.name = name
        }
    }
}

extension Linkerd2_Viz_StatSummaryResponse {
    /// The tables, or the error that metrics-api put in their place.
    func okOrThrow() throws(DashboardError) -> Ok {
        if case .error(let error) = response { throw DashboardError(.badRequest, error.error) }
        return ok
    }

    /// All rows of all tables.
    func rows() throws(DashboardError) -> [Linkerd2_Viz_StatTable.PodGroup.Row] {
        try okOrThrow().statTables.flatMap { $0.podGroup.rows }
    }
}
