"""Envoy's static configuration for one listener and one cluster, lean: no access log, no request ids, no admin port."""
import json

HTTP_OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
UPSTREAM_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
DOWNSTREAM_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
# So that no limit of its own answers before the load does.
THRESHOLDS = [{"max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000}]


def envoy_config(name, listen, to, listens_http2=False, sends_http2=False, listens_tls=None, sends_tls=None):
    """`listens_tls` and `sends_tls`: (world, own pod, the peer's identity) for mutually verified TLS 1.3."""
    manager = {
        "@type": MANAGER, "stat_prefix": "mesh", "codec_type": "HTTP2" if listens_http2 else "HTTP1",
        "generate_request_id": False, "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app", "timeout": "0s"}}]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    if listens_tls:
        chain["transport_socket"] = socket(DOWNSTREAM_TLS, *listens_tls, {"require_client_certificate": True})
    explicit = {"http2_protocol_options": {}} if sends_http2 else {"http_protocol_options": {}}
    cluster = {
        "name": "app", "type": "STATIC", "connect_timeout": "5s", "circuit_breakers": {"thresholds": THRESHOLDS},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": HTTP_OPTIONS, "explicit_http_config": explicit}},
        "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(*to)}}]}]},
    }
    if sends_tls:
        cluster["transport_socket"] = socket(UPSTREAM_TLS, *sends_tls, {"sni": sends_tls[2]})
    return json.dumps({
        "node": {"id": name, "cluster": "bench"},
        "static_resources": {
            "listeners": [{"name": "in", "address": address(*listen), "filter_chains": [chain]}], "clusters": [cluster]},
    })


def address(host, port):
    return {"socket_address": {"address": host, "port_value": port}}


def socket(kind, world, pod, peer, extra):
    return {"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": kind, **extra, "common_tls_context": {
            "alpn_protocols": ["h2"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [{"certificate_chain": {"filename": world.path(f"{pod}.crt")},
                                  "private_key": {"filename": world.path(f"{pod}.key")}}],
            "validation_context": {
                "trusted_ca": {"filename": world.path("ca.pem")},
                "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": peer}}]}}}}
