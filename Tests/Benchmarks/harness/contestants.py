"""The proxies under test, and how each is told to do the same work."""
import os
import shutil
from dataclasses import dataclass, field

from .envoy import envoy_config
from .world import BACKEND, BIN, CLIENT, CLIENT_IP, PROXY_UID, ROOT, SERVER, SERVER_IP, identity

ENVOY = os.path.join(ROOT, ".build", "peers", "envoy")
CONTROL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "control.py")
SYSTEM_PYTHON = "/usr/bin/python3"  # The one that Debian's python3-grpcio belongs to.


@dataclass
class Part:
    """One program of a contestant: where it runs, and the port that says it is up."""
    ns: str
    command: list
    port: int
    env: dict = field(default_factory=dict)
    user: int = 0
    # Helpers (a control plane) are not measured.
    is_measured: bool = True


@dataclass
class Contestant:
    name: str
    parts: list
    # What the client talks to.
    url: str
    # The client pod's connections to the backend are redirected while it runs.
    redirects_outbound: bool = False
    # A namespace, and what its proxy's metrics must show after a load: that the path was the one meant.
    must_show: tuple = ()


def has_envoy():
    return os.access(ENVOY, os.X_OK)


def required(*names):
    for name in names:
        if not shutil.which(name):
            raise SystemExit(f"compare: {name} is missing; run deploy/setup --test")


# MARK: One proxy beside the server

def inbound_contestants(world, protocol, threads=1, with_envoy=True):
    backend = BACKEND[protocol]
    found = [
        Contestant("linkerd-proxy", [Part(SERVER, [os.path.join(BIN, "linkerd-proxy")], 4143, plain_mesh(threads))],
                   f"http://{SERVER_IP}:{backend}/"),
        Contestant("haproxy", [Part(SERVER, haproxy_plain(world, protocol, threads), 9001)], f"http://{SERVER_IP}:9001/"),
    ]
    if protocol == "h1":
        found.append(Contestant("nginx", [Part(SERVER, nginx_plain(world, backend, threads), 9002)], f"http://{SERVER_IP}:9002/"))
    else:
        command = [shutil.which("nghttpx"), f"--workers={threads}", "-f*,9003;no-tls", "--http2-no-cookie-crumbling",
                   f"-b127.0.0.1,{backend};;proto=h2", "--no-via", "--accesslog-file=/dev/null"]
        found.append(Contestant("nghttpx", [Part(SERVER, command, 9003)], f"http://{SERVER_IP}:9003/"))
    if with_envoy and has_envoy():
        config = envoy_config("envoy-plain", listen=("0.0.0.0", 9004), to=("127.0.0.1", backend),
                              listens_http2=protocol == "h2", sends_http2=protocol == "h2")
        found.append(Contestant("envoy", [Part(SERVER, envoy(world, "plain", config, threads, 0), 9004)], f"http://{SERVER_IP}:9004/"))
    return found


def plain_mesh(threads):
    return {
        "LINKERD2_PROXY_LOG": "warn", "LINKERD2_PROXY_CORES": str(threads), "LINKERD2_PROXY_IDENTITY_DISABLED": "disabled",
        "LINKERD2_PROXY_DESTINATION_SVC_ADDR": "127.0.0.1:8086",
        "LINKERD2_PROXY_INBOUND_LISTEN_ADDR": "0.0.0.0:4143", "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR": "127.0.0.1:4140",
        "LINKERD2_PROXY_ADMIN_LISTEN_ADDR": "0.0.0.0:4191", "LINKERD2_PROXY_INBOUND_IPS": SERVER_IP,
    }


def haproxy_common(world, threads):
    return f"""global
  nbthread {threads}
  maxconn {(world.open_files - 500) // 2}
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  http-reuse always
"""


def haproxy_plain(world, protocol, threads):
    proto = "" if protocol == "h1" else "proto h2"
    config = world.write("haproxy.cfg", haproxy_common(world, threads) + f"""frontend f
  bind :9001 {proto}
  default_backend b
backend b
  server s 127.0.0.1:{BACKEND[protocol]} {proto}
""")
    return [shutil.which("haproxy"), "-f", config]


def nginx_plain(world, backend, threads):
    config = world.write("nginx.conf", f"""daemon off; worker_processes {threads}; pid {world.dir}/nginx.pid;
error_log {world.dir}/nginx-error.log; events {{ worker_connections {world.open_files - 100}; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
 upstream u {{ server 127.0.0.1:{backend}; keepalive 1200; keepalive_requests 1000000000; }}
 server {{ listen 9002 backlog=4096; location / {{ proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; }} }} }}""")
    return [shutil.which("nginx"), "-c", config]


def envoy(world, name, config, threads, base_id):
    path = world.write(f"envoy-{name}.json", config)
    return [ENVOY, "-c", path, "--concurrency", str(threads), "--log-level", "error", "--base-id", str(base_id),
            "--disable-hot-restart"]


# MARK: The mesh path: client → outbound → mTLS HTTP/2 → inbound → server

def mesh_contestants(world, threads=1):
    """HTTP/1.1 at both ends, mutually verified TLS 1.3 with HTTP/2 between the pods."""
    found = [mesh_linkerd(world, threads), mesh_haproxy(world, threads)]
    if has_envoy():
        found.append(mesh_envoy(world, threads))
    return found


def mesh_linkerd(world, threads):
    parts = []
    for pod, ns, ip in (("server", SERVER, SERVER_IP), ("client", CLIENT, CLIENT_IP)):
        control = [SYSTEM_PYTHON, CONTROL, world.dir, SERVER_IP, str(BACKEND["h1"]), identity("server")]
        parts.append(Part(ns, control, 8086, is_measured=False))
        directory = world.path(f"identity-{pod}")
        os.makedirs(directory, exist_ok=True)
        os.chown(directory, PROXY_UID, PROXY_UID)
        token = world.write(f"{pod}.token", f"bench-token-{pod}")
        with open(world.path("ca.pem")) as file:
            anchors = file.read()
        env = plain_mesh(threads) | {
            "LINKERD2_PROXY_INBOUND_IPS": ip, "LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS": "10.254.77.0/24",
            "LINKERD2_PROXY_IDENTITY_DIR": directory, "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS": anchors,
            "LINKERD2_PROXY_IDENTITY_LOCAL_NAME": identity(pod), "LINKERD2_PROXY_IDENTITY_TOKEN_FILE": token,
            "LINKERD2_PROXY_IDENTITY_SVC_ADDR": "127.0.0.1:8080",
            "LINKERD2_PROXY_IDENTITY_SVC_NAME": "linkerd-identity.linkerd.serviceaccount.identity.linkerd.cluster.local",
            "LINKERD2_PROXY_DESTINATION_SVC_NAME":
                "linkerd-destination.linkerd.serviceaccount.identity.linkerd.cluster.local",
        }
        del env["LINKERD2_PROXY_IDENTITY_DISABLED"]
        parts.append(Part(ns, [os.path.join(BIN, "linkerd-proxy")], 4143, env, user=PROXY_UID))
    return Contestant("2 × linkerd-proxy", parts, f"http://{SERVER_IP}:{BACKEND['h1']}/", redirects_outbound=True,
                      must_show=(CLIENT, r'^request_total\{direction="outbound".*tls="true"'))


def mesh_haproxy(world, threads):
    tls = f"ca-file {world.path('ca.pem')} verify required ssl-min-ver TLSv1.3"
    out = world.write("haproxy-out.cfg", haproxy_common(world, threads) + f"""frontend f
  bind 127.0.0.1:9001
  default_backend b
backend b
  server s {SERVER_IP}:9443 ssl crt {world.path('client.pem')} {tls} sni str({identity('server')}) verifyhost {identity('server')} alpn h2
""")
    inbound = world.write("haproxy-in.cfg", haproxy_common(world, threads) + f"""frontend f
  bind :9443 ssl crt {world.path('server.pem')} {tls} alpn h2
  default_backend b
backend b
  server s 127.0.0.1:{BACKEND['h1']}
""")
    haproxy = shutil.which("haproxy")
    return Contestant("2 × haproxy", [Part(SERVER, [haproxy, "-f", inbound], 9443), Part(CLIENT, [haproxy, "-f", out], 9001)],
                      "http://127.0.0.1:9001/")


def mesh_envoy(world, threads):
    out = envoy_config("envoy-out", listen=("127.0.0.1", 9004), to=(SERVER_IP, 9444), sends_http2=True,
                       sends_tls=(world, "client", identity("server")))
    inbound = envoy_config("envoy-in", listen=("0.0.0.0", 9444), to=("127.0.0.1", BACKEND["h1"]), listens_http2=True,
                           listens_tls=(world, "server", identity("client")))
    return Contestant("2 × envoy", [Part(SERVER, envoy(world, "in", inbound, threads, 1), 9444),
                                    Part(CLIENT, envoy(world, "out", out, threads, 2), 9004)], "http://127.0.0.1:9004/")
