#!/usr/bin/env python3
"""Proxies without proxies: they answer `Observe` with made-up requests, and know to the unit what they said.

One process serves all of them, each on an address of its own in 127.0.0.0/8, and the Kubernetes API that lists them. Every
call has requests of its own, the same number a second for all; a request's events are a head, and a tick later a response
and an end. What linkerd-proxy does when a reader is slow happens here too: a bounded buffer, whole requests dropped when it
is full, everything counted and said. Used by `tap` beside this file.

    fake_taps.py --proxies 100 --port 24190 --api-port 26081 --events 8500 [--real 127.66.0.1,127.66.0.2]

Control, on the API's port: /control/start, /control/freeze, /control/totals.
"""
import argparse
import asyncio
import collections
import json
import os
import signal
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import protobuf as pb  # noqa: E402

NAMESPACE = "bench"
TICK = .025
EVENTS_MAX, STREAM_BYTES_MAX, CHUNK_EVENTS = 1024, 65_536, 64
# One request in so many fails.
FAILURE_EVERY = 10


def address(index):
    return "127.64.%d.%d" % (index // 250, index % 250 + 1)


class Templates:
    """The bytes of the three events on both sides of their id."""

    def __init__(self, index):
        def tcp(ip, port):
            return pb.block(1, pb.varint(1 << 3 | 5) + bytes(reversed([int(n) for n in ip.split(".")]))) + pb.integer(2, port)

        labels = pb.block(1, pb.text(1, "tls") + pb.text(2, "true")) + pb.block(1, pb.text(1, "client_id") + pb.text(
            2, "caller.bench.serviceaccount.identity.linkerd.cluster.local"))
        self.before = pb.block(1, tcp("127.65.0.1", 40_000)) + pb.block(5, labels) + pb.integer(6, 1) + pb.block(
            2, tcp(address(index), 8_080)) + pb.block(4, pb.block(1, pb.text(1, "tls") + pb.text(2, "loopback")))
        duration = pb.integer(2, 1_200_000)
        self.head = pb.block(2, pb.integer(1, 0)) + pb.block(3, pb.integer(1, 0)) + pb.text(
            4, "fake-%d.bench.svc.cluster.local:8080" % index) + pb.text(5, "/api/items/%d" % index)
        self.response = {status: pb.block(2, duration) + pb.integer(3, status) for status in (200, 503)}
        self.end = pb.block(2, duration) + pb.block(3, duration) + pb.integer(4, 1_234) + pb.block(5, b"")

    def event(self, part, body):
        """What stands before the stream's number and after it; the id's base is the call's."""
        def make(base):
            start = b"\x08" + pb.varint5(base) + b"\x10"
            identity = b"\x0a" + pb.varint(len(start) + 5)
            message = len(identity) + len(start) + 5 + len(body)
            inner = pb.varint(part << 3 | 2) + pb.varint(message)
            return self.before + b"\x1a" + pb.varint(len(inner) + message) + inner + identity + start, body
        return make


class Call:
    """One `Observe`: its requests, its buffer, its counts."""

    def __init__(self, templates, number, request):
        self.limit, self.window = 1, 0
        self.match = b""
        for key, value in pb.fields(request):
            if key == 1:
                self.limit = value
            elif key == 2:
                self.match = value
            elif key == 1000:
                self.window = value / 1000
        make = lambda part, body: templates.event(part, body)(number)  # noqa: E731
        self.head = make(1, templates.head)
        self.responses = {status: make(2, body) for status, body in templates.response.items()}
        self.end = make(3, templates.end)
        self.matched = self.shown = self.limited = self.dropped = self.dropped_events = self.events = 0
        self.said = (0, 0, 0)
        self.due = 0.0
        self.window_ends, self.window_taken = 0, 0
        self.open = []
        self.chunks = collections.deque()
        self.waiting = 0
        self.out = bytearray()
        self.said_at = 0

    def tick(self, now, count):
        for stream in self.open:
            self.add(self.responses[503 if stream % FAILURE_EVERY == 0 else 200], stream)
            self.add(self.end, stream)
        self.open = []
        self.due += count
        while self.due >= 1:
            self.due -= 1
            self.matched += 1
            if now >= self.window_ends:
                self.window_ends, self.window_taken = now + self.window, 0
            if self.window_taken >= self.limit:
                self.limited += 1
            elif self.waiting >= EVENTS_MAX:
                self.dropped += 1
            else:
                self.window_taken += 1
                self.open.append(self.shown)
                self.add(self.head, self.shown)
                self.shown += 1
        if now - self.said_at >= 1 and self.losses() != self.said:
            self.append(self.extension(), 0)
        self.said_at = now if now - self.said_at >= 1 else self.said_at

    def losses(self):
        return self.limited, self.dropped, self.dropped_events

    def extension(self):
        self.said = self.losses()
        return pb.block(1000, b"".join(pb.integer(n + 1, value) for n, value in enumerate(self.said) if value))

    def add(self, template, stream):
        if self.waiting >= 2 * EVENTS_MAX:
            self.dropped_events += 1
            return
        body = template[0] + pb.varint5(stream) + template[1]
        if self.losses() != self.said:
            body += self.extension()
        self.append(body, 1)
        self.events += 1

    def append(self, body, count):
        if not self.chunks or self.chunks[-1][1] >= CHUNK_EVENTS:
            self.chunks.append([bytearray(), 0])
        chunk = self.chunks[-1]
        chunk[0] += b"\0" + struct.pack(">I", len(body)) + body
        chunk[1] += count
        self.waiting += count

    def totals(self):
        return {"matched": self.matched, "shown": self.shown, "limited": self.limited, "dropped": self.dropped,
                "dropped_events": self.dropped_events, "events": self.events, "unsent": self.waiting + (1 if self.out else 0)}


class Proxy(asyncio.Protocol):
    """One connection of the tap service to one of the proxies."""

    options = None
    connections = set()
    ended = {}
    streams_opened = 0

    def connection_made(self, transport):
        self.transport = transport
        host = transport.get_extra_info("sockname")[0].split(".")
        self.templates = Templates(int(host[2]) * 250 + int(host[3]) - 1)
        self.frames = pb.Frames(pb.PREFACE)
        self.calls, self.bodies, self.windows = {}, {}, {}
        self.window, self.initial, self.frame_max = 65_535, 65_535, 16_384
        transport.write(pb.frame(pb.SETTINGS, 0, 0))
        Proxy.connections.add(self)

    def connection_lost(self, _):
        Proxy.connections.discard(self)
        for stream in list(self.calls):
            self.close(stream)

    def close(self, stream):
        call = self.calls.pop(stream, None)
        if call:
            Proxy.ended.setdefault(call.match.hex(), []).append(call.totals())

    def data_received(self, data):
        for kind, flags, stream, payload in self.frames.take(data):
            if kind == pb.SETTINGS and not flags & pb.ACK:
                self.settings(payload)
            elif kind == pb.PING and not flags & pb.ACK:
                self.transport.write(pb.frame(pb.PING, pb.ACK, 0, payload))
            elif kind == pb.HEADERS:
                self.bodies[stream] = b""
                self.windows[stream] = self.initial
            elif kind == pb.DATA:
                self.bodies[stream] = self.bodies.get(stream, b"") + payload
                self.begin(stream)
            elif kind == pb.WINDOW_UPDATE:
                more = int.from_bytes(payload, "big") & 0x7FFFFFFF
                if stream:
                    self.windows[stream] = self.windows.get(stream, 0) + more
                else:
                    self.window += more
                self.flush()
            elif kind == pb.RST_STREAM:
                self.close(stream)

    def settings(self, payload):
        for at in range(0, len(payload), 6):
            key, value = struct.unpack(">HI", payload[at:at + 6])
            if key == 4:
                for stream in self.windows:
                    self.windows[stream] += value - self.initial
                self.initial = value
            elif key == 5:
                self.frame_max = value
        self.transport.write(pb.frame(pb.SETTINGS, pb.ACK, 0))

    def begin(self, stream):
        body = self.bodies[stream]
        if stream in self.calls or len(body) < 5 or len(body) < 5 + int.from_bytes(body[1:5], "big"):
            return
        Proxy.streams_opened += 1
        self.calls[stream] = Call(self.templates, Proxy.streams_opened, body[5:])
        # `:status: 200` from the static table, content-type as a literal.
        kind = b"application/grpc"
        self.transport.write(pb.frame(pb.HEADERS, pb.END_HEADERS, stream, b"\x88\x0f\x10" + bytes([len(kind)]) + kind))

    def tick(self, now, count):
        for call in self.calls.values():
            call.tick(now, count)
        self.flush()

    def flush(self):
        for stream, call in self.calls.items():
            while True:
                while call.chunks and len(call.out) < STREAM_BYTES_MAX:
                    chunk, count = call.chunks.popleft()
                    call.out += chunk
                    call.waiting -= count
                room = min(len(call.out), self.window, self.windows[stream], self.frame_max)
                if room <= 0:
                    break
                self.transport.write(pb.frame(pb.DATA, 0, stream, bytes(call.out[:room])))
                del call.out[:room]
                self.window -= room
                self.windows[stream] -= room


class Kubernetes(asyncio.Protocol):
    """What the tap service watches and asks, and the control of this program."""

    lists = {}
    state = {"runs": False}

    def connection_made(self, transport):
        self.transport = transport
        self.buffer = b""

    def data_received(self, data):
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, rest = self.buffer.split(b"\r\n\r\n", 1)
            lines = head.decode().split("\r\n")
            fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:]}
            length = int(fields.get("content-length", 0))
            if len(rest) < length:
                return
            body, self.buffer = rest[:length], rest[length:]
            method, target = lines[0].split(" ")[:2]
            path, _, query = target.partition("?")
            if "watch=1" in query or "watch=true" in query:
                # Nothing ever changes: the stream stays open and silent.
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
                continue
            status, answer = self.answer(method, path, body)
            self.transport.write(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
                status, len(answer), answer))

    def answer(self, method, path, body):
        if path.startswith("/control/"):
            return b"200 OK", json.dumps(self.control(path)).encode()
        if path.endswith("/tokenreviews"):
            return b"201 Created", json.dumps({"status": {"authenticated": True, "user": {"username": "bench"}}}).encode()
        if path.endswith("/subjectaccessreviews"):
            return b"201 Created", json.dumps({"status": {"allowed": True}}).encode()
        if "/configmaps/" in path or method != "GET":
            return b"404 Not Found", b'{"kind":"Status","code":404,"reason":"NotFound"}'
        empty = b'{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}'
        return b"200 OK", Kubernetes.lists.get(path.rsplit("/", 1)[1]) or empty

    def control(self, path):
        if path == "/control/start":
            self.state["runs"] = True
        elif path == "/control/freeze":
            self.state["runs"] = False
        found = {}
        calls = [(call.match.hex(), call.totals()) for proxy in Proxy.connections for call in proxy.calls.values()]
        calls += [(match, totals) for match, ended in Proxy.ended.items() for totals in ended]
        for match, totals in calls:
            sums = found.setdefault(match, dict.fromkeys(totals, 0) | {"calls": 0})
            sums["calls"] += 1
            for key, value in totals.items():
                sums[key] += value
        return found


def objects(addresses, port):
    def listing(kind, items):
        return json.dumps({"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}).encode()

    def meta(name, **more):
        return {"name": name, "uid": "uid-" + name, "resourceVersion": "1", "labels": {}, **more}

    pods = [{
        "metadata": meta("pod-%d" % index, namespace=NAMESPACE, labels={"linkerd.io/control-plane-ns": "linkerd"},
                         annotations={"viz.linkerd.io/tap-enabled": "true"}),
        "spec": {"serviceAccountName": "default", "containers": [
            {"name": "linkerd-proxy", "image": "proxy", "ports": [{"name": "linkerd-admin", "containerPort": 4191}]}]},
        "status": {"phase": "Running", "podIP": ip}} for index, ip in enumerate(addresses)]
    return {"pods": listing("PodList", pods), "namespaces": listing("NamespaceList", [{"metadata": meta(NAMESPACE)}])}


async def generate(options):
    loop = asyncio.get_running_loop()
    last = loop.time()
    each = options.events / 3 / options.proxies
    while True:
        await asyncio.sleep(TICK)
        now = loop.time()
        count = each * (now - last) if Kubernetes.state["runs"] else 0
        last = now
        for proxy in list(Proxy.connections):
            proxy.tick(now, count)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxies", type=int, default=100)
    parser.add_argument("--port", type=int, default=24190)
    parser.add_argument("--api-port", type=int, default=26081)
    parser.add_argument("--events", type=float, default=8500, help="a second, over all proxies, for each tap")
    parser.add_argument("--real", default="", help="addresses of real proxies that are listed too")
    options = parser.parse_args()
    fakes = [address(index) for index in range(options.proxies)]
    Kubernetes.lists = objects(fakes + [ip for ip in options.real.split(",") if ip], options.port)
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Proxy, ip, options.port, backlog=64) for ip in fakes]
    servers.append(await loop.create_server(Kubernetes, "127.0.0.1", options.api_port))
    loop.add_signal_handler(signal.SIGTERM, loop.stop)
    print("ready", flush=True)
    await generate(options)


try:
    asyncio.run(main())
except RuntimeError:
    pass  # Stopped by its signal.
