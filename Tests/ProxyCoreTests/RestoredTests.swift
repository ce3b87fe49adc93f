import NIOCore
import NIOPosix
import ProxyCore
import Synchronization
import Testing

/// What a peer proxy may send to inbound with `l5d-orig-proto`, and what the application gets to see.
@Suite("Restored HTTP/1", .timeLimit(.minutes(2))) final class RestoredTests {
    /// Clients live as long as their connections may speak to them.
    private let clients = Mutex<[HTTP2TestClient]>([])

    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"

    private func client(on loop: any EventLoop) async throws -> HTTP2TestClient {
        let client = try await loop.submit { HTTP2TestClient(loop: loop) }.get()
        clients.withLock { $0.append(client) }
        return client
    }

    /// Sends one request over HTTP/2 to inbound.
    /// - Returns: what the application got, and what the client did.
    private func exchange(
        _ proxy: ProxyFixture, _ server: ScriptedServer, path: String = "/", method: String = "GET",
        fields: [(String, String)], body: String? = nil, answer: String? = RestoredTests.ok
    ) async throws -> (request: String, answer: HTTP2Answer) {
        try await proxy.inbound(to: server.address).close()  // Says where what arrives was going.
        let loop = proxy.group.next()
        let address = proxy.runtime.addresses[0]
        let client = try await self.client(on: loop)
        let answered = loop.flatSubmit { () -> EventLoopFuture<HTTP2Answer> in
            client.connect(to: address).flatMap {
                client.open(path, method: method, fields: fields, body: body.map { ByteBuffer(string: $0) }).answer
            }.map { answer in
                client.peer.close()
                return answer
            }
        }
        guard let answer else { return ("", try await answered.get()) }
        let upstream = try await server.next()
        var request = try await upstream.takeHead()
        if body != nil { request += try await upstream.take(through: "END") }
        try await upstream.send(answer)
        await upstream.close()  // Some answers end with their connection.
        return (request, try await answered.get())
    }

    @Test("Crumbs of a cookie are one line again, a host is made where HTTP/1.1 needs one, the version comes back")
    func fields() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let (request, answer) = try await exchange(
                proxy, server,
                fields: [
                    ("cookie", "a=1"), ("x", "1"), ("cookie", "b=2"), ("l5d-orig-proto", "HTTP/1.1"), ("l5d-client-id", "forged"),
                ])
            #expect(request == "GET / HTTP/1.1\r\ncookie: a=1; b=2\r\nx: 1\r\nhost: web.test:80\r\n\r\n")
            #expect(answer.status == 200 && answer.isComplete)
            #expect(answer.fields["l5d-orig-proto"] == "HTTP/1.1")
            #expect(answer.fields["connection"] == nil && answer.fields["content-length"] == "2")
            let old = try await exchange(
                proxy, server, path: "/x", fields: [("l5d-orig-proto", "HTTP/1.0; absolute-form")],
                answer: "HTTP/1.0 200 OK\r\n\r\nall")
            #expect(old.request == "GET http://web.test:80/x HTTP/1.0\r\n\r\n")
            #expect(old.answer.fields["l5d-orig-proto"] == "HTTP/1.0")
        }
    }

    @Test("A version that nobody knows leaves the request what it is, without the field")
    func unknownVersion() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            try await proxy.inbound(to: server.address).close()
            let loop = proxy.group.next()
            let address = proxy.runtime.addresses[0]
            let client = try await self.client(on: loop)
            _ = try await loop.flatSubmit { client.connect(to: address) }.get()
            let answer = loop.flatSubmit { client.open("/", fields: [("l5d-orig-proto", "HTTP/3")]).answer }
            let upstream = try await server.next()
            #expect(try await upstream.take(count: 24) == "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            await upstream.close()
            #expect(try await answer.get().status == 502)
            try await loop.submit { client.peer.close() }.get()
        }
    }

    @Test("HTTP/1.0 has no body without a length: refused before the application sees anything")
    func bodyWithoutLength() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let (_, answer) = try await exchange(
                proxy, server, method: "POST", fields: [("l5d-orig-proto", "HTTP/1.0")], body: "END", answer: nil)
            #expect(answer.status == 400)
            #expect(server.acceptedCount == 0)
            let (request, good) = try await exchange(
                proxy, server, method: "POST", fields: [("l5d-orig-proto", "HTTP/1.1"), ("host", "web.test:80")], body: "END")
            #expect(request == "POST / HTTP/1.1\r\nhost: web.test:80\r\ntransfer-encoding: chunked\r\n\r\n3\r\nEND")
            #expect(good.status == 200)
        }
    }

    /// Two hosts in one request: what the proxies routed to and counted, and what the application would serve.
    /// The status is 0 where the stream is reset.
    static let twoHosts: [(fields: [(String, String)], status: Int)] = [
        ([("l5d-orig-proto", "HTTP/1.1"), ("host", "admin.test")], 400),
        ([("l5d-orig-proto", "HTTP/1.0"), ("host", "web.test")], 400),
        ([("l5d-orig-proto", "HTTP/1.1"), ("host", "web.test:80"), ("host", "admin.test")], 0),
        ([("l5d-orig-proto", "HTTP/1.1; absolute-form"), ("host", "a"), ("host", "a")], 0),
    ]

    @Test("A host that is not the authority, or a second one, is refused before the application sees anything")
    func hosts() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            for (fields, status) in Self.twoHosts {
                let (_, answer) = try await exchange(proxy, server, fields: fields, answer: nil)
                #expect(answer.status == status, "\(fields)")
            }
            #expect(server.acceptedCount == 0)
            let (request, _) = try await exchange(
                proxy, server, fields: [("l5d-orig-proto", "HTTP/1.1; absolute-form"), ("host", "a")])
            #expect(request == "GET http://web.test:80/ HTTP/1.1\r\nhost: a\r\n\r\n")
        }
    }

    @Test("An application that switches protocols unasked is a bad gateway")
    func unaskedSwitch() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let (_, answer) = try await exchange(
                proxy, server, fields: [("l5d-orig-proto", "HTTP/1.1")], answer: "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")
            #expect(answer.status == 502)
        }
    }

    @Test("A pooled connection that the application closed meanwhile costs no request")
    func stalePool() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.start(on: proxy.group)
            let keeps = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            for _ in 0..<20 {
                // `exchange` closes the application's side right behind an answer that promised more.
                let (_, answer) = try await exchange(
                    proxy, server, fields: [("l5d-orig-proto", "HTTP/1.1"), ("host", "web.test:80")], answer: keeps)
                #expect(answer.status == 200)
            }
        }
    }
}
