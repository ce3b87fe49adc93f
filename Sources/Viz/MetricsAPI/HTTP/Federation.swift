// `/federate` for a Prometheus of one's own: what the store counted, as Linkerd's series by workload instead of by
// pod, so that a long-term server takes some thousand series and not half a million. Counters begin at zero with
// this process, as those of any restarted exporter do, and move on whenever they are asked for. Counts that a
// scrape bridges into the past after that moment are in the store but not here.

import MeshMetrics
import MeshModel
package import MeshRollup
package import RollupStore

/// Counters since the start of the process, by workload, edge and route.
package actor Federation {
    private let store: RollupStore
    private let now: @Sendable () -> UnixTime
    private var upTo: UnixTime
    private var totals: [RollupKey: Rollup] = [:]

    /// Starts counting now.
    package init(store: RollupStore, now: @escaping @Sendable () -> UnixTime) {
        self.store = store
        self.now = now
        upTo = Window.last(.zero, before: now()).to
    }

    /// The exposition of the series that any matcher chooses; all of them without matchers.
    func render(_ matchers: [SeriesMatcher]) async -> [UInt8] {
        await advance()
        var families = FederatedFamilies(matchers)
        for (key, rollup) in totals.sorted(by: { Self.order($0.key) < Self.order($1.key) }) {
            families.add(key, rollup)
        }
        return families.rendered()
    }

    private static func order(_ key: RollupKey) -> String {
        switch key {
        case .object(let key): "0 \(key.workload) \(key.direction)"
        case .edge(let key): "1 \(key)"
        case .route(let key): "2 \(key)"
        case .arrival(let key): "3 \(key)"
        case .request(let key): "4 \(key)"
        }
    }

    private func advance() async {
        let end = Window.last(.zero, before: now()).to
        guard upTo < end else { return }
        let window = Window(from: upTo, to: end)
        // Moved on first: another request may come in while the store answers, and must not count twice.
        upTo = end
        for family in KeyFamily.allCases {
            // What cannot be read now would be a gap; the counters of a running process go on without it.
            let sums = try? await store.totals(
                family, in: window, now: now(), keepsPods: true,
                groupedBy: { key in Self.isFederated(key) ? key.rolledUp : nil })
            for (key, rollup) in sums?.rollups ?? [:] { totals[key, default: Rollup()].append(rollup) }
        }
    }

    /// Whether a key is told: outbound totals of a workload are the sum of its edges, which are told in full.
    private static func isFederated(_ key: RollupKey) -> Bool {
        switch key {
        case .object(let traffic): traffic.direction == .inbound
        case .edge, .route: true
        case .arrival: false  // The same inbound traffic once more, by caller.
        case .request: false  // A sample of it.
        }
    }
}

/// Collects samples by family, as the exposition format wants them.
private struct FederatedFamilies {
    private let matchers: [SeriesMatcher]
    private var samples: [String: [([(String, String)], UInt64)]] = [:]

    private static let families: [(name: String, help: String, type: MetricType)] = [
        ("request_total", "Requests.", .counter),
        ("response_total", "Responses by classification.", .counter),
        ("response_latency_ms", "Time to the first byte of a response in milliseconds.", .histogram),
        ("route_response_total", "Responses by route, after retries.", .counter),
        ("route_response_latency_ms", "As response_latency_ms, by route.", .histogram),
        ("route_actual_response_total", "Responses by route, every attempt.", .counter),
        ("tcp_open_total", "Connections opened.", .counter),
        ("tcp_close_total", "Connections closed.", .counter),
        ("tcp_open_connections", "Connections open.", .gauge),
        ("tcp_read_bytes_total", "Bytes read.", .counter),
        ("tcp_write_bytes_total", "Bytes written.", .counter),
        ("inbound_http_authz_allow_total", "Requests permitted by policy.", .counter),
        ("inbound_http_authz_deny_total", "Requests denied by policy.", .counter),
    ]

    init(_ matchers: [SeriesMatcher]) { self.matchers = matchers }

    mutating func add(_ key: RollupKey, _ rollup: Rollup) {
        switch key {
        case .object(let key):
            let labels = [("direction", key.direction.label)] + Self.labels(key.workload, "")
            addEndpoint(labels, rollup, peer: "src")
            add("inbound_http_authz_allow_total", labels.filter { $0.0 != "direction" }, rollup[.authzAllowed])
            add("inbound_http_authz_deny_total", labels.filter { $0.0 != "direction" }, rollup[.authzDenied])
        case .edge(let key):
            var labels = [("direction", "outbound")] + Self.labels(key.src, "") + Self.labels(key.dst, "dst_")
            labels += [("dst_service", key.service), ("authority", key.authority), ("tls", key.tls)]
            labels.append((key.isSecured ? "server_id" : "no_tls_reason", key.tlsDetail))
            addEndpoint(labels, rollup, peer: "dst")
        case .route(let key):
            var labels = [("direction", key.direction.label)] + Self.labels(key.workload, "")
            labels += [("dst", key.dst), ("rt_route", key.route)]
            let name = key.countsAttempts ? "route_actual_response_total" : "route_response_total"
            addResponses(name, labels, rollup)
            if !key.countsAttempts { addHistogram("route_response_latency_ms", labels, rollup) }
        case .arrival, .request: break
        }
    }

    private static func labels(_ workload: WorkloadKey, _ prefix: String) -> [(String, String)] {
        let kind = ResourceKind(rawValue: workload.kind)?.metricLabel ?? workload.kind
        return [(prefix + "namespace", workload.namespace)]
            + (kind.isEmpty ? [] : [(prefix + kind, workload.name)])
    }

    private mutating func addEndpoint(_ labels: [(String, String)], _ rollup: Rollup, peer: String) {
        add("request_total", labels, rollup[.requests])
        addResponses("response_total", labels, rollup)
        addHistogram("response_latency_ms", labels, rollup)
        let tcp = labels + [("peer", peer)]
        add("tcp_open_total", tcp, rollup[.tcpOpens])
        add("tcp_close_total", tcp, rollup[.tcpCloses])
        if let open = rollup.openConnections { add("tcp_open_connections", tcp, open.last, keepsZero: true) }
        add("tcp_read_bytes_total", tcp, rollup[.readBytes])
        add("tcp_write_bytes_total", tcp, rollup[.writeBytes])
    }

    private mutating func addResponses(_ name: String, _ labels: [(String, String)], _ rollup: Rollup) {
        add(name, labels + [("classification", "success")], rollup[.successes])
        add(name, labels + [("classification", "failure")], rollup[.failures])
    }

    private mutating func addHistogram(_ name: String, _ labels: [(String, String)], _ rollup: Rollup) {
        guard !rollup.latency.isEmpty else { return }
        var total: UInt64 = 0
        for index in 0..<LatencyHistogram.bucketCount {
            total &+= rollup.latency[index]
            let bounds = LatencyBuckets.boundsMilliseconds
            let bound = index < bounds.count ? "\(bounds[index])" : "+Inf"
            add("\(name)_bucket", labels + [("le", bound)], total, keepsZero: true)
        }
        add("\(name)_sum", labels, rollup[.latencySumMilliseconds], keepsZero: true)
        add("\(name)_count", labels, total, keepsZero: true)
    }

    private mutating func add(
        _ name: String, _ labels: [(String, String)], _ value: UInt64, keepsZero: Bool = false
    ) {
        guard value > 0 || keepsZero else { return }
        let labels = [("job", "linkerd-proxy")] + labels.filter { !$0.1.isEmpty }
        guard matchers.isEmpty || matchers.contains(where: { $0.matches(name: name, labels) }) else { return }
        samples[name, default: []].append((labels, value))
    }

    func rendered() -> [UInt8] {
        var writer = ExpositionWriter()
        for (name, help, type) in Self.families {
            let parts = type == .histogram ? ["_bucket", "_sum", "_count"].map { name + $0 } : [name]
            guard parts.contains(where: { samples[$0] != nil }) else { continue }
            writer.family(name, help: help, type: type)
            for part in parts {
                for (labels, value) in samples[part] ?? [] { writer.sample(part, labels: labels, value: value) }
            }
        }
        return writer.bytes
    }
}
