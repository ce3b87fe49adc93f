import MeshModel
import MeshRollup

/// Answers from any server that speaks Prometheus' query API and scrapes proxies with Linkerd's labels.
package struct PrometheusBackend: MetricsBackend {
    let client: PrometheusClient

    package init(client: PrometheusClient) { self.client = client }

    package var title: String { "Prometheus at \(client.config.url)" }

    /// Expressions by what their samples mean, all asked at the same time.
    typealias Batch = [(part: Part, expression: String)]

    /// What the samples of an expression mean.
    enum Part: Hashable, Sendable {
        case responses, actualResponses, quantile(Double), connections, readBytes, writeBytes, opens
    }

    /// Asks several expressions at once.
    ///
    /// - Throws: `BackendError` of the first that fails: half an answer looks like a whole one.
    func vectors(_ batch: Batch, at time: UnixTime) async throws -> [(part: Part, samples: [PrometheusSample])] {
        try await withThrowingTaskGroup(of: (Int, [PrometheusSample]).self) { group in
            for (index, item) in batch.enumerated() {
                group.addTask { (index, try await client.query(item.expression, at: time)) }
            }
            var answers: [Int: [PrometheusSample]] = [:]
            for try await (index, samples) in group { answers[index] = samples }
            return batch.indices.map { (batch[$0].part, answers[$0] ?? []) }
        }
    }

    /// The expressions for requests, latencies, connections and bytes.
    static func batch(
        _ matchers: LabelMatchers, bytes: LabelMatchers, groups: [String], _ window: StatWindow,
        requests: Bool = true, tcp: Bool = true, extraGroups: [String] = []
    ) -> Batch {
        let range = PromQL.range(window.window.milliseconds)
        var batch: Batch = []
        if requests {
            let by = groups + ["classification", "tls"] + extraGroups
            batch.append((.responses, PromQL.increase("response_total", matchers, range, by: by)))
            for quantile in PromQL.quantiles {
                let expression = PromQL.quantile(
                    quantile, "response_latency_ms_bucket", matchers, range, by: groups)
                batch.append((.quantile(quantile), expression))
            }
        }
        if tcp {
            let by = groups + extraGroups
            batch.append((.connections, PromQL.sum("tcp_open_connections", matchers, by: by)))
            batch.append((.readBytes, PromQL.increase("tcp_read_bytes_total", bytes, range, by: by)))
            batch.append((.writeBytes, PromQL.increase("tcp_write_bytes_total", bytes, range, by: by)))
        }
        return batch
    }

    package func traffic(_ query: TrafficQuery) async throws -> [ObjectName: TrafficStats] {
        let shape = TrafficShape(query.selected, query.filter)
        let batch = Self.batch(
            shape.matchers, bytes: shape.byteMatchers, groups: shape.groups, query.window,
            requests: query.wantsRequests, tcp: query.wantsTCP)
        return Self.fold(try await vectors(batch, at: query.window.queryTime)) { shape.object($0) }
            .filter(\.value.isActive)
    }

    package func leaves(_ query: LeafQuery) async throws -> [LeafName: TrafficStats] {
        var matchers = LabelMatchers(["direction": "outbound"])
        let host = LabelMatchers.regexEscaped("\(query.apex.name).\(query.apex.namespace).svc")
        matchers.match("authority", "^\(host)([.:].*)?$")
        switch query.filter {
        case .none: break
        case .to(let end): if !end.name.isEmpty { matchers = matchers.merged(PromQL.far(end)) }
        case .from(let end): matchers = matchers.merged(PromQL.own(end))
        }
        let batch = Self.batch(
            matchers, bytes: matchers.merged(LabelMatchers(["peer": "dst"])),
            groups: ["dst_namespace", "dst_service"], query.window)
        return Self.fold(try await vectors(batch, at: query.window.queryTime)) { labels in
            guard let service = labels["dst_service"], !service.isEmpty else { return nil as LeafName? }
            return LeafName(namespace: labels["dst_namespace"] ?? "", service: service)
        }.filter(\.value.isActive)
    }

    package func routes(_ query: RouteQuery) async throws -> [RouteName: TrafficStats] {
        guard !query.profiles.isEmpty else { return [:] }
        var matchers =
            query.selected.kind == .service
            ? LabelMatchers(["namespace": query.selected.namespace]) : PromQL.own(query.selected)
        matchers["direction"] = query.isOutbound ? "outbound" : "inbound"
        let hosts = query.profiles.sorted().map { LabelMatchers.regexEscaped($0) }.joined(separator: "|")
        matchers.match("dst", "(\(hosts))(:\\d+)?")
        let range = PromQL.range(query.window.window.milliseconds)
        let counted = ["rt_route", "dst", "classification"]
        var batch: Batch = [
            (.responses, PromQL.increase("route_response_total", matchers, range, by: counted))
        ]
        for quantile in PromQL.quantiles {
            let expression = PromQL.quantile(
                quantile, "route_response_latency_ms_bucket", matchers, range, by: ["dst", "rt_route"])
            batch.append((.quantile(quantile), expression))
        }
        if query.isOutbound {
            batch.append(
                (.actualResponses, PromQL.increase("route_actual_response_total", matchers, range, by: counted)))
        }
        return Self.fold(try await vectors(batch, at: query.window.queryTime)) { labels in
            RouteName(profile: RouteName.host(labels["dst"] ?? ""), route: labels["rt_route"] ?? "")
        }.filter { $0.value.responses > 0 || $0.value.actualSuccesses &+ $0.value.actualFailures > 0 }
    }

    package func scrapes() async throws -> [ObjectName: ScrapeNote] {
        let now = UnixTime.current
        async let starts = client.query("max(process_start_time_seconds) by (pod, namespace)", at: now)
        async let times = client.query("max(timestamp(process_start_time_seconds)) by (pod, namespace)", at: now)
        func pod(_ labels: [String: String]) -> ObjectName {
            ObjectName(labels["namespace"] ?? "", labels["pod"] ?? "")
        }
        var notes: [ObjectName: ScrapeNote] = [:]
        for sample in try await starts where !(sample.labels["pod"] ?? "").isEmpty {
            notes[pod(sample.labels)] = ScrapeNote(
                scrapedAt: now, processStart: UnixTime(seconds: sample.value))
        }
        for sample in try await times {
            notes[pod(sample.labels)]?.scrapedAt = UnixTime(seconds: sample.value)
        }
        return notes
    }

    package func problem() async -> String? {
        do {
            _ = try await client.query("max(process_start_time_seconds) by (pod, namespace)", at: .current)
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// Adds samples up by group.
    static func fold<Group: Hashable>(
        _ vectors: [(part: Part, samples: [PrometheusSample])], _ group: ([String: String]) -> Group?
    ) -> [Group: TrafficStats] {
        var stats: [Group: TrafficStats] = [:]
        for (part, samples) in vectors {
            for sample in samples {
                guard let group = group(sample.labels) else { continue }
                add(sample.labels, sample.value, as: part, to: &stats[group, default: TrafficStats()])
            }
        }
        return stats
    }

    static func add(_ labels: [String: String], _ value: Double, as part: Part, to stats: inout TrafficStats) {
        let count = PrometheusSample.count(value)
        let classification = labels["classification"]
        switch part {
        case .responses where classification == "success": stats.successes &+= count
        case .responses where classification == "failure": stats.failures &+= count
        case .actualResponses where classification == "success": stats.actualSuccesses &+= count
        case .actualResponses where classification == "failure": stats.actualFailures &+= count
        case .responses, .actualResponses, .opens: break
        case .connections: stats.openConnections &+= count
        case .readBytes: stats.readBytes &+= count
        case .writeBytes: stats.writeBytes &+= count
        case .quantile(let quantile):
            guard value.isFinite else { return }
            var latency = stats.latency ?? LatencyQuantiles()
            switch quantile {
            case 0.5: latency.p50 = max(latency.p50, value)
            case 0.95: latency.p95 = max(latency.p95, value)
            default: latency.p99 = max(latency.p99, value)
            }
            stats.latency = latency
        }
    }
}
