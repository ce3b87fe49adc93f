#!/usr/bin/env python3
"""A mesh without a mesh: exporters that print what linkerd-proxy prints, and the Kubernetes API that lists them.

One process serves all pods: each has an address of its own in 127.0.0.0/8, and they share one port. Values are a
function of time, so two scrapers that ask at the same moment read the same. Used by `rollup` beside this file.

    fake_mesh.py --pods 300 --port 24191 --api-port 26080 [--calls 5] [--replicas 3] [--series full|small] [--plain]
"""
import argparse
import asyncio
import gzip
import json
import re
import signal
import time

BOUNDS = [1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1000, 2000, 3000, 4000, 5000, 10000, 20000,
          30000, 40000, 50000]
# Share of responses within each bound: most take 2 to 50 ms.
SHARES = [.02, .10, .22, .33, .41, .60, .78, .86, .90, .93, .975, .99, .994, .996, .997, .999, 1] + [1] * 8


def pod_address(index):
    return "127.%d.%d.%d" % (64 + index // 60000, index // 250 % 240, index % 250 + 1)


class Mesh:
    def __init__(self, pods, replicas, calls):
        self.replicas = replicas
        self.workloads = max(1, pods // replicas)
        self.calls = min(calls, self.workloads - 1)
        self.pods = [(w, r) for w in range(self.workloads) for r in range(replicas)]
        self.index = {pod: i for i, pod in enumerate(self.pods)}

    @staticmethod
    def namespace(workload):
        return "shop-%d" % (workload % 10)

    def identity(self, workload):
        return "svc-%d.%s.serviceaccount.identity.linkerd.cluster.local" % (workload, self.namespace(workload))

    def authority(self, workload):
        return "svc-%d.%s.svc.cluster.local:8080" % (workload, self.namespace(workload))


class Pod:
    """The exposition of one pod: one format string, and how each number in it grows."""

    frozen_at = None

    def __init__(self, mesh, workload, replica, port, size):
        self.start = time.time() - 30
        self.text = []
        self.meaning = []
        self.ended = []
        self.served = {}
        self.families = []
        self.growth = []  # Units per second, or None for a constant.
        self.constants = []
        own = mesh.namespace(workload)
        self.name = "%s/svc-%d/svc-%d-%d" % (own, workload, workload, replica)
        address = pod_address(mesh.index[(workload, replica)])
        rate = 3.0 + replica * .3
        for call in range(mesh.calls):
            caller = (workload - call - 1) % mesh.workloads
            labels = ('direction="inbound",authority="%s",target_addr="%s:8080",target_ip="%s",target_port="8080",'
                      'tls="true",client_id="%s",srv_name="default:all-unauthenticated",'
                      'saz_name="default:all-unauthenticated"') % (mesh.authority(workload), address, address, mesh.identity(caller))
            self.http(labels, rate, size)
            self.tcp(labels.replace('authority="%s",' % mesh.authority(workload), 'peer="src",'), rate)
            self.line("inbound_http_authz_allow_total", labels.split(",", 2)[2], rate)
        for call in range(mesh.calls):
            target = (workload + call + 1) % mesh.workloads
            for other in range(mesh.replicas):
                endpoint = pod_address(mesh.index[(target, other)])
                labels = ('direction="outbound",authority="%s",target_addr="%s:8080",target_ip="%s",target_port="8080",'
                          'tls="true",server_id="%s",dst_control_plane_ns="linkerd",dst_deployment="svc-%d",'
                          'dst_namespace="%s",dst_pod="svc-%d-%d",dst_pod_template_hash="6d9f","dst_service="svc-%d",'
                          'dst_serviceaccount="svc-%d"') % (
                    mesh.authority(target), endpoint, endpoint, mesh.identity(target), target, mesh.namespace(target),
                    target, other, target, target)
                labels = labels.replace('"dst_service', 'dst_service')
                self.http(labels, rate / mesh.replicas, size)
                self.tcp(labels.replace('direction="outbound",', 'direction="outbound",peer="dst",'), rate / mesh.replicas)
            if size == "full":
                for route in ("GET /items/{id}", "POST /items"):
                    labels = 'direction="outbound",dst="%s",rt_route="%s"' % (mesh.authority(target), route)
                    self.histogram("route_response_latency_ms", labels + ',status_code="200"', rate / 2)
                    self.line("route_response_total", labels + ',status_code="200",classification="success"', rate / 2)
        if size == "full":
            for name in range(11):
                for ready in ("true", "false", "error"):
                    self.line("stack_poll_total", 'direction="outbound",protocol="http",name="layer-%d",ready="%s"' % (name, ready), rate)
            for status in ("200", "500"):
                self.histogram("control_response_latency_ms", 'addr="linkerd-dst-headless.linkerd.svc.cluster.local:8086",tls="true",status_code="%s"' % status, .1)
        self.line("process_start_time_seconds", "", None, self.start)
        self.line("process_resident_memory_bytes", "", None, 17000000)
        # Proxies print family after family.
        order = sorted(range(len(self.text)), key=lambda i: self.families[i])
        self.format = "".join(self.text[i] for i in order)
        self.growth = [self.growth[i] for i in order]
        self.meaning = [self.meaning[i] for i in order]
        self.constants = [self.constants[i] for i in order]
        self.series = len(self.text)
        self.text = None
        self.start_line = next(i for i, (name, _) in enumerate(self.meaning) if name == "process_start_time_seconds")

    def line(self, name, labels, growth, constant=0):
        labels = "{%s}" % labels if labels else ""
        self.families.append(re.sub("_(bucket|count|sum)$", "", name))
        self.text.append("%s%s %%%s\n" % (name, labels.replace("%", "%%"), ".3f" if name == "process_start_time_seconds" else "d"))
        pairs = dict(re.findall('([a-z_]+)="([^"]*)"', labels)) if name == "response_total" else {}
        self.meaning.append((name, "%s|%s|%s|%s" % (
            pairs.get("direction", ""), pairs.get("dst_namespace", ""), pairs.get("dst_deployment", ""), pairs.get("classification", ""))))
        self.growth.append(growth)
        self.constants.append(constant)

    def histogram(self, name, labels, rate):
        for bound, share in zip(BOUNDS, SHARES):
            self.line(name + "_bucket", '%s,le="%d"' % (labels, bound), rate * share)
        self.line(name + "_bucket", labels + ',le="+Inf"', rate)
        self.line(name + "_count", labels, rate)
        self.line(name + "_sum", labels, rate * 14)

    def http(self, labels, rate, size):
        self.line("request_total", labels, rate)
        for status, share in (("200", .98), ("500", .02)):
            kind = "success" if status == "200" else "failure"
            self.line("response_total", '%s,status_code="%s",classification="%s"' % (labels, status, kind), rate * share)
            if size == "full":
                self.histogram("response_latency_ms", '%s,status_code="%s"' % (labels, status), rate * share)

    def tcp(self, labels, rate):
        self.line("tcp_open_total", labels, rate / 50)
        self.line("tcp_open_connections", labels, None, 3)
        self.line("tcp_read_bytes_total", labels, rate * 900)
        self.line("tcp_write_bytes_total", labels, rate * 4000)
        self.line("tcp_close_total", labels + ',errno=""', rate / 50)

    def values(self):
        # Frozen, the mesh stands still: what scrapers hold can be compared with what was printed.
        elapsed = (Pod.frozen_at or time.time()) - self.start
        return [constant if growth is None else growth * elapsed for growth, constant in zip(self.growth, self.constants)]

    def render(self, reader):
        values = self.values()
        self.served[reader] = values
        return (self.format % tuple(values)).encode()

    def restart(self):
        """The process starts anew: its counters begin at zero. What it counted since the last scrape, nobody saw."""
        self.ended.append({"truth": self.counts(self.values()), **{reader: self.counts(v) for reader, v in self.served.items()}})
        self.start = time.time()
        self.constants[self.start_line] = self.start
        self.served = {}

    def counts(self, values):
        """Responses by direction, peer and class."""
        found = {}
        for (name, labels), value in zip(self.meaning, values):
            if name == "response_total":
                found[labels] = found.get(labels, 0) + int(value)
        return found

    def totals(self):
        """What happened since the first process began, and what each reader could see of it."""
        now = {"truth": self.counts(self.values()), **{reader: self.counts(v) for reader, v in self.served.items()}}
        sums = {}
        for part in self.ended + [now]:
            for reader, counts in part.items():
                for key, value in counts.items():
                    sums.setdefault(reader, {}).setdefault(key, 0)
                    sums[reader][key] += value
        return sums


class Exporter(asyncio.Protocol):
    mesh = pods = options = None
    served = 0

    def connection_made(self, transport):
        self.transport = transport
        self.buffer = b""
        address = transport.get_extra_info("sockname")[0]
        self.pod = Exporter.pods.get(address)

    def data_received(self, data):
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            if self.pod is None:
                return self.transport.close()
            reader = "prometheus" if b"prometheus" in head.lower().partition(b"user-agent:")[2].split(b"\r\n")[0] else "ours"
            body = self.pod.render(reader)
            encoding = b""
            if not Exporter.options.plain and b"gzip" in head.lower().partition(b"accept-encoding:")[2].split(b"\r\n")[0]:
                body = gzip.compress(body, 1)
                encoding = b"Content-Encoding: gzip\r\n"
            Exporter.served += 1
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%sContent-Length: %d\r\n\r\n%s" % (encoding, len(body), body))


class Kubernetes(asyncio.Protocol):
    """The lists that metrics-api watches; and, for `truth`, `/control/freeze`, `/control/restart/<n>` and
    `/control/total`."""

    lists = {}

    def control(self, path):
        if path == "/control/freeze":
            Pod.frozen_at = time.time()
        elif path.startswith("/control/restart/"):
            pods = list(Exporter.pods.values())
            pods[int(path.rsplit("/", 1)[1]) % len(pods)].restart()
        return json.dumps({pod.name: pod.totals() for pod in Exporter.pods.values()}).encode()

    def connection_made(self, transport):
        self.transport = transport
        self.buffer = b""

    def data_received(self, data):
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            target = head.split(b" ")[1].decode()
            path, _, query = target.partition("?")
            kind = path.rsplit("/", 1)[1]
            if "watch=1" in query or "watch=true" in query:
                # Nothing ever changes: the stream stays open and silent.
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
                continue
            body = self.control(path) if path.startswith("/control/") else Kubernetes.lists.get(kind) or b'{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}'
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def objects(mesh, port):
    def listing(kind, version, items):
        return json.dumps({"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": "1"}, "items": items}).encode()

    def meta(name, namespace, **more):
        value = {"name": name, "uid": "uid-%s-%s" % (namespace, name), "resourceVersion": "1", "labels": {}}
        if namespace:
            value["namespace"] = namespace
        value.update(more)
        return value

    def owner(kind, name):
        return [{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "uid-" + name, "controller": True}]

    pods, sets, deployments, services = [], [], [], []
    for w in range(mesh.workloads):
        namespace, name = mesh.namespace(w), "svc-%d" % w
        deployments.append({"metadata": meta(name, namespace), "spec": {"replicas": mesh.replicas}})
        sets.append({"metadata": meta(name + "-6d9f", namespace, ownerReferences=owner("Deployment", name))})
        services.append({"metadata": meta(name, namespace), "spec": {}})
    for index, (w, r) in enumerate(mesh.pods):
        namespace = mesh.namespace(w)
        pods.append({
            "metadata": meta("svc-%d-%d" % (w, r), namespace, ownerReferences=owner("ReplicaSet", "svc-%d-6d9f" % w),
                             labels={"linkerd.io/control-plane-ns": "linkerd", "app": "svc-%d" % w}),
            "spec": {"serviceAccountName": "svc-%d" % w, "containers": [
                {"name": "app", "image": "app:1"},
                {"name": "linkerd-proxy", "image": "cr.l5d.io/linkerd/proxy:stable",
                 "ports": [{"name": "linkerd-admin", "containerPort": port}]}]},
            "status": {"phase": "Running", "podIP": pod_address(index), "containerStatuses": []}})
    namespaces = [{"metadata": meta("shop-%d" % i, "")} for i in range(10)]
    return {"pods": listing("PodList", "v1", pods), "replicasets": listing("ReplicaSetList", "apps/v1", sets),
            "deployments": listing("DeploymentList", "apps/v1", deployments),
            "services": listing("ServiceList", "v1", services), "namespaces": listing("NamespaceList", "v1", namespaces)}


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=300)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--port", type=int, default=24191)
    parser.add_argument("--api-port", type=int, default=26080)
    parser.add_argument("--series", choices=["full", "small"], default="full")
    parser.add_argument("--plain", action="store_true", help="never compress")
    options = parser.parse_args()
    mesh = Mesh(options.pods, options.replicas, options.calls)
    Exporter.options = options
    Exporter.pods = {pod_address(i): Pod(mesh, w, r, options.port, options.series) for i, (w, r) in enumerate(mesh.pods)}
    Kubernetes.lists = objects(mesh, options.port)
    loop = asyncio.get_running_loop()
    exporters = await loop.create_server(Exporter, "0.0.0.0", options.port, backlog=1024)
    api = await loop.create_server(Kubernetes, "127.0.0.1", options.api_port)
    print(json.dumps({"pods": len(mesh.pods), "series": sum(pod.series for pod in Exporter.pods.values())}), flush=True)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await stop.wait()
    exporters.close()
    api.close()


asyncio.run(main())
