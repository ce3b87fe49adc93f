"""One caller of the tap service's aggregated API, who counts what it is shown and what it is told it was not.

tap_reader.py PORT NAMESPACE [--path PREFIX] [--failures] [--max-rps 100000]
Commands on standard input, each answered by one line of JSON: `report`, `stall`, `resume`. It ends with its input.
"""
import argparse
import http.client
import json
import os
import ssl
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import protobuf as pb  # noqa: E402

LOSSES = {1: "limited", 2: "dropped", 3: "dropped_events", 4: "filtered", 5: "gaps", 6: "cut"}


class Reader:
    def __init__(self):
        self.counts = dict.fromkeys(["events", "requests", "responses", "ends", "largest_gap_ms", *LOSSES.values()], 0)
        self.is_stalled = False
        self.last = time.time()
        self.buffer = bytearray()

    def run(self, response):
        while True:
            if self.is_stalled:
                time.sleep(.02)
                self.last = time.time()
                continue
            data = response.read1(262_144)
            if not data:
                return
            now = time.time()
            self.counts["largest_gap_ms"] = max(self.counts["largest_gap_ms"], round((now - self.last) * 1000))
            self.last = now
            self.buffer += data
            self.cut()

    def cut(self):
        at = 0
        while len(self.buffer) - at >= 4:
            length = int.from_bytes(self.buffer[at:at + 4], "little")
            if len(self.buffer) - at - 4 < length:
                break
            self.take(bytes(self.buffer[at + 4:at + 4 + length]))
            at += 4 + length
        del self.buffer[:at]

    def take(self, event):
        counts = self.counts
        for key, value in pb.fields(event):
            if key == 3:
                counts["events"] += 1
                counts[{1: "requests", 2: "responses", 3: "ends"}[value[0] >> 3]] += 1
            elif key == 1000:
                found = dict(pb.fields(value))
                for number, name in LOSSES.items():
                    counts[name] = found.get(number, 0)


def request(options):
    message = pb.block(1, pb.block(1, pb.text(2, "namespace") + pb.text(3, options.namespace)))
    matches = pb.block(1, pb.block(5, pb.text(4, options.path))) if options.path else b""
    message += pb.block(2, pb.block(1, matches))
    message += pb.varint(3 << 3 | 5) + struct.pack("<f", options.max_rps)
    if options.failures:
        message += pb.block(1000, pb.block(1, pb.integer(1, 500) + pb.integer(2, 599)))
    return message + pb.integer(1001, 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("namespace")
    parser.add_argument("--path", default="")
    parser.add_argument("--failures", action="store_true")
    parser.add_argument("--max-rps", type=float, default=100_000)
    options = parser.parse_args()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", options.port, context=context)
    connection.request("POST", "/apis/tap.linkerd.io/v1alpha1/watch/namespaces/%s/tap" % options.namespace, request(options),
                       {"Authorization": "Bearer bench"})
    response = connection.getresponse()
    if response.status != 200 or response.getheader("linkerd-error"):
        raise SystemExit("tap_reader: %d %s: %r" % (response.status, response.getheader("linkerd-error"), response.read1(500)))
    reader = Reader()
    threading.Thread(target=reader.run, args=(response,), daemon=True).start()
    print("{}", flush=True)
    for line in sys.stdin:
        if line.strip() in ("stall", "resume"):
            reader.is_stalled = line.strip() == "stall"
        print(json.dumps(reader.counts), flush=True)


main()
