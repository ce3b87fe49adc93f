import MeshAPI
import NIOCore
import ProxyCore
import SwiftProtobuf
import Testing

private let environment = [
    "LINKERD2_PROXY_TAP_SVC_NAME": "tap.linkerd-viz", "LINKERD2_PROXY_CONTROL_LISTEN_ADDR": "127.0.0.1:0",
]

@Suite("Tap", .timeLimit(.minutes(2))) struct TapServerTests {
    private func tap(
        _ proxy: ProxyFixture, window: UInt32 = 0, _ request: TapClient.Request
    ) async throws -> TapClient {
        let address = try #require(proxy.runtime.tapAddress)
        return try await TapClient.observe(address, on: proxy.group, windowMilliseconds: window, request)
    }

    @Test("An HTTP/1 request is told in three events, with what was asked and what came back")
    func http1() async throws {
        try await ProxyFixture.run(environment) { proxy in
            let server = try await ScriptedServer.answering(
                "HTTP/1.1 404 Not Found\r\nX-Y: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                on: proxy.group)
            let tapper = try await tap(proxy, .all(limit: 1, headers: true))
            let client = try await proxy.inbound(to: server.address)
            try await client.send("GET /a?b=c HTTP/1.1\r\nHost: web.test\r\nUser-Agent: me\r\n\r\n")
            let events = try await tapper.events(count: 3)
            let begin = events[0].http.requestInit
            #expect(begin.method.registered == .get)
            #expect(!begin.hasScheme)
            #expect(begin.authority == "web.test")
            #expect(begin.path == "/a")
            #expect(begin.headers.headers.map(\.name) == ["host", "user-agent"])
            #expect(events[1].http.responseInit.httpStatus == 404)
            #expect(events[1].http.responseInit.headers.headers.map(\.name) == ["x-y", "transfer-encoding"])
            let end = events[2].http.responseEnd
            #expect(end.responseBytes == 3)
            #expect(end.hasEos && end.eos.end == nil)
            #expect(end.hasSinceResponseInit)
            for event in events {
                #expect(event.proxyDirection == .inbound)
                #expect(event.destination.port == UInt32(server.address.port ?? 0))
                #expect(event.destination.ip.ipv4 == 0x7F00_0001)
                #expect(event.source.port != 0)
                #expect(event.sourceMeta.labels == ["tls": "disabled"])
                #expect(event.destinationMeta.labels["tls"] == "loopback")
                #expect(event.hasRouteMeta == false)
            }
            try await eventually("the end after the only request") { tapper.isEnded }
            #expect(tapper.trailers["grpc-status"] == "0")
        }
    }

    @Test("A connection that cannot be made is told as the answer that the client gets")
    func connectFailure() async throws {
        try await ProxyFixture.run(environment) { proxy in
            let server = try await ScriptedServer.answering("", on: proxy.group)
            let address = server.address
            await server.stop()
            let tapper = try await tap(proxy, .all(limit: 10))
            let client = try await proxy.outbound(to: address)
            try await client.send("POST http://web.test:80/x HTTP/1.1\r\nHost: web.test:80\r\nContent-Length: 0\r\n\r\n")
            let events = try await tapper.events(count: 3)
            #expect(events[0].http.requestInit.scheme.registered == .http)
            #expect(events[0].http.requestInit.hasHeaders == false)
            #expect(events[0].proxyDirection == .outbound)
            #expect(events[1].http.responseInit.httpStatus == 502)
            #expect(events[2].http.responseEnd.responseBytes == 0)
        }
    }

    @Test("Discovery's labels name the endpoint, and a tap can ask for them")
    func labels() async throws {
        try await ProxyFixture.run(environment) { proxy in
            let server = try await ScriptedServer.answering(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", on: proxy.group)
            let asked = try SocketAddress(ipAddress: "10.1.1.1", port: 80)
            let endpoint = DiscoveredEndpoint(
                address: server.address, metricLabels: ["deployment": "web", "namespace": "emojivoto"])
            proxy.discovery.setProfile(
                "10.1.1.1:80", .profile(DestinationProfile(fullyQualifiedName: "web.emojivoto.svc.cluster.local")))
            proxy.discovery.setEndpoints("web.emojivoto.svc.cluster.local:80", .replace([endpoint]))
            func wanting(_ value: String) -> TapClient.Request {
                .with {
                    $0.limit = 10
                    $0.match.destinationLabel = .with { $0.key = "deployment"; $0.value = value }
                }
            }
            let tapper = try await tap(proxy, wanting("web"))
            let other = try await tap(proxy, wanting("voting"))
            let client = try await proxy.outbound(to: asked)
            try await client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            let events = try await tapper.events(count: 3)
            #expect(
                events[0].destinationMeta.labels == [
                    "deployment": "web", "namespace": "emojivoto", "tls": "disabled",
                ])
            #expect(events[0].sourceMeta.labels == ["tls": "loopback"])
            #expect(other.events.isEmpty)
        }
    }

    @Test("Limit counts requests, ids count up, and the number of the call is its own")
    func limit() async throws {
        try await ProxyFixture.run(environment) { proxy in
            let server = try await ScriptedServer.answering(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", on: proxy.group)
            let first = try await tap(proxy, .all(limit: 2))
            let second = try await tap(proxy, .all(limit: 5))
            let client = try await proxy.inbound(to: server.address)
            for _ in 0..<4 {
                try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                _ = try await client.takeHead()
            }
            try await eventually("the first tap to end") { first.isEnded }
            #expect(first.events.count == 6)
            #expect(first.events.map { $0.http.requestInit.id.stream } == [0, 0, 0, 1, 0, 0])
            let later = try await second.events(count: 12)
            #expect(Set(first.events.map(\.http.id.base)) != Set(later.map(\.http.id.base)))
            #expect(!second.isEnded)
        }
    }

    @Test(
        "What cannot be asked is refused",
        arguments: [
            (TapClient.Request.all(limit: 0), "limit must be positive"),
            (TapClient.Request.with { $0.limit = 1 }, "missing required field"),
            (TapClient.Request.with { $0.limit = 1; $0.match.source.ports.min = 70_000 }, "invalid port"),
        ])
    func refuses(request: TapClient.Request, message: String) async throws {
        try await ProxyFixture.run(environment) { proxy in
            let tapper = try await tap(proxy, request)
            try await eventually("the refusal") { tapper.isEnded }
            #expect(tapper.trailers["grpc-status"] == "3")
            #expect(tapper.trailers["grpc-message"] == message)
        }
    }

    @Test("Without a name of who may tap there is no port")
    func disabled() async throws {
        try await ProxyFixture.run { proxy in #expect(proxy.runtime.tapAddress == nil) }
    }

    @Test("A window refills the limit, and what passed beyond it is counted in the stream")
    func window() async throws {
        try await ProxyFixture.run(environment) { proxy in
            let server = try await ScriptedServer.answering(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", on: proxy.group)
            let tapper = try await tap(proxy, window: 300_000, .all(limit: 2))
            let client = try await proxy.inbound(to: server.address)
            for _ in 0..<5 {
                try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                _ = try await client.takeHead()
            }
            try await eventually("the count of what was not shown") { tapper.losses.limited == 3 }
            #expect(tapper.events.count == 6)
            #expect(!tapper.isEnded)
        }
    }

    @Test("A reader that stands still slows nobody, and hears afterwards how much it missed")
    func slowReader() async throws {
        let requests = 6_000
        try await ProxyFixture.run(environment) { proxy in
            let server = try await ScriptedServer.answering(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", on: proxy.group)
            let slow = try await tap(proxy, window: 1_000_000, .all(limit: 1_000_000))
            let quick = try await tap(proxy, window: 1_000_000, .all(limit: 1_000_000))
            try await slow.stall()
            let client = try await proxy.inbound(to: server.address)
            for _ in 0..<requests / 50 {
                try await client.send(String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: 50))
                for _ in 0..<50 { _ = try await client.takeHead() }
            }
            #expect(try await proxy.metric("request_total", ["direction": "inbound"]) == Double(requests))
            _ = try await quick.events(count: 3 * requests)
            #expect(quick.losses == .init())
            #expect(slow.events.count < 3 * requests)
            try await slow.resume()
            try await eventually("what was kept, and the count of the rest") {
                let shown = slow.events.count { $0.http.event?.isRequest ?? false }
                return UInt64(shown) + slow.losses.droppedRequests == UInt64(requests)
            }
            #expect(slow.losses.droppedRequests > 0)
            #expect(slow.losses.droppedEvents == 0)
            let ends = slow.events.count { $0.http.event?.isEnd ?? false }
            #expect(ends == slow.events.count { $0.http.event?.isRequest ?? false })
        }
    }

    @Test("A tapper that leaves is forgotten")
    func leaves() async throws {
        try await ProxyFixture.run(environment) { proxy in
            let server = try await ScriptedServer.answering(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            let tapper = try await tap(proxy, .all(limit: 100))
            try await tapper.close()
            for _ in 0..<3 {
                try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                _ = try await client.takeHead()
            }
            let again = try await tap(proxy, .all(limit: 1))
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await again.events(count: 3).count == 3)
        }
    }
}

extension Io_Linkerd_Proxy_Tap_TapEvent.Http {
    fileprivate var id: StreamId {
        switch event {
        case .requestInit(let part): part.id
        case .responseInit(let part): part.id
        case .responseEnd(let part): part.id
        case nil: StreamId()
        }
    }
}

extension Io_Linkerd_Proxy_Tap_TapEvent.Http.OneOf_Event {
    var isRequest: Bool { if case .requestInit = self { true } else { false } }
    var isEnd: Bool { if case .responseEnd = self { true } else { false } }
}
