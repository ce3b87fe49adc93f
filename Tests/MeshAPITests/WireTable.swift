// The numbers of the wire contract, one message a line: `field:number` and how it travels: v varint, f four
// bytes, d eight bytes, s text or bytes, m message, e map entry.

let wireTable = """
    io.linkerd.proxy.net.IPAddress ipv4:1f ipv6:2m
    io.linkerd.proxy.net.IPNetwork ip:1m prefix_len:2v
    io.linkerd.proxy.net.IPv6 first:1d last:2d
    io.linkerd.proxy.net.TcpAddress ip:1m port:2v
    io.linkerd.proxy.http_types.HttpMethod registered:1v unregistered:2s
    io.linkerd.proxy.http_types.Scheme registered:1v unregistered:2s
    io.linkerd.proxy.http_types.Headers headers:1m
    io.linkerd.proxy.http_types.Headers.Header name:1s value:2s
    io.linkerd.proxy.meta.Metadata default:1s resource:2m
    io.linkerd.proxy.meta.Resource group:1s kind:2s name:3s namespace:4s section:5s port:6v
    io.linkerd.proxy.identity.CertifyRequest identity:1s token:2s certificate_signing_request:3s
    io.linkerd.proxy.identity.CertifyResponse leaf_certificate:1s intermediate_certificates:2s \
        valid_until:3m
    io.linkerd.proxy.destination.GetDestination scheme:1s path:2s context_token:3s
    io.linkerd.proxy.destination.Update add:1m remove:2m no_endpoints:3m
    io.linkerd.proxy.destination.AddrSet addrs:1m
    io.linkerd.proxy.destination.WeightedAddrSet addrs:1m metric_labels:2e
    io.linkerd.proxy.destination.WeightedAddr addr:1m weight:3v metric_labels:4e tls_identity:5m \
        protocol_hint:6m authority_override:7m http2:8m resource_ref:9m
    io.linkerd.proxy.destination.TlsIdentity dns_like_identity:1m uri_like_identity:3m server_name:4m
    io.linkerd.proxy.destination.TlsIdentity.DnsLikeIdentity name:1s
    io.linkerd.proxy.destination.TlsIdentity.UriLikeIdentity uri:1s
    io.linkerd.proxy.destination.AuthorityOverride authority_override:1s
    io.linkerd.proxy.destination.NoEndpoints exists:1v
    io.linkerd.proxy.destination.ProtocolHint h2:1m opaque_transport:2m opaque:3m
    io.linkerd.proxy.destination.ProtocolHint.OpaqueTransport inbound_port:1v
    io.linkerd.proxy.destination.Http2ClientParams flow_control:1m keep_alive:2m internals:3m
    io.linkerd.proxy.destination.Http2ClientParams.FlowControl initial_connection_window_size:1v \
        initial_stream_window_size:2v adaptive_flow_control:3v
    io.linkerd.proxy.destination.Http2ClientParams.KeepAlive interval:1m timeout:2m while_idle:3v
    io.linkerd.proxy.destination.Http2ClientParams.Internals max_concurrent_reset_streams:1v \
        max_frame_size:2v max_send_buf_size:3v
    io.linkerd.proxy.destination.DestinationProfile routes:1m retry_budget:2m dst_overrides:3m \
        opaque_protocol:4v fully_qualified_name:5s endpoint:6m parent_ref:7m profile_ref:8m
    io.linkerd.proxy.destination.Route condition:1m response_classes:2m metrics_labels:3e \
        is_retryable:4v timeout:5m
    io.linkerd.proxy.destination.RetryBudget retry_ratio:1f min_retries_per_second:2v ttl:3m
    io.linkerd.proxy.destination.ResponseClass condition:1m is_failure:2v
    io.linkerd.proxy.destination.RequestMatch all:1m any:2m not:3m path:4m method:5m
    io.linkerd.proxy.destination.RequestMatch.Seq matches:1m
    io.linkerd.proxy.destination.PathMatch regex:1s
    io.linkerd.proxy.destination.ResponseMatch all:1m any:2m not:3m status:4m
    io.linkerd.proxy.destination.ResponseMatch.Seq matches:1m
    io.linkerd.proxy.destination.HttpStatusRange min:1v max:2v
    io.linkerd.proxy.destination.WeightedDst authority:1s weight:2v backend_ref:3m
    io.linkerd.proxy.tap.ObserveRequest limit:1v match:2m extract:3m
    io.linkerd.proxy.tap.ObserveRequest.Match all:1m any:2m not:3m source:4m destination:5m http:6m \
        destination_label:7m route_label:8m
    io.linkerd.proxy.tap.ObserveRequest.Match.Seq matches:1m
    io.linkerd.proxy.tap.ObserveRequest.Match.Label key:1s value:2s
    io.linkerd.proxy.tap.ObserveRequest.Match.Tcp netmask:1m ports:3m
    io.linkerd.proxy.tap.ObserveRequest.Match.Tcp.Netmask ip:1m mask:2v
    io.linkerd.proxy.tap.ObserveRequest.Match.Tcp.PortRange min:1v max:2v
    io.linkerd.proxy.tap.ObserveRequest.Match.Http scheme:1m authority:2m method:3m path:4m
    io.linkerd.proxy.tap.ObserveRequest.Match.Http.StringMatch exact:1s prefix:2s
    io.linkerd.proxy.tap.ObserveRequest.Extract http:1m
    io.linkerd.proxy.tap.ObserveRequest.Extract.Http headers:1m
    io.linkerd.proxy.tap.Eos grpc_status_code:1v reset_error_code:2v
    io.linkerd.proxy.tap.TapEvent source:1m destination:2m http:3m destination_meta:4m source_meta:5m \
        proxy_direction:6v route_meta:7m
    io.linkerd.proxy.tap.TapEvent.EndpointMeta labels:1e
    io.linkerd.proxy.tap.TapEvent.RouteMeta labels:1e
    io.linkerd.proxy.tap.TapEvent.Http request_init:1m response_init:2m response_end:3m
    io.linkerd.proxy.tap.TapEvent.Http.StreamId base:1v stream:2v
    io.linkerd.proxy.tap.TapEvent.Http.RequestInit id:1m method:2m scheme:3m authority:4s path:5s \
        headers:6m
    io.linkerd.proxy.tap.TapEvent.Http.ResponseInit id:1m since_request_init:2m http_status:3v \
        headers:4m
    io.linkerd.proxy.tap.TapEvent.Http.ResponseEnd id:1m since_request_init:2m since_response_init:3m \
        response_bytes:4v eos:5m trailers:6m
    linkerd2.common.net.IPAddress ipv4:1f ipv6:2m
    linkerd2.common.net.IPv6 first:1d last:2d
    linkerd2.common.net.TcpAddress ip:1m port:2v
    linkerd2.viz.CheckResult SubsystemName:1s CheckDescription:2s Status:3v FriendlyMessageToUser:4s
    linkerd2.viz.SelfCheckResponse results:1m
    linkerd2.viz.ListServicesRequest namespace:1s
    linkerd2.viz.ListServicesResponse services:1m
    linkerd2.viz.Service name:1s namespace:2s
    linkerd2.viz.ListPodsRequest selector:2m
    linkerd2.viz.ListPodsResponse pods:1m
    linkerd2.viz.Pod name:1s podIP:2s deployment:3s status:4s added:5v sinceLastReport:6m \
        controllerNamespace:7s controlPlane:8v uptime:9m replica_set:10s replication_controller:11s \
        stateful_set:12s daemon_set:13s job:14s proxyReady:15v proxyVersion:16s resourceVersion:17s
    linkerd2.viz.HttpMethod registered:1v unregistered:2s
    linkerd2.viz.Scheme registered:1v unregistered:2s
    linkerd2.viz.Headers headers:1m
    linkerd2.viz.Headers.Header name:1s value_str:2s value_bin:3s
    linkerd2.viz.Eos grpc_status_code:1v reset_error_code:2v
    linkerd2.viz.ApiError error:1s
    linkerd2.viz.PodErrors errors:1m
    linkerd2.viz.PodErrors.PodError container:1m
    linkerd2.viz.PodErrors.PodError.ContainerError message:1s container:2s image:3s reason:4s
    linkerd2.viz.Resource namespace:1s type:2s name:3s
    linkerd2.viz.ResourceSelection resource:1m label_selector:2s
    linkerd2.viz.ResourceError resource:1m error:2s
    linkerd2.viz.StatSummaryRequest selector:1m time_window:2s none:3m to_resource:4m from_resource:5m \
        skip_stats:6v tcp_stats:7v
    linkerd2.viz.StatSummaryResponse ok:1m error:2m
    linkerd2.viz.StatSummaryResponse.Ok stat_tables:1m
    linkerd2.viz.AuthzRequest resource:1m time_window:2s
    linkerd2.viz.AuthzResponse ok:1m error:2m
    linkerd2.viz.AuthzResponse.Ok stat_table:1m
    linkerd2.viz.BasicStats success_count:1v failure_count:2v latency_ms_p50:3v latency_ms_p95:4v \
        latency_ms_p99:5v actual_success_count:6v actual_failure_count:7v
    linkerd2.viz.TcpStats open_connections:1v read_bytes_total:2v write_bytes_total:3v
    linkerd2.viz.TrafficSplitStats apex:2s leaf:3s weight:4s
    linkerd2.viz.ServerStats allowed_count:1v denied_count:2v srv:3m route:4m authz:5m
    linkerd2.viz.StatTable pod_group:1m
    linkerd2.viz.StatTable.PodGroup rows:1m
    linkerd2.viz.StatTable.PodGroup.Row resource:1m time_window:2s meshed_pod_count:3v \
        running_pod_count:4v stats:5m failed_pod_count:6v errors_by_pod:7e tcp_stats:8m status:9s \
        ts_stats:10m srv_stats:11m
    linkerd2.viz.EdgesRequest selector:1m
    linkerd2.viz.EdgesResponse ok:1m error:2m
    linkerd2.viz.EdgesResponse.Ok edges:1m
    linkerd2.viz.Edge src:1m dst:2m client_id:3s server_id:4s no_identity_msg:5s
    linkerd2.viz.TopRoutesRequest selector:1m time_window:2s none:3m to_resource:7m
    linkerd2.viz.TopRoutesResponse error:2m ok:3m
    linkerd2.viz.TopRoutesResponse.Ok routes:1m
    linkerd2.viz.RouteTable rows:1m resource:2s
    linkerd2.viz.RouteTable.Row route:1s time_window:2s stats:5m authority:6s
    linkerd2.viz.GatewaysTable rows:1m
    linkerd2.viz.GatewaysTable.Row namespace:1s name:2s cluster_name:3s paired_services:4v alive:5v \
        latency_ms_p50:6v latency_ms_p95:7v latency_ms_p99:8v
    linkerd2.viz.GatewaysRequest remote_cluster_name:1s gateway_namespace:2s time_window:3s
    linkerd2.viz.GatewaysResponse ok:1m error:2m
    linkerd2.viz.GatewaysResponse.Ok gateways_table:1m
    linkerd2.tap.TapRequest pod:1s deployment:2s maxRps:3f toPort:4v toIP:5s fromPort:6v fromIP:7s \
        scheme:8s method:9s authority:10s path:11s
    linkerd2.tap.TapByResourceRequest target:1m match:2m maxRps:3f extract:4m
    linkerd2.tap.TapByResourceRequest.Match all:1m any:2m not:3m destinations:4m http:5m
    linkerd2.tap.TapByResourceRequest.Match.Seq matches:1m
    linkerd2.tap.TapByResourceRequest.Match.Http scheme:1s method:2s authority:3s path:4s
    linkerd2.tap.TapByResourceRequest.Extract http:1m
    linkerd2.tap.TapByResourceRequest.Extract.Http headers:1m
    """
