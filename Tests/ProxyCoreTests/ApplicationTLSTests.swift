// TLS of the application's own, which no proxy can or may look into: it is passed through as it is, in both directions,
// and named by what its ClientHello says.

import Foundation
import MeshTestPKI
import NIOCore
import ProxyCore
import Testing

/// `PORT CERTIFICATE KEY MODE NOTES`: serves one connection after another. In mode `answer` it answers once the client has
/// ended its half; in mode `greet` it ends its own half first, and notes how much comes after that.
private let server = #"""
    import socket, ssl, sys
    port, certificate, key, mode, notes = sys.argv[1:6]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", int(port)))
    while True:
        sock, _ = listener.accept()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        try:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    data = sock.recv(65536)
                    if not data: raise ConnectionError()
                    incoming.write(data)
            sock.sendall(outgoing.read())
            if mode == "greet":
                tls.write(b"hello from the server")
                sock.sendall(outgoing.read())
                sock.shutdown(socket.SHUT_WR)
            count = 0
            while True:
                try:
                    count += len(tls.read(65536))
                except ssl.SSLWantReadError:
                    data = sock.recv(65536)
                    if not data: break
                    incoming.write(data)
            open(notes, "a").write("%d\n" % count)
            if mode == "answer":
                tls.write(b"got %d" % count)
                sock.sendall(outgoing.read())
        except (ConnectionError, ssl.SSLError):
            pass
        sock.close()
    """#

/// `PORT CA MODE COUNT`: the other side of `server`; prints what the server said, and OK.
private let client = #"""
    import socket, ssl, sys
    port, ca, mode, count = sys.argv[1:5]
    context = ssl.create_default_context(cafile=ca)
    sock = socket.create_connection(("127.0.0.1", int(port)))
    sock.settimeout(20)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="app.example.com")
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            data = sock.recv(65536)
            assert data, "closed in the handshake"
            incoming.write(data)
    sock.sendall(outgoing.read())
    def send():
        tls.write(b"x" * int(count))
        sock.sendall(outgoing.read())
        sock.shutdown(socket.SHUT_WR)
    def read():
        said = b""
        while True:
            try: said += tls.read(65536)
            except ssl.SSLWantReadError:
                data = sock.recv(65536)
                if not data: return said
                incoming.write(data)
    if mode == "answer":
        send()
        said = read()
    else:
        said = read()
        send()
    print(said.decode(), "OK")
    """#

@Suite("TLS of the application's own", .timeLimit(.minutes(3))) struct ApplicationTLSTests {
    /// An application with a certificate that nobody in the mesh issued.
    private struct Application {
        let folder: URL
        let address: SocketAddress
        let mode: String

        func call(_ port: Int, count: Int = 100_000) async throws -> String {
            let script = folder.appending(path: "client.py")
            try Data(client.utf8).write(to: script)
            let ca = folder.appending(path: "ca.pem").path
            let command = [PeerProgram.python, script.path, "\(port)", ca, mode, "\(count)"]
            return try await PeerProgram.run(command, folder: folder).text
        }

        /// How much the server got of each connection, behind its own end.
        var notes: [String] {
            let text = (try? String(contentsOf: folder.appending(path: "notes"), encoding: .utf8)) ?? ""
            return text.split(separator: "\n").map(String.init)
        }
    }

    private func run(_ mode: String, _ body: (MeshPair, Application) async throws -> Void) async throws {
        try await PeerProgram.inFolder { folder in
            let authority = try TestAuthority("ca.example.com")
            let leaf = try authority.issue("app.example.com")
            for (name, text) in [
                ("ca.pem", try authority.pem), ("app.pem", leaf.chainPEM), ("app.key", leaf.keyPEM), ("server.py", server),
            ] { try Data(text.utf8).write(to: folder.appending(path: name)) }
            try await MeshPair.run { pair in
                let port = try await PeerProgram.freePort(on: pair.near.group)
                let log = folder.appending(path: "server.log")
                let files = ["app.pem", "app.key"].map { folder.appending(path: $0).path }
                let process = try PeerProgram.start(
                    [PeerProgram.python, "server.py", "\(port)", files[0], files[1], mode, "notes"], log: log, folder: folder)
                defer { PeerProgram.stop(process) }
                try await PeerProgram.listening(port, by: process, log: log, on: pair.near.group)
                let address = try SocketAddress(ipAddress: "127.0.0.1", port: port)
                try await body(pair, Application(folder: folder, address: address, mode: mode))
            }
        }
    }

    @Test("It leaves the mesh untouched, and either side may end its half first", arguments: ["answer", "greet"])
    func leaves(mode: String) async throws {
        try await run(mode) { pair, application in
            try await pair.near.outbound(to: application.address).close()
            let said = try await application.call(pair.near.runtime.addresses[1].port ?? 0)
            #expect(said == (mode == "answer" ? "got 100000 OK\n" : "hello from the server OK\n"))
            try await eventually("the server got it all") { application.notes == ["100000"] }
            let far = [
                "direction": "outbound", "peer": "dst", "target_addr": application.address.endpointText,
                "tls": "no_identity", "no_tls_reason": "not_provided_by_service_discovery",
            ]
            let near = ["direction": "outbound", "peer": "src", "tls": "no_identity", "no_tls_reason": "loopback"]
            try await eventually("both sockets are closed") { try await pair.near.metric("tcp_open_connections", near) == 0 }
            let sent = try await pair.near.metric("tcp_read_bytes_total", near)
            #expect(sent > 100_000)
            #expect(try await pair.near.metric("tcp_write_bytes_total", far) == sent)
            #expect(
                try await pair.near.metric("tcp_read_bytes_total", far)
                    == pair.near.metric("tcp_write_bytes_total", near))
            #expect(try await pair.near.metric("request_total") == 0)
            let detected = ["result": "not_http", "parent_name": "fallback"]
            #expect(try await pair.near.metric("outbound_tcp_detect_http_results_total", detected) >= 1)
        }
    }

    @Test("It arrives in the mesh untouched, labelled by the name it asks for", arguments: ["answer", "greet"])
    func arrives(mode: String) async throws {
        try await run(mode) { pair, application in
            try await pair.far.inbound(to: application.address).close()
            let said = try await application.call(pair.far.runtime.addresses[0].port ?? 0)
            #expect(said == (mode == "answer" ? "got 100000 OK\n" : "hello from the server OK\n"))
            try await eventually("the server got it all") { application.notes == ["100000"] }
            let labels = ["direction": "inbound", "peer": "src", "tls": "opaque", "sni": "app.example.com"]
            try await eventually("the socket is closed") { try await pair.far.metric("tcp_close_total", labels) == 1 }
            #expect(try await pair.far.metric("tcp_open_total", labels) == 1)
            #expect(try await pair.far.metric("tcp_read_bytes_total", labels) > 100_000)
            let allowed = ["tls": "opaque", "sni": "app.example.com", "srv_name": "all-unauthenticated"]
            #expect(try await pair.far.metric("inbound_tcp_authz_allow_total", allowed) == 1)
            #expect(try await pair.far.metric("inbound_tcp_detect_http_results_total") == 0, "ciphertext is not looked at")
            #expect(try await pair.far.metric("request_total") == 0)
        }
    }

    @Test("Between two meshed proxies it travels inside the mesh's own TLS")
    func inside() async throws {
        try await run("answer") { pair, application in
            try await pair.serveDirect(application.address, isOpaque: false)
            try await pair.near.outbound(to: pair.address).close()
            #expect(try await application.call(pair.near.runtime.addresses[1].port ?? 0) == "got 100000 OK\n")
            let near = ["direction": "outbound", "peer": "dst", "server_id": MeshPair.voting]
            let far = ["direction": "inbound", "peer": "src", "client_id": MeshPair.web, "tls": "true"]
            let sent = try await pair.near.metric("tcp_write_bytes_total", near)
            #expect(sent > 100_000)
            #expect(try await pair.far.metric("tcp_read_bytes_total", far) == sent)
        }
    }
}
