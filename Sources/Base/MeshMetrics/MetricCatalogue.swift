// Every metric family of a proxy, once. Names, labels and buckets are Linkerd's (`spec/proxy.md` 6.2 to 6.10),
// so that dashboards travel.
//
// Of the two generations of labels the proxy follows the later one for resources (`srv_`, `route_` and `authz_`
// with group, kind and name: today's control planes and viz name objects so) and the earlier one for how a
// response is classified (`grpc_status` and `error` only where there is one, `authority` on inbound series):
// what reads the later one copes with a label that is not there, and the other way round nothing would.

/// The catalogue.
public enum MetricCatalogue {
    typealias Label = MetricFamily.Label

    /// All families, also those that this proxy does not have, in the order of the reference.
    public static let all: [MetricFamily] =
        endpoint + routes + control + sockets + authorizations + errors + stacks + spans + identity + process + cardinality
        + later

    /// The family of that name.
    public static func family(_ name: String) -> MetricFamily? { byName[name] }

    private static let byName = Dictionary(all.map { ($0.name, $0) }) { first, _ in first }

    // MARK: Label groups

    static let target = Label.must("target_addr", "target_ip", "target_port")
    static let tls = Label.must("tls") + Label.may("no_tls_reason", "client_id", "server_id", "sni")
    static let server = Label.must("srv_group", "srv_kind", "srv_name", "srv_port")
    static let route = Label.must("route_group", "route_kind", "route_name")
    static let authorization = Label.must("authz_group", "authz_kind", "authz_name")
    /// Inbound and outbound share families, so what only one of them has is optional here.
    private static let mayServer =
        Label.may("srv_group", "srv_kind", "srv_name", "srv_port", "route_group", "route_kind", "route_name")
        + Label.may("authz_group", "authz_kind", "authz_name")
    private static let endpointLabels =
        Label.must("direction") + Label.may("authority") + target + tls + mayServer + Label.any("dst_")
    private static let classification = Label.must("classification") + Label.may("grpc_status", "error")
    private static let routeLabels = Label.must("direction", "dst") + Label.any("rt_")
    private static let controlLabels = Label.must("addr") + tls
    private static let transportLabels =
        Label.must("direction", "peer") + Label.may("authority", "target_addr", "target_ip", "target_port") + tls
        + Label.may("srv_group", "srv_kind", "srv_name", "srv_port") + Label.any("dst_")

    /// Every latency histogram's bounds, as `le` spells them.
    static let latencyBuckets = LatencyBuckets.boundsMilliseconds.map { String($0) }

    // MARK: Families

    private static func requests(
        _ prefix: String, _ labels: [Label], _ what: String, _ standing: MetricFamily.Standing = .exported
    ) -> [MetricFamily] {
        [
            MetricFamily("\(prefix)request_total", .counter, "Requests \(what)", labels: labels, standing),
            MetricFamily(
                "\(prefix)response_latency_ms", .histogram, "Time from a request's dispatch to its first response byte",
                labels: labels + Label.must("status_code"), buckets: latencyBuckets, standing),
            MetricFamily(
                "\(prefix)response_total", .counter, "Responses completed",
                labels: labels + Label.may("status_code") + classification, standing),
        ]
    }

    static let endpoint = requests("", endpointLabels, "sent on")

    static let routes =
        requests("route_", routeLabels, "of a route, as its client sees them")
        + [
            MetricFamily(
                "route_actual_request_total", .counter, "Requests of a route with every attempt", labels: routeLabels),
            MetricFamily(
                "route_actual_response_total", .counter, "Responses of a route with every attempt",
                labels: routeLabels + Label.may("status_code") + classification),
            MetricFamily(
                "route_retryable_total", .counter, "Responses that could be retried, and those that the budget did not allow",
                labels: routeLabels + Label.may("skipped")),
        ]

    static let control = requests("control_", controlLabels, "to the control plane")

    static let sockets = [
        MetricFamily("tcp_open_total", .counter, "Connections opened", labels: transportLabels),
        MetricFamily("tcp_open_connections", .gauge, "Connections open now", labels: transportLabels),
        MetricFamily("tcp_read_bytes_total", .counter, "Bytes read from peers", labels: transportLabels),
        MetricFamily("tcp_write_bytes_total", .counter, "Bytes written to peers", labels: transportLabels),
        MetricFamily("tcp_close_total", .counter, "Connections closed", labels: transportLabels + Label.must("errno")),
    ]

    static let authorizations = [
        MetricFamily(
            "inbound_http_authz_allow_total", .counter, "Inbound requests that policy let in",
            labels: target + server + route + authorization + tls),
        MetricFamily(
            "inbound_http_authz_deny_total", .counter, "Inbound requests that policy kept out",
            labels: target + server + route + tls),
        MetricFamily(
            "inbound_tcp_authz_allow_total", .counter, "Inbound connections that policy let in",
            labels: target + server + authorization + tls),
        MetricFamily(
            "inbound_tcp_authz_deny_total", .counter, "Inbound connections that policy kept out",
            labels: target + server + tls),
        MetricFamily(
            "inbound_tcp_authz_terminate_total", .counter, "Inbound connections that a change of policy ended",
            labels: target + server + tls, .absent("the default policy does not change while the process runs")),
        MetricFamily(
            "inbound_http_route_not_found_total", .counter, "Inbound requests that no route takes",
            labels: target + server + tls, since: .later, .absent(noRoutes)),
        MetricFamily(
            "inbound_http_local_ratelimit_total", .counter, "Inbound requests over a rate limit", labels: target + server,
            since: .later, .absent("rate limits come from a policy service")),
    ]
    static let noRoutes = "routes of policy come from a policy service"

    static let errors = [
        MetricFamily(
            "inbound_http_errors_total", .counter, "Inbound HTTP requests that the proxy failed by itself",
            labels: Label.must("error") + target + server),
        MetricFamily(
            "inbound_tcp_errors_total", .counter, "Inbound connections that the proxy failed by itself",
            labels: Label.must("error") + target),
        MetricFamily(
            "outbound_http_errors_total", .counter, "Outbound HTTP requests that the proxy failed by itself",
            labels: Label.must("error")),
        MetricFamily(
            "outbound_tcp_errors_total", .counter, "Outbound connections that the proxy failed by itself",
            labels: target + Label.must("error")),
    ]

    static let stacks = [
        ("stack_create_total", MetricType.counter), ("stack_drop_total", .counter), ("stack_poll_total", .counter),
        ("stack_poll_total_ms", .counter),
    ].map { name, type in
        MetricFamily(
            name, type, "Service stacks of the reference", labels: Label.must("direction", "protocol", "name"),
            .absent("there are no layers here that are made, polled and dropped; `tcp_open_total` and the balancers say what matters"))
    }

    static let spans = ["opencensus_span_export_streams", "opencensus_span_export_requests", "opencensus_span_exports"].map {
        MetricFamily($0, .counter, "Spans sent", .absent("no spans are made"))
    }

    static let identity = [
        MetricFamily("identity_cert_expiration_timestamp_seconds", .gauge, "When the certificate ends, since the epoch"),
        MetricFamily("identity_cert_refresh_count", .counter, "Certificates received"),
    ]

    static let process = [
        MetricFamily("process_start_time_seconds", .gauge, "When the process started, since the epoch"),
        MetricFamily("process_cpu_seconds_total", .counter, "CPU time, user and system"),
        MetricFamily("process_open_fds", .gauge, "Open descriptors"),
        MetricFamily("process_max_fds", .gauge, "Descriptors allowed"),
        MetricFamily("process_virtual_memory_bytes", .gauge, "Virtual memory"),
        MetricFamily("process_resident_memory_bytes", .gauge, "Resident memory"),
        MetricFamily("process_uptime_seconds_total", .counter, "Time since the proxy started", since: .later),
        MetricFamily("process_threads", .gauge, "Threads", since: .later),
        MetricFamily(
            "process_network_receive_bytes_total", .counter, "Bytes received by the pod's interfaces, loopback aside",
            since: .later),
        MetricFamily(
            "process_network_transmit_bytes_total", .counter, "Bytes sent by the pod's interfaces, loopback aside",
            since: .later),
        MetricFamily(
            "proxy_build_info", .gauge, "Which build runs",
            labels: Label.must("date", "git_sha", "profile", "vendor", "version")),
    ]

    static let cardinality = [
        MetricFamily(
            "proxy_metrics_folded_total", .counter,
            "Label sets that came when a kind of series was full, and count under `other`", labels: Label.must("kind"),
            since: .ours),
        MetricFamily(
            "proxy_access_log_dropped_total", .counter, "Lines of the access log that nobody read in time", since: .ours),
    ]

    /// The table of all families, in Markdown, as the README has it.
    public static func table() -> String {
        var lines = ["| Family | Type | Labels | What it counts |", "|---|---|---|---|"]
        for family in all {
            guard case .exported = family.standing else { continue }
            let labels = family.labels.map { label in
                "`\(label.name)\(label.isPrefix ? "*" : "")`" + (label.isOptional && !label.isPrefix ? "?" : "")
            }
            let text = labels.isEmpty ? "–" : labels.joined(separator: " ")
            lines.append("| `\(family.name)` | \(family.type.rawValue) | \(text) | \(family.help) |")
        }
        lines += ["", "Families of the reference that are left out, and why:", ""]
        var reasons: [(reason: String, names: [String])] = []
        for family in all {
            guard case .absent(let reason) = family.standing else { continue }
            if let index = reasons.firstIndex(where: { $0.reason == reason }) {
                reasons[index].names.append("`\(family.name)`")
            } else {
                reasons.append((reason, ["`\(family.name)`"]))
            }
        }
        lines += reasons.map { "- \($0.names.joined(separator: ", ")): \($0.reason)." }
        return lines.joined(separator: "\n") + "\n"
    }
}
