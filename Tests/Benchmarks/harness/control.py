"""A control plane for one benchmark: certifies whoever asks, and knows one endpoint.

control.py DIRECTORY SERVER_IP SERVER_PORT SERVER_IDENTITY; listens on 127.0.0.1:8080 (identity) and :8086 (destination).
Only for the loopback interface of a namespace of the benchmark's own. Messages are written by hand, so that no
generated code is needed: a field is its key, its length and its bytes.
"""
import ipaddress
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from concurrent import futures

import grpc

DIRECTORY, SERVER_IP, SERVER_PORT, SERVER_IDENTITY = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
LIFETIME_SECONDS = 86_400


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def block(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def integer(number, value):
    return varint(number << 3) + varint(value)


def read_fields(data):
    """Length-delimited fields by number; these requests have no other kind."""
    fields, at = {}, 0
    while at < len(data):
        key, at = read_varint(data, at)
        length, at = read_varint(data, at)
        fields[key >> 3] = data[at:at + length]
        at += length
    return fields


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def certify(request, _):
    fields = read_fields(request)
    with tempfile.TemporaryDirectory() as scratch:
        csr, leaf, extensions = (os.path.join(scratch, name) for name in ("csr.der", "leaf.der", "ext"))
        with open(csr, "wb") as file:
            file.write(fields[3])
        with open(extensions, "w") as file:
            file.write(f"subjectAltName=DNS:{fields[1].decode()}\nextendedKeyUsage=serverAuth,clientAuth\n"
                       "keyUsage=critical,digitalSignature\n")
        subprocess.run(
            ["openssl", "x509", "-req", "-inform", "DER", "-in", csr, "-CA", f"{DIRECTORY}/ca.pem", "-CAkey", f"{DIRECTORY}/ca.key",
             "-set_serial", str(int.from_bytes(os.urandom(8), "big")), "-days", "1", "-extfile", extensions, "-outform", "DER",
             "-out", leaf], check=True, stderr=subprocess.DEVNULL)
        with open(leaf, "rb") as file:
            certificate = file.read()
    # A minute short of the certificate's own end, which openssl counts from its own clock reading.
    until = int(time.time()) + LIFETIME_SECONDS - 60
    return block(1, certificate) + block(3, integer(1, until))


def endpoint():
    ip = struct.pack("<I", int(ipaddress.IPv4Address(SERVER_IP)))
    address = block(1, varint(1 << 3 | 5) + ip) + integer(2, SERVER_PORT)
    identity = block(1, block(1, SERVER_IDENTITY.encode()))
    hint = block(1, b"")
    return block(1, address) + integer(3, 10_000) + block(5, identity) + block(6, hint)


def get_profile(_, context):
    yield block(6, endpoint())
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait()


def get(_, context):
    yield block(1, block(1, endpoint()))
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait()


def serve(port, service, methods):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=64))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    if server.add_insecure_port(f"127.0.0.1:{port}") == 0:
        raise SystemExit(f"control.py: cannot listen on 127.0.0.1:{port}")
    server.start()
    return server


servers = [
    serve(8080, "io.linkerd.proxy.identity.Identity", {"Certify": grpc.unary_unary_rpc_method_handler(certify)}),
    serve(8086, "io.linkerd.proxy.destination.Destination", {
        "GetProfile": grpc.unary_stream_rpc_method_handler(get_profile), "Get": grpc.unary_stream_rpc_method_handler(get)}),
]
for server in servers:
    server.wait_for_termination()
