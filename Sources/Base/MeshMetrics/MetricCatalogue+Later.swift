extension MetricCatalogue {
    private static let parent =
        Label.must("parent_group", "parent_kind", "parent_namespace", "parent_name", "parent_port", "parent_section_name")
    private static let backend =
        Label.must("backend_group", "backend_kind", "backend_namespace", "backend_name", "backend_port", "backend_section_name")
    private static let outboundRoute = Label.must("route_group", "route_kind", "route_namespace", "route_name")

    /// Families that releases after 2.11 added (`spec/proxy.md` 6.10).
    static let later =
        dnsAndIdentity + detection + policyRoutes + balancers + transports + runtime

    private static func absent(
        _ reason: String, _ families: [(name: String, type: MetricType)], labels: [Label] = []
    ) -> [MetricFamily] {
        families.map {
            MetricFamily($0.name, $0.type, "Of later releases", labels: labels, since: .later, .absent(reason))
        }
    }

    private static let dnsAndIdentity =
        absent(
            "the system's resolver is asked with each connection to the control plane, and does not say how",
            [("control_dns_resolutions_total", .counter)])
        + [
            MetricFamily(
                "control_identity_cert_expiration_timestamp_seconds", .gauge, "When the certificate ends, since the epoch",
                since: .later),
            MetricFamily(
                "control_identity_cert_refresh_timestamp_seconds", .gauge, "When the certificate came, since the epoch",
                since: .later),
            MetricFamily(
                "control_identity_cert_refreshes_total", .counter, "Attempts to get a certificate",
                labels: Label.must("result"), since: .later),
        ]

    private static let detection =
        [
            MetricFamily(
                "outbound_tcp_protocol_connections_total", .counter, "Outbound connections, by how their protocol is known",
                labels: Label.must("protocol") + parent, since: .later),
            MetricFamily(
                "outbound_tcp_detect_http_results_total", .counter, "What outbound connections turned out to carry",
                labels: Label.must("result") + parent, since: .later),
            MetricFamily(
                "inbound_tcp_detect_http_results_total", .counter, "What inbound connections turned out to carry",
                labels: Label.must("result") + server, since: .later),
        ]
        + absent(
            "detection is the first read here: what would be measured is how long the client took to say something",
            [
                ("outbound_tcp_detect_http_duration_seconds", .histogram),
                ("inbound_tcp_detect_http_duration_seconds", .histogram),
            ])

    private static let policyRoutes =
        ["http", "grpc"].flatMap { kind in
            absent(
                noRoutes,
                [
                    ("outbound_\(kind)_route_request_duration_seconds", .histogram),
                    ("outbound_\(kind)_route_request_statuses_total", .counter),
                    ("outbound_\(kind)_route_request_frame_size_bytes", .histogram),
                    ("outbound_\(kind)_route_retry_limit_exceeded_total", .counter),
                    ("outbound_\(kind)_route_retry_overflow_total", .counter),
                    ("outbound_\(kind)_route_retry_requests_total", .counter),
                    ("outbound_\(kind)_route_retry_successes_total", .counter),
                ], labels: parent + outboundRoute)
                + absent(
                    noRoutes,
                    [
                        ("outbound_\(kind)_route_backend_requests_total", .counter),
                        ("outbound_\(kind)_route_backend_response_duration_seconds", .histogram),
                        ("outbound_\(kind)_route_backend_response_frame_size_bytes", .histogram),
                        ("outbound_\(kind)_route_backend_response_statuses_total", .counter),
                    ], labels: parent + outboundRoute + backend)
                + absent(
                    noRoutes,
                    [
                        ("inbound_\(kind)_requests_total", .counter), ("inbound_\(kind)_request_duration_seconds", .histogram),
                        ("inbound_\(kind)_response_duration_seconds", .histogram),
                        ("inbound_\(kind)_request_frame_size_bytes", .histogram),
                        ("inbound_\(kind)_response_frame_size_bytes", .histogram), ("inbound_\(kind)_statuses_total", .counter),
                    ])
        }

    private static let balancers = ["http", "tcp", "tls"].flatMap { kind in
        absent(
            "the parent of a balancer is named by policy; until then `tcp_open_connections` by `dst_` labels shows its endpoints",
            [
                ("outbound_\(kind)_balancer_endpoints", .gauge), ("outbound_\(kind)_balancer_p2c_endpoints", .gauge),
                ("outbound_\(kind)_balancer_p2c_updates_total", .counter), ("outbound_\(kind)_balancer_queue_length", .gauge),
                ("outbound_\(kind)_balancer_queue_requests_total", .counter),
                ("outbound_\(kind)_balancer_queue_latency_seconds", .histogram),
                ("outbound_\(kind)_balancer_queue_gate_open_total", .counter),
                ("outbound_\(kind)_balancer_queue_gate_shut_total", .counter),
                ("outbound_\(kind)_balancer_queue_gate_open_time_seconds", .gauge),
                ("outbound_\(kind)_balancer_queue_gate_shut_time_seconds", .gauge),
                ("outbound_\(kind)_balancer_queue_gate_timeout_seconds", .gauge),
            ], labels: parent + backend)
    }

    private static let transports =
        absent(
            "each connection to the control plane goes to one address: there is no balancer to describe",
            ["identity", "destination", "policy"].map { ("control_\($0)_balancer_endpoints", .gauge) })
        + absent("no spans are made", [("opentelemetry_balancer_endpoints", .gauge)])
        + absent(noRoutes, [
            ("outbound_tcp_route_open_total", .counter), ("outbound_tcp_route_close_total", .counter),
            ("outbound_tls_route_open_total", .counter), ("outbound_tls_route_close_total", .counter),
        ])
        + absent(
            "`tcp_read_bytes_total` and `tcp_write_bytes_total` have the bytes, and their `dst_` labels the zone",
            [("outbound_tcp_transfer_cost_bytes_total", .counter)])
        + [
            MetricFamily(
                "inbound_tcp_transport_header_connections_total", .counter,
                "Connections that other proxies made to this one's own port, by what they say about themselves",
                labels: Label.must("session_protocol", "target_port", "target_name", "client_id"), since: .later)
        ]

    private static let runtime =
        absent("TLS is OpenSSL's, which `proxy_build_info` need not repeat", [("rustls_info", .gauge)])
        + absent(
            "they describe a runtime that this proxy does not have",
            [
                "tokio_rt_workers", "tokio_rt_injection_queue_depth", "tokio_rt_local_queue_depth", "tokio_rt_park_total",
                "tokio_rt_noop_total", "tokio_rt_steal_total", "tokio_rt_steal_operations_total",
                "tokio_rt_remote_schedule_total", "tokio_rt_local_schedule_total", "tokio_rt_overflow_total",
                "tokio_rt_polls_total", "tokio_rt_budget_forced_yield_total", "tokio_rt_io_driver_ready_total",
                "tokio_rt_busy_seconds_total",
            ].map { ($0, .counter) })
}
