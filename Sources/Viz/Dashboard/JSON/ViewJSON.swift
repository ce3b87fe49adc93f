package import MeshAPI
package import MeshModel

/// Our own JSON, made for pages and scripts: rates are computed, numbers are numbers, and what nobody
/// measured is `null`, never zero. Units: requests per second, milliseconds, shares in `0...1`.
package enum ViewJSON {
    /// One line of a table: a resource, its pods and its golden metrics.
    package static func row(_ row: Linkerd2_Viz_StatTable.PodGroup.Row, windowSeconds: Double) -> JSONValue {
        var json = golden(row.hasStats ? row.stats : nil, windowSeconds: windowSeconds)
        json.merge(resourceFields(row.resource)) { $1 }
        json.merge(tcp(row.hasTcpStats ? row.tcpStats : nil, windowSeconds: windowSeconds)) { $1 }
        json["meshedPods"] = count(row.meshedPodCount)
        json["runningPods"] = count(row.runningPodCount)
        json["failedPods"] = count(row.failedPodCount)
        if !row.status.isEmpty { json["status"] = .string(row.status) }
        if !row.errorsByPod.isEmpty { json["problems"] = problems(row.errorsByPod) }
        return .object(json)
    }

    /// One line of a table, from the history API.
    package static func workload(
        _ workload: Linkerd2_Viz_History_WorkloadsResponse.Workload, windowSeconds: Double
    ) -> JSONValue {
        var json = golden(workload.hasStats ? workload.stats : nil, windowSeconds: windowSeconds)
        json.merge(resourceFields(workload.resource)) { $1 }
        json.merge(tcp(workload.hasTcpStats ? workload.tcpStats : nil, windowSeconds: windowSeconds)) { $1 }
        json["meshedPods"] = count(workload.meshedPodCount)
        json["runningPods"] = count(workload.runningPodCount)
        json["failedPods"] = count(workload.failedPodCount)
        return .object(json)
    }

    /// Nodes and edges with their rates; sorted, so that equal graphs are equal bytes.
    package static func topology(
        _ topology: Linkerd2_Viz_History_TopologyResponse, windowSeconds: Double
    ) -> JSONValue {
        let nodes = topology.nodes.sorted { key($0.resource) < key($1.resource) }
        let edges = topology.edges.sorted { (key($0.src), key($0.dst)) < (key($1.src), key($1.dst)) }
        return [
            "startMs": .int(topology.startMs), "endMs": .int(topology.endMs),
            "nodes": .array(nodes.map { node($0, windowSeconds: windowSeconds) }),
            "edges": .array(edges.map { edge($0, windowSeconds: windowSeconds) }),
        ]
    }

    /// The edges that end (`inbound`) or start (`outbound`) at one resource.
    package static func neighbours(
        of resource: Linkerd2_Viz_Resource, in topology: Linkerd2_Viz_History_TopologyResponse,
        windowSeconds: Double
    ) -> (inbound: JSONValue, outbound: JSONValue) {
        func rows(_ edges: [Linkerd2_Viz_History_TopologyResponse.Edge]) -> JSONValue {
            let sorted = edges.sorted { (key($0.src), key($0.dst)) < (key($1.src), key($1.dst)) }
            return .array(sorted.map { edge($0, windowSeconds: windowSeconds) })
        }
        return (
            rows(topology.edges.filter { key($0.dst) == key(resource) }),
            rows(topology.edges.filter { key($0.src) == key(resource) })
        )
    }

    /// Points in time order; a span that nobody scraped has only its time.
    package static func series(_ series: Linkerd2_Viz_History_SeriesResponse) -> JSONValue {
        let seconds = max(Double(series.stepMs) / 1_000, 1e-3)
        let points = series.buckets.map { bucket -> JSONValue in
            guard bucket.hasData_p else { return ["t": .int(bucket.startMs)] }
            var stats = Linkerd2_Viz_BasicStats()
            stats.successCount = bucket.successCount
            stats.failureCount = bucket.failureCount
            stats.latencyMsP50 = bucket.latencyMsP50
            stats.latencyMsP95 = bucket.latencyMsP95
            stats.latencyMsP99 = bucket.latencyMsP99
            var json = golden(stats, windowSeconds: seconds)
            json["t"] = .int(bucket.startMs)
            json["openConnections"] = count(bucket.openConnections)
            return .object(json)
        }
        return ["stepMs": .int(series.stepMs), "points": .array(points)]
    }

    /// `kind`, `namespace` and `name`.
    package static func resourceFields(_ resource: Linkerd2_Viz_Resource) -> [String: JSONValue] {
        [
            "kind": .string(resource.type), "namespace": .string(resource.namespace),
            "name": .string(resource.name),
        ]
    }

    private static func node(
        _ node: Linkerd2_Viz_History_TopologyResponse.Node, windowSeconds: Double
    ) -> JSONValue {
        var json = golden(node.hasStats ? node.stats : nil, windowSeconds: windowSeconds)
        json.merge(resourceFields(node.resource)) { $1 }
        json["meshed"] = .bool(node.meshed)
        json["meshedPods"] = count(node.meshedPodCount)
        json["runningPods"] = count(node.runningPodCount)
        json["failedPods"] = count(node.failedPodCount)
        return .object(json)
    }

    private static func edge(
        _ edge: Linkerd2_Viz_History_TopologyResponse.Edge, windowSeconds: Double
    ) -> JSONValue {
        var json = golden(edge.hasStats ? edge.stats : nil, windowSeconds: windowSeconds)
        json.merge(tcp(edge.hasTcpStats ? edge.tcpStats : nil, windowSeconds: windowSeconds)) { $1 }
        json["src"] = .object(resourceFields(edge.src))
        json["dst"] = .object(resourceFields(edge.dst))
        json["tls"] = .bool(edge.tls)
        json["protocol"] = .string(edge.protocol)
        if !edge.clientID.isEmpty { json["clientId"] = .string(edge.clientID) }
        if !edge.serverID.isEmpty { json["serverId"] = .string(edge.serverID) }
        return .object(json)
    }

    /// Rates and quantiles. Without a single response, success and latency are unknown.
    private static func golden(_ stats: Linkerd2_Viz_BasicStats?, windowSeconds: Double) -> [String:
        JSONValue]
    {
        guard let stats else {
            return ["successRate": nil, "rps": nil, "p50": nil, "p95": nil, "p99": nil]
        }
        let total = stats.successCount + stats.failureCount
        let isSilent = total == 0
        return [
            "rps": rounded(Double(total) / windowSeconds),
            "successRate": isSilent ? .null : rounded(Double(stats.successCount) / Double(total)),
            "p50": isSilent ? .null : count(stats.latencyMsP50),
            "p95": isSilent ? .null : count(stats.latencyMsP95),
            "p99": isSilent ? .null : count(stats.latencyMsP99),
            "failures": count(stats.failureCount),
        ]
    }

    private static func tcp(_ stats: Linkerd2_Viz_TcpStats?, windowSeconds: Double) -> [String: JSONValue] {
        guard let stats else { return [:] }
        return [
            "openConnections": count(stats.openConnections),
            "readBytesPerSecond": rounded(Double(stats.readBytesTotal) / windowSeconds),
            "writeBytesPerSecond": rounded(Double(stats.writeBytesTotal) / windowSeconds),
        ]
    }

    private static func problems(_ errorsByPod: [String: Linkerd2_Viz_PodErrors]) -> JSONValue {
        var list: [JSONValue] = []
        for (pod, errors) in errorsByPod.sorted(by: { $0.key < $1.key }) {
            for error in errors.errors {
                list.append([
                    "pod": .string(pod), "container": .string(error.container.container),
                    "image": .string(error.container.image), "reason": .string(error.container.reason),
                    "message": .string(error.container.message),
                ])
            }
        }
        return .array(list)
    }

    private static func key(_ resource: Linkerd2_Viz_Resource) -> ResourceOrder {
        ResourceOrder(namespace: resource.namespace, kind: resource.type, name: resource.name)
    }

    /// Six decimals are more than a scrape can know, and keep equal answers equal.
    private static func rounded(_ value: Double) -> JSONValue { .double((value * 1e6).rounded() / 1e6) }

    private static func count(_ value: UInt64) -> JSONValue { .int(Int64(clamping: value)) }
}

/// The order in which resources are listed.
private struct ResourceOrder: Comparable {
    let namespace: String, kind: String, name: String

    static func < (a: Self, b: Self) -> Bool {
        (a.namespace, a.kind, a.name) < (b.namespace, b.kind, b.name)
    }
}
