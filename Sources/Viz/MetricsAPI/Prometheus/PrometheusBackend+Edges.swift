import MeshModel
package import MeshRollup

extension PrometheusBackend {
    /// Labels that name a root workload, the more telling first.
    static let workloadKinds: [ResourceKind] = [
        .deployment, .statefulset, .daemonset, .cronjob, .job, .replicationcontroller, .replicaset,
    ]

    /// The labels of both ends for a kind, or for root workloads.
    private static func ends(_ kind: ResourceKind?) -> (matchers: LabelMatchers, groups: [String]) {
        var matchers = LabelMatchers(["direction": "outbound"])
        guard let kind else {
            let workloads = workloadKinds.map(\.metricLabel)
            let far = (workloads + ["pod", "service"]).map { "dst_" + $0 }
            return (matchers, ["namespace", "dst_namespace"] + workloads + far + ["authority"])
        }
        matchers.requirePresent(kind.metricLabel)
        matchers.requirePresent("dst_" + kind.metricLabel)
        var groups = [kind.metricLabel, "dst_" + kind.metricLabel]
        if kind != .namespace { groups += ["namespace", "dst_namespace"] }
        return (matchers, groups)
    }

    /// Both ends of a sample; `nil` when one is not named.
    private static func ends(_ labels: [String: String], _ kind: ResourceKind?) -> EdgeEnds? {
        func label(_ name: String) -> String { labels[name] ?? "" }
        guard let kind else { return workloadEnds(labels) }
        let (src, dst) = (label(kind.metricLabel), label("dst_" + kind.metricLabel))
        guard !src.isEmpty, !dst.isEmpty else { return nil }
        let isNamespace = kind == .namespace
        return EdgeEnds(
            WorkloadKey(namespace: isNamespace ? "" : label("namespace"), kind: kind.name, name: src),
            WorkloadKey(namespace: isNamespace ? "" : label("dst_namespace"), kind: kind.name, name: dst))
    }

    private static func workloadEnds(_ labels: [String: String]) -> EdgeEnds? {
        func workload(_ prefix: String) -> WorkloadKey? {
            let namespace = labels[prefix + "namespace"] ?? ""
            for kind in workloadKinds + [.pod, .service] {
                if let name = labels[prefix + kind.metricLabel], !name.isEmpty {
                    return WorkloadKey(namespace: namespace, kind: kind.name, name: name)
                }
            }
            return nil
        }
        guard let src = workload("") else { return nil }
        let authority = labels["authority"] ?? ""
        let external = WorkloadKey(
            namespace: "", kind: "external", name: authority.isEmpty ? "unknown" : authority)
        return EdgeEnds(src, workload("dst_") ?? external)
    }

    private static func touches(_ ends: EdgeEnds, _ query: EdgeQuery) -> Bool {
        func namespace(_ key: WorkloadKey) -> String { query.kind == .namespace ? key.name : key.namespace }
        return query.namespace.isEmpty || namespace(ends.src) == query.namespace
            || namespace(ends.dst) == query.namespace
    }

    package func edges(_ query: EdgeQuery) async throws -> [EdgeTraffic] {
        let (matchers, groups) = Self.ends(query.kind)
        let tls = ["server_id", "no_tls_reason", "grpc_status"]
        var batch = Self.batch(
            matchers, bytes: matchers.merged(LabelMatchers(["peer": "dst"])), groups: groups, query.window,
            extraGroups: tls)
        // Connections tell the client's pod, by which its identity is found.
        let connections = PromQL.sum(
            "tcp_open_connections", matchers, by: groups + ["pod", "tls", "server_id", "no_tls_reason"])
        batch = batch.map { $0.part == .connections ? ($0.part, connections) : $0 }
        let vectors = try await vectors(batch, at: query.window.queryTime)
        let stats = Self.fold(vectors) { labels in
            Self.ends(labels, query.kind).flatMap { Self.touches($0, query) ? $0 : nil }
        }
        var edges: [EdgeEnds: EdgeTraffic] = [:]
        var grpcResponses: [EdgeEnds: UInt64] = [:]
        for (part, samples) in vectors where part == .responses || part == .connections {
            for sample in samples.sorted(by: Self.inOrder) where sample.count > 0 {
                guard let ends = Self.ends(sample.labels, query.kind), let stats = stats[ends], stats.isActive
                else { continue }
                var edge = edges[ends] ?? EdgeTraffic(
                    ends: ends, srcPod: nil, isSecured: true, serverID: "", noTLSReason: "", wireProtocol: .tcp,
                    stats: stats)
                Self.addTLS(sample.labels, to: &edge)
                if part == .responses, !(sample.labels["grpc_status"] ?? "").isEmpty {
                    grpcResponses[ends, default: 0] &+= sample.count
                }
                edges[ends] = edge
            }
        }
        return edges.values.sorted { $0.ends < $1.ends }.map { edge in
            var edge = edge
            let grpc = grpcResponses[edge.ends] ?? 0
            edge.wireProtocol =
                edge.stats.responses == 0 ? .tcp : grpc &* 2 > edge.stats.responses ? .grpc : .http
            return edge
        }
    }

    /// A fixed order, so that a mixed edge always shows the same identity and reason.
    private static func inOrder(_ left: PrometheusSample, _ right: PrometheusSample) -> Bool {
        func text(_ sample: PrometheusSample) -> String {
            ["tls", "server_id", "no_tls_reason", "pod"].map { sample.labels[$0] ?? "" }.joined(separator: "\u{0}")
        }
        return text(left) < text(right)
    }

    private static func addTLS(_ labels: [String: String], to edge: inout EdgeTraffic) {
        let pod = labels["pod"] ?? ""
        if labels["tls"] == "true" {
            if edge.serverID.isEmpty { edge.serverID = labels["server_id"] ?? "" }
            if edge.srcPod == nil, !pod.isEmpty { edge.srcPod = ObjectName(labels["namespace"] ?? "", pod) }
        } else {
            // An edge that is partly in the clear must not look secured.
            edge.isSecured = false
            let reason = labels["no_tls_reason"] ?? ""
            edge.noTLSReason = reason.isEmpty ? labels["tls"] ?? "" : reason
        }
    }

    package func lastSeen(_ query: EdgeQuery) async throws -> [EdgeEnds: UnixTime] {
        let (matchers, groups) = Self.ends(query.kind)
        let window = query.window.window
        let step = max(Tier.tenSeconds.bucketMilliseconds, window.milliseconds / 250 / 1_000 * 1_000)
        let expressions = [
            PromQL.sum("tcp_open_connections", matchers, by: groups),
            PromQL.increase("response_total", matchers, PromQL.range(max(step, 60_000)), by: groups),
        ]
        var seen: [EdgeEnds: UnixTime] = [:]
        for expression in expressions {
            let samples = try await client.queryRange(
                expression, from: window.from, to: window.to, stepMilliseconds: step)
            for sample in samples {
                guard let ends = Self.ends(sample.labels, query.kind), Self.touches(ends, query),
                    let last = sample.values.last(where: { $0.value > 0 })
                else { continue }
                let time = UnixTime(seconds: last.at)
                seen[ends] = max(seen[ends] ?? time, time)
            }
        }
        return seen
    }

    package func workloads(namespace: String, _ window: StatWindow) async throws -> [WorkloadKey: TrafficStats] {
        let labels = Self.workloadKinds.map(\.metricLabel)
        let owned = LabelMatchers(["direction": "inbound", "namespace": namespace])
        var bare = owned
        for label in labels { bare.requireAbsent(label) }
        bare.requirePresent("pod")
        func answer(_ matchers: LabelMatchers, _ groups: [String]) async throws -> [WorkloadKey: TrafficStats] {
            let batch = Self.batch(
                matchers, bytes: matchers.merged(LabelMatchers(["peer": "src"])), groups: ["namespace"] + groups,
                window)
            return Self.fold(try await vectors(batch, at: window.queryTime)) { labels in
                for kind in Self.workloadKinds + [.pod] {
                    guard let name = labels[kind.metricLabel], !name.isEmpty else { continue }
                    return WorkloadKey(namespace: labels["namespace"] ?? "", kind: kind.name, name: name)
                }
                return nil as WorkloadKey?
            }
        }
        async let first = answer(owned, labels)
        async let second = answer(bare, ["pod"])
        return try await first.merging(try await second) { first, _ in first }.filter(\.value.isActive)
    }
}
