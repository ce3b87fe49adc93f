import Foundation
import NIOCore
import ProxyCore
import Testing

/// Clients and servers of other people's, with two meshed proxies between them.
///
/// The near proxy's outbound port plays iptables: whatever connects to it was going to the service. Peers that are
/// missing fail here, in words.
struct Matrix {
    let pair: MeshPair
    let folder: URL
    /// The near proxy's outbound port, which clients are pointed at.
    var port: String { "\(pair.near.runtime.addresses[1].port ?? 0)" }

    /// - Parameters:
    ///   - hint: what discovery says about the server.
    ///   - isOpaque: its port is marked opaque, and the proxies meet on the far one's own port.
    ///   - server: the command that serves, given its port and the test's folder.
    static func run(
        isHTTP2: Bool = true, isOpaque: Bool = false,
        server: (_ port: Int, _ folder: URL) async throws -> [String],
        _ body: (Matrix) async throws -> Void
    ) async throws {
        try await PeerProgram.inFolder { folder in
            try await MeshPair.run { pair in
                let port = try await PeerProgram.freePort(on: pair.near.group)
                let log = folder.appending(path: "server.log")
                let process = try PeerProgram.start(await server(port, folder), log: log, folder: folder)
                defer { PeerProgram.stop(process) }
                try await PeerProgram.listening(port, by: process, log: log, on: pair.near.group)
                let address = try SocketAddress(ipAddress: "127.0.0.1", port: port)
                if isOpaque {
                    try await pair.serveDirect(address, isOpaque: true)
                } else {
                    try await pair.serve(address, hint: .init(isHTTP2: isHTTP2))
                }
                // Says where what arrives at the near proxy was going.
                try await pair.near.outbound(to: pair.address).close()
                try await body(Matrix(pair: pair, folder: folder))
            }
        }
    }

    /// Runs a client to its end.
    func client(_ command: String...) async throws -> PeerProgram.Output {
        try await PeerProgram.run(command, folder: folder)
    }

    /// Runs a client that prints OK when all was well.
    func check(_ script: String, _ arguments: String...) async throws {
        let file = folder.appending(path: "client.py")
        try Data(script.utf8).write(to: file)
        let output = try await PeerProgram.run(
            [PeerProgram.python, file.path, port] + arguments, folder: folder)
        #expect(output.status == 0 && output.text.hasSuffix("OK\n"), "\(output)")
    }

    /// Every request went through both proxies, over mesh TLS, and each counted it once.
    func expectCounted(_ count: Double, _ labels: [String: String] = [:]) async throws {
        let near = labels.merging(["direction": "outbound", "tls": "true", "server_id": MeshPair.voting]) { $1 }
        let far = labels.merging(["direction": "inbound", "tls": "true", "client_id": MeshPair.web]) { $1 }
        try await eventually("\(count) responses on both sides") {
            let first = try await pair.near.metric("response_total", near)
            let second = try await pair.far.metric("response_total", far)
            return first == count && second == count
        }
    }

    static func python(_ script: String) -> (Int, URL) async throws -> [String] {
        { port, folder in
            let file = folder.appending(path: "server.py")
            try Data(script.utf8).write(to: file)
            try Data().write(to: folder.appending(path: "notes"))
            return [PeerProgram.python, file.path, "\(port)", folder.appending(path: "notes").path]
        }
    }

    /// nginx with one file of 5,000 bytes.
    static func nginx(isHTTP2: Bool) -> (Int, URL) async throws -> [String] {
        { port, folder in
            let page = folder.appending(path: "index.html")
            try Data(repeating: 0x6E, count: 5_000).write(to: page)
            let text = """
                daemon off; master_process off; error_log stderr warn; pid \(folder.path)/nginx.pid;
                events { worker_connections 512; }
                http {
                  access_log off; keepalive_requests 1000000; large_client_header_buffers 8 64k;
                  client_body_temp_path \(folder.path)/body; proxy_temp_path \(folder.path)/proxy;
                  fastcgi_temp_path \(folder.path)/fcgi; uwsgi_temp_path \(folder.path)/uwsgi;
                  scgi_temp_path \(folder.path)/scgi;
                  server { listen 127.0.0.1:\(port)\(isHTTP2 ? " http2" : ""); root \(folder.path); }
                }
                """
            let config = folder.appending(path: "nginx.conf")
            try Data(text.utf8).write(to: config)
            return ["nginx", "-p", folder.path, "-c", config.path]
        }
    }
}

extension MeshPair {
    /// As `serve`, but the proxies meet on the far one's own port, and say what the connection carries.
    func serveDirect(_ server: SocketAddress, isOpaque: Bool) async throws {
        let own = far.runtime.addresses[0]
        try await far.inbound(to: own).close()
        near.discovery.setProfile(
            "10.96.0.7:8080",
            .profile(
                DestinationProfile(fullyQualifiedName: "voting.emojivoto.svc.cluster.local", isOpaque: isOpaque)))
        near.discovery.setEndpoints(
            Self.service,
            .replace([
                DiscoveredEndpoint(
                    address: server, protocolHint: .init(opaqueTransportPort: UInt16(own.port ?? 0)),
                    tlsIdentity: Self.voting)
            ]))
    }
}

@Suite("Peers through two meshed proxies", .timeLimit(.minutes(10))) struct PeerMatrixTests {
    @Test("curl, every way it speaks HTTP/1, and Python's server", arguments: [true, false])
    func curl(isCarried: Bool) async throws {
        try await Matrix.run(isHTTP2: isCarried, server: Matrix.python(PeerScripts.httpServer)) { mesh in
            let url = "http://127.0.0.1:\(mesh.port)/path?q"
            let old = try await mesh.client("curl", "-sS0", "-D", "-", url)
            #expect(old.status == 0 && old.text.contains(" 200 OK\r\n") && old.text.hasSuffix("\r\n\r\n/path?q"), "\(old)")
            let plain = try await mesh.client("curl", "-sS", url, url, url)
            #expect(plain.text == "/path?q/path?q/path?q", "\(plain)")
            let upload = mesh.folder.appending(path: "upload")
            try Data(repeating: 0x75, count: 300_000).write(to: upload)
            let hash = try await mesh.client("sha256sum", upload.path)
            for extra in [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue", "--expect100-timeout", "20"]] {
                let head = mesh.folder.appending(path: "head").path, got = mesh.folder.appending(path: "got").path
                let sent = try await PeerProgram.run(
                    ["curl", "-sS", "-D", head, "-o", got, "--data-binary", "@\(upload.path)"] + extra + [url],
                    folder: mesh.folder)
                #expect(sent.status == 0, "\(sent)")
                let back = try await mesh.client("sha256sum", got)
                #expect(back.text.prefix(64) == hash.text.prefix(64))
                let fields = try String(contentsOfFile: head, encoding: .utf8).lowercased()
                #expect(fields.contains("x-version: http/1.1") && fields.contains("x-length: 300000"), "\(fields)")
                #expect(!fields.contains("l5d-"))
            }
            let method = try await mesh.client("curl", "-sS", "-X", "BREW", url)
            #expect(method.text == "/path?q", "\(method)")
            try await mesh.expectCounted(8, ["status_code": "200", "classification": "success"])
        }
    }

    @Test("curl and h2load over HTTP/2, and nginx")
    func http2() async throws {
        try await Matrix.run(server: Matrix.nginx(isHTTP2: true)) { mesh in
            let url = "http://127.0.0.1:\(mesh.port)/index.html"
            let curl = try await mesh.client(
                "curl", "-sS", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_version} %{http_code} %{size_download}", url)
            #expect(curl.text == "2 200 5000", "\(curl)")
            let load = try await mesh.client("h2load", "-n", "2000", "-c", "5", "-m", "10", url)
            #expect(load.text.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "\(load)")
            try await mesh.expectCounted(2_001, ["status_code": "200"])
        }
    }

    @Test("wrk and h2load over HTTP/1, and nginx", arguments: [true, false])
    func load(isCarried: Bool) async throws {
        try await Matrix.run(isHTTP2: isCarried, server: Matrix.nginx(isHTTP2: false)) { mesh in
            let url = "http://127.0.0.1:\(mesh.port)/index.html"
            let load = try await mesh.client("h2load", "--h1", "-n", "2000", "-c", "8", url)
            #expect(load.text.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "\(load)")
            let wrk = try await mesh.client("wrk", "-t1", "-c8", "-d2s", url)
            #expect(wrk.status == 0 && !wrk.text.contains("Socket errors") && !wrk.text.contains("Non-2xx"), "\(wrk)")
            let total = wrk.text.split(separator: "\n").first { $0.contains("requests in") }
            let count = Double(total?.split(separator: " ").first ?? "") ?? 0
            #expect(count > 10, "\(wrk)")
            // wrk leaves its last requests unanswered, and does not count them.
            let counted = try await mesh.pair.near.metric("response_total", ["status_code": "200", "direction": "outbound"])
            #expect(counted >= 2_000 + count && counted <= 2_000 + count + 8)
            let connections = try await mesh.pair.near.metric("tcp_open_total", ["peer": "dst", "direction": "outbound"])
            #expect(isCarried ? connections == 1 : connections >= 8)
        }
    }

    @Test("Python's gRPC: all kinds of calls, metadata, statuses, deadlines, cancellation")
    func grpc() async throws {
        try await Matrix.run(server: Matrix.python(PeerScripts.grpcServer)) { mesh in
            try await mesh.check(PeerScripts.grpcClient, mesh.folder.appending(path: "notes").path)
            let ok = ["grpc_status": "0", "classification": "success"]
            #expect(try await mesh.pair.near.metric("response_total", ok.merging(["direction": "outbound"]) { $1 }) == 5)
            #expect(try await mesh.pair.far.metric("response_total", ok.merging(["direction": "inbound"]) { $1 }) == 5)
            // FAILED_PRECONDITION and UNIMPLEMENTED are the caller's mistakes.
            #expect(try await mesh.pair.far.metric("response_total", ["grpc_status": "9", "classification": "success"]) == 1)
            #expect(try await mesh.pair.far.metric("response_total", ["grpc_status": "12", "classification": "success"]) == 1)
        }
    }

    @Test("Python's WebSockets, although the endpoint takes HTTP/1 over HTTP/2")
    func webSockets() async throws {
        try await Matrix.run(server: Matrix.python(PeerScripts.webSocketServer)) { mesh in
            try await mesh.check(PeerScripts.webSocketClient)
            try await mesh.expectCounted(1, ["status_code": "101"])
        }
    }

    @Test("Raw frames of Python's h2, and nginx")
    func rawFrames() async throws {
        try await Matrix.run(server: Matrix.nginx(isHTTP2: true)) { mesh in
            try await mesh.check(PeerScripts.rawClient)
        }
    }

    @Test("Redis, through an opaque port")
    func redis() async throws {
        let server = { @Sendable (port: Int, folder: URL) -> [String] in
            ["redis-server", "--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder.path]
        }
        try await Matrix.run(isOpaque: true, server: server) { mesh in
            for (command, answer) in [(["SET", "key", "value"], "OK\n"), (["GET", "key"], "value\n"), (["PING"], "PONG\n")] {
                let said = try await PeerProgram.run(["redis-cli", "-p", mesh.port] + command, folder: mesh.folder)
                #expect(said.text == answer, "\(said)")
            }
            let load = try await mesh.client("redis-benchmark", "-p", mesh.port, "-n", "5000", "-P", "16", "-q", "-t", "set,get")
            #expect(load.status == 0 && load.text.contains("requests per second"), "\(load)")
            try await expectOpaque(mesh)
        }
    }

    @Test("PostgreSQL, through an opaque port")
    func postgres() async throws {
        let server = { @Sendable (port: Int, folder: URL) async throws -> [String] in
            let data = folder.appending(path: "data").path
            // PostgreSQL refuses to run as root.
            let asUser = geteuid() == 0 ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : []
            if geteuid() == 0 {
                try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
                let owned = try await PeerProgram.run(["chown", "postgres", data], folder: folder)
                #expect(owned.status == 0, "\(owned)")
            }
            let (initdb, postgres) = (try PeerProgram.find("initdb"), try PeerProgram.find("postgres"))
            let made = try await PeerProgram.run(
                asUser + [initdb, "-D", data, "-A", "trust", "-U", "mesh", "-N"], folder: folder, within: .seconds(120))
            guard made.status == 0 else { throw DeadlineError(description: "initdb failed: \(made)") }
            return asUser + [postgres, "-D", data, "-p", "\(port)", "-h", "127.0.0.1", "-k", data, "-F"]
        }
        try await Matrix.run(isOpaque: true, server: server) { mesh in
            let psql = { (sql: String) in
                try await mesh.client(
                    "psql", "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", mesh.port, "-U", "mesh", "-d", "postgres", "-c", sql)
            }
            let made = try await psql("create table t as select i, repeat('x', 100) as v from generate_series(1, 20000) i")
            #expect(made.status == 0, "\(made)")
            let sum = try await psql("select sum(i), sum(length(v)) from t")
            #expect(sum.text == "200010000|2000000\n", "\(sum)")
            let rows = try await psql("copy t to stdout")
            #expect(rows.text.split(separator: "\n").count == 20_000)
            try await expectOpaque(mesh)
        }
    }

    private func expectOpaque(_ mesh: Matrix) async throws {
        #expect(try await mesh.pair.near.metric("request_total") == 0)
        let near = ["direction": "outbound", "peer": "dst", "tls": "true"]
        #expect(try await mesh.pair.near.metric("tcp_open_total", near) >= 3)
        let far = ["direction": "inbound", "peer": "src", "tls": "true", "client_id": MeshPair.web]
        #expect(try await mesh.pair.far.metric("tcp_open_total", far) >= 3)
        try await eventually("every connection is closed again, on both sides") {
            let first = try await mesh.pair.near.metric("tcp_open_connections", near)
            let second = try await mesh.pair.far.metric("tcp_open_connections", far)
            return first == 0 && second == 0
        }
    }
}
