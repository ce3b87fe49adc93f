package import MeshMetrics

/// Writes a snapshot as the proxy's exposition: families and labels of Linkerd 2.11 (`spec/proxy.md` 6.2).
package enum MetricsRenderer {
    /// Appends every family that has a series.
    package static func render(_ snapshot: MetricsSnapshot, into writer: inout ExpositionWriter) {
        for family in CounterFamily.allCases { render(snapshot, family, into: &writer) }
        for scope in RequestScope.allCases { render(snapshot.requests[scope] ?? [:], scope, into: &writer) }
        render(snapshot.sockets, into: &writer)
    }

    private static func render(
        _ snapshot: MetricsSnapshot, _ family: CounterFamily, into writer: inout ExpositionWriter
    ) {
        guard let entries = snapshot.counters[family], !entries.isEmpty else { return }
        writer.family(family.rawValue, help: family.help, type: .counter)
        for (labels, value) in entries.sorted(by: { $0.key < $1.key }) {
            writer.sample(family.rawValue, labelText: labels, value: value)
        }
    }

    private static func render(
        _ entries: [String: MetricsSnapshot.Requests], _ scope: RequestScope,
        into writer: inout ExpositionWriter
    ) {
        guard !entries.isEmpty else { return }
        let sorted = entries.sorted { $0.key < $1.key }
        let prefix = scope.rawValue
        open("\(prefix)request_total", in: &writer)
        for (labels, series) in sorted {
            writer.sample("\(prefix)request_total", labelText: labels, value: series.requestTotal)
        }
        if sorted.contains(where: { !$0.value.latencies.isEmpty }) {
            open("\(prefix)response_latency_ms", in: &writer)
        }
        for (labels, series) in sorted {
            for latency in series.latencies {
                writer.histogram(
                    "\(prefix)response_latency_ms", labelText: "\(labels),status_code=\"\(latency.status)\"",
                    bounds: LatencyBuckets.boundsMilliseconds, counts: latency.counts,
                    sum: latency.sumMilliseconds)
            }
        }
        if sorted.contains(where: { !$0.value.outcomes.isEmpty }) {
            open("\(prefix)response_total", in: &writer)
        }
        for (labels, series) in sorted {
            for (outcome, count) in series.outcomes.sorted(by: { $0.key.labels < $1.key.labels }) {
                writer.sample("\(prefix)response_total", labelText: labels + outcome.labels, value: count)
            }
        }
    }

    /// Opens a family by name; help and type are the catalogue's.
    private static func open(_ name: String, in writer: inout ExpositionWriter) {
        if let family = MetricCatalogue.family(name) {
            writer.family(family)
        } else {
            writer.family(name, help: name, type: .untyped)
        }
    }

    private static func render(
        _ entries: [String: MetricsSnapshot.Sockets], into writer: inout ExpositionWriter
    ) {
        guard !entries.isEmpty else { return }
        let sorted = entries.sorted { $0.key < $1.key }
        func family(_ name: String, _ value: (MetricsSnapshot.Sockets) -> UInt64) {
            open(name, in: &writer)
            for (labels, series) in sorted { writer.sample(name, labelText: labels, value: value(series)) }
        }
        family("tcp_open_total", \.openTotal)
        family("tcp_open_connections", \.openCount)
        family("tcp_read_bytes_total", \.readBytes)
        family("tcp_write_bytes_total", \.writeBytes)
        guard sorted.contains(where: { !$0.value.closes.isEmpty }) else { return }
        open("tcp_close_total", in: &writer)
        for (labels, series) in sorted {
            for (errno, count) in series.closes.sorted(by: { $0.key < $1.key }) {
                let text = "\(labels),errno=\"\(SystemErrorText.name(errno))\""
                writer.sample("tcp_close_total", labelText: text, value: count)
            }
        }
    }
}

extension RequestMetrics.Outcome {
    /// The labels this outcome adds, with a leading comma.
    fileprivate var labels: String {
        var text = ""
        if status != 0 { text += ",status_code=\"\(status)\"" }
        text += ",classification=\"\(classification.rawValue)\""
        if grpcStatus >= 0 { text += ",grpc_status=\"\(grpcStatus)\"" }
        if !error.isEmpty { text += ",error=\"\(error)\"" }
        return text
    }
}
