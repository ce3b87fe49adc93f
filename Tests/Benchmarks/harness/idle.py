"""Opens connections that have carried one request each and then say nothing, until standard input ends.

Run inside the client's namespace: idle.py IP PORT COUNT h1|h2. Prints `open COUNT` when all are open.
"""
import socket
import sys

# GET / over HTTP/2: preface, empty SETTINGS, HEADERS of stream 1 with END_STREAM and END_HEADERS.
FIELDS = b"\x82\x86\x84\x41\x05bench"
HTTP2 = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
         + len(FIELDS).to_bytes(3, "big") + b"\x01\x05\x00\x00\x00\x01" + FIELDS)
HTTP1 = b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n"


def main():
    ip, port, count, protocol = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    sockets = []
    for _ in range(count):
        connection = socket.create_connection((ip, port), timeout=20)
        connection.sendall(HTTP1 if protocol == "h1" else HTTP2)
        received = b""
        while b"hello, mesh" not in received:
            data = connection.recv(4096)
            if not data:
                raise SystemExit(f"idle.py: connection {len(sockets)} was closed after {received!r}")
            received += data
        sockets.append(connection)
    print(f"open {len(sockets)}", flush=True)
    sys.stdin.read()
    for connection in sockets:
        connection.setblocking(False)
        try:
            if connection.recv(4096, socket.MSG_PEEK) == b"":
                raise SystemExit("idle.py: a connection was closed meanwhile")
        except BlockingIOError:
            pass


if __name__ == "__main__":
    main()
