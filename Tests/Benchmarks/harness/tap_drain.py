"""One tapper of one proxy, without a tap service between: takes what it gets and throws it away.

tap_drain.py IP PORT all|some|nothing; prints a line when the stream is open, and the bytes and events it got when a line is
written to it. With `some` every request matches, and 100 are shown a second.
"""
import os
import select
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import protobuf as pb  # noqa: E402

WINDOW = 1 << 30


class Events:
    """Counts gRPC messages by their lengths."""

    def __init__(self):
        self.buffer, self.count = bytearray(), 0

    def take(self, data):
        self.buffer += data
        at, size = 0, len(self.buffer)
        while size - at >= 5:
            end = at + 5 + int.from_bytes(self.buffer[at + 1:at + 5], "big")
            if end > size:
                break
            at = end
            self.count += 1
        del self.buffer[:at]


def literal(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def main():
    ip, port, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    match = pb.block(1, b"")  # An empty `all` holds always.
    if what == "nothing":
        match = pb.block(1, pb.block(1, pb.block(6, pb.block(4, pb.text(2, "/no/such/path")))))
    message = pb.integer(1, 100 if what == "some" else 1_000_000) + pb.block(2, match) + pb.integer(1000, 1_000)
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/io.linkerd.proxy.tap.Tap/Observe"),
              (b":authority", b"proxy"), (b"content-type", b"application/grpc"), (b"te", b"trailers")]
    tap = socket.create_connection((ip, port))
    tap.sendall(
        pb.PREFACE + pb.frame(pb.SETTINGS, 0, 0, b"\0\4" + WINDOW.to_bytes(4, "big"))
        + pb.frame(pb.WINDOW_UPDATE, 0, 0, WINDOW.to_bytes(4, "big"))
        + pb.frame(pb.HEADERS, pb.END_HEADERS, 1, b"".join(literal(*field) for field in fields))
        + pb.frame(pb.DATA, pb.END_STREAM, 1, b"\0" + len(message).to_bytes(4, "big") + message))
    frames, events, count, is_open = pb.Frames(), Events(), 0, False
    pending = 0
    while True:
        readable, _, _ = select.select([tap, sys.stdin], [], [])
        if sys.stdin in readable:
            break
        data = tap.recv(1 << 20)
        if not data:
            raise SystemExit("tap_drain: the proxy hung up")
        for kind, flags, stream, payload in frames.take(data):
            if kind == pb.SETTINGS and not flags & pb.ACK:
                tap.sendall(pb.frame(pb.SETTINGS, pb.ACK, 0))
            elif kind == pb.PING and not flags & pb.ACK:
                tap.sendall(pb.frame(pb.PING, pb.ACK, 0, payload))
            elif kind == pb.HEADERS and not is_open:
                is_open = True
                print("open", flush=True)
            elif kind == pb.DATA:
                count += len(payload)
                events.take(payload)
                pending += len(payload)
        if pending > 1 << 24:
            tap.sendall(b"".join(pb.frame(pb.WINDOW_UPDATE, 0, stream, pending.to_bytes(4, "big")) for stream in (0, 1)))
            pending = 0
    print(count, events.count, flush=True)


main()
