"""Looks at every TCP segment that passes this network namespace for some seconds, and counts, on the given ports,
those that are TLS records with application data and those that show one of the given words. Prints JSON."""

import json
import socket
import struct
import sys
import time

seconds, ports, words = float(sys.argv[1]), {int(p) for p in sys.argv[2].split(",")}, [w.encode() for w in sys.argv[3:]]
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
sniffer.settimeout(0.2)
counts = {"segments": 0, "tls": 0, "shown": {word.decode(): 0 for word in words}}
end = time.monotonic() + seconds
while time.monotonic() < end:
    try:
        frame = sniffer.recv(65536)
    except TimeoutError:
        continue
    if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != 6:
        continue
    tcp = 14 + (frame[14] & 0x0F) * 4
    length = struct.unpack_from("!H", frame, 16)[0]
    if not ports & set(struct.unpack_from("!HH", frame, tcp)):
        continue
    payload = frame[tcp + (frame[tcp + 12] >> 4) * 4 : 14 + length]
    if not payload:
        continue
    counts["segments"] += 1
    counts["tls"] += payload[:3] == b"\x17\x03\x03"
    for word in words:
        counts["shown"][word.decode()] += word in payload
print(json.dumps(counts))
