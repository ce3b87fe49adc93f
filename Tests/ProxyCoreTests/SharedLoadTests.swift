// What many clients share: one connection between two proxies, and the room in which requests are kept for a retry.

import MeshHTTP2
import MeshRoutes
import NIOCore
import NIOPosix
import ProxyCore
import Synchronization
import Testing

@Suite("What many clients share", .timeLimit(.minutes(3))) struct SharedLoadTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    private static let largeBytes = 8_000_000
    /// Seventeen of them hold more than the window of the connection that they share.
    private static let slowCount = 24

    @Test(
        "Clients that do not read, and an application that does not, hold up nobody else on the connection",
        arguments: [true, false])
    func slow(isClientSlow: Bool) async throws {
        try await MeshPair.run { pair in
            let server = try await ScriptedServer.start(on: pair.far.group) { connection in
                while true {
                    let head = try await connection.takeHead()
                    if head.hasPrefix("GET /large") {
                        try await connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(Self.largeBytes)\r\n\r\n")
                        try await connection.sendLater(count: Self.largeBytes).get()
                    } else if head.hasPrefix("POST") {
                        try await connection.setReading(false)
                    } else {
                        _ = try await connection.take(count: 1_000)
                        try await connection.send(Self.ok)
                    }
                }
            }
            try await pair.serve(server.address, hint: .init(isHTTP2: true))
            var slow: [TestConnection] = []
            for _ in 0..<Self.slowCount {
                let client = try await pair.near.outbound(to: pair.address)
                try await client.setReading(false)
                if isClientSlow {
                    try await client.send("GET /large HTTP/1.1\r\nHost: voting\r\n\r\n")
                } else {
                    try await client.send("POST / HTTP/1.1\r\nHost: voting\r\nContent-Length: \(Self.largeBytes)\r\n\r\n")
                    // They are never taken whole: the end of the test cuts them off.
                    _ = client.sendLater(count: Self.largeBytes)
                }
                slow.append(client)
            }
            let family = isClientSlow ? "tcp_read_bytes_total" : "tcp_write_bytes_total"
            let shared = ["direction": "outbound", "peer": "dst"]
            try await eventually("what the slow ones hold stops growing", within: .seconds(40)) {
                let first = try await pair.near.metric(family, shared)
                try await Task.sleep(for: .milliseconds(200))
                let second = try await pair.near.metric(family, shared)
                return first > Double(Self.slowCount * 65_535) && first == second
            }
            let quick = try await pair.near.outbound(to: pair.address)
            for _ in 0..<20 {
                // With a body: only bodies need the window.
                let body = String(repeating: "q", count: 1_000)
                try await quick.send("PUT / HTTP/1.1\r\nHost: voting\r\nContent-Length: 1000\r\n\r\n\(body)")
                _ = try await quick.take(through: "hi")
            }
            let large = try await pair.near.outbound(to: pair.address)
            try await large.send("GET /large HTTP/1.1\r\nHost: voting\r\nConnection: close\r\n\r\n")
            try await eventually("a client that reads gets all of it", within: .seconds(40)) {
                large.receivedCount > Self.largeBytes
            }
            #expect(try await pair.near.metric("tcp_open_total", shared) == 1)
            for client in slow { await client.close() }
        }
    }

    // MARK: Requests kept for a retry

    private static let bodyBytes = 60_000
    private static let posts = 40
    private static let environment = ["LINKERD2_PROXY_REPLAY_BYTES_MAX": "1000000"]

    private static var post: String {
        "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: \(bodyBytes)\r\n\r\n" + String(repeating: "x", count: bodyBytes)
    }

    @Test("Requests that find no room to be kept are sent once: nothing fails for it, and room that is free again is used")
    func room() async throws {
        try await ProxyFixture.run(Self.environment) { (proxy: ProxyFixture) async throws in
            let service = try RoutedService()
            service.set(proxy, routes: [.path("/.*", isRetryable: true)], budget: RoutedService.budget())
            let server = try await ScriptedServer.start(on: proxy.group)
            service.locate(proxy, servers: server)
            var clients: [TestConnection] = [], upstreams: [TestConnection] = []
            for _ in 0..<Self.posts {
                let client = try await proxy.outbound(to: service.address)
                try await client.send(Self.post)
                let upstream = try await server.next()
                _ = try await upstream.takeHead()
                _ = try await upstream.take(count: Self.bodyBytes)
                clients.append(client)
                upstreams.append(upstream)
            }
            // All of them wait for their answers, and sixteen found room: those are sent again on the same connections.
            var retried = 0
            for (client, upstream) in zip(clients, upstreams) {
                try await upstream.send(Script.response("503 Service Unavailable", "no"))
                try await eventually("a failure, or another try") { client.receivedCount > 0 || upstream.receivedCount > 0 }
                if client.receivedCount > 0 {
                    #expect(try await client.take(through: "no").hasPrefix("HTTP/1.1 503 "))
                } else {
                    retried += 1
                    _ = try await upstream.takeHead()
                    _ = try await upstream.take(count: Self.bodyBytes)
                    try await upstream.send(Self.ok)
                    #expect(try await client.take(through: "hi") == Self.ok)
                }
            }
            #expect(retried == 16)
            #expect(try await proxy.metric("route_retryable_total", ["skipped": ""]) == 0)
            #expect(try await proxy.metric("route_retryable_total") == 16)
            #expect(try await proxy.metric("outbound_http_errors_total") == 0)
            #expect(try await proxy.metric("response_total", ["error": "unclassified"]) == 0)
            // Everything that was kept is let go.
            try await clients[0].send(Self.post)
            let again = try await server.nextOrNone() ?? upstreams[0]
            for answer in [Script.response("503 Service Unavailable", "no"), Self.ok] {
                let owner = try await eventuallyOne(of: [again] + upstreams)
                _ = try await owner.takeHead()
                _ = try await owner.take(count: Self.bodyBytes)
                try await owner.send(answer)
            }
            #expect(try await clients[0].take(through: "hi") == Self.ok)
        }
    }

    /// The connection on which a request came.
    private func eventuallyOne(of connections: [TestConnection]) async throws -> TestConnection {
        var found: TestConnection?
        try await eventually("a request") {
            found = connections.first { $0.receivedCount > 0 }
            return found != nil
        }
        return try #require(found)
    }

    @Test("Streams share the same room")
    func streams() async throws {
        let answer: HTTP2RouteFixture.Answer = { attempt, slot, peer in
            guard attempt <= Self.posts else { return peer.respond(slot) }
            peer.notes.held.append((peer, slot))
            guard attempt == Self.posts else { return }
            for held in peer.notes.held { held.peer.respond(held.slot, status: "503") }
            peer.notes.held = []
        }
        let routes = [ProfileRoute.path("/.*", isRetryable: true)]
        try await HTTP2RouteFixture.run(routes, environment: Self.environment, answer: answer) { fixture in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<Self.posts {
                    group.addTask { try await fixture.ask("/a", bodyBytes: Self.bodyBytes).status }
                }
                return try await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
            }
            let retried = statuses[200] ?? 0
            #expect(retried > 0 && retried <= 16)
            #expect(statuses[503] == Self.posts - retried)
            #expect(try await fixture.route("route_retryable_total") == Double(retried))
            #expect(try await fixture.proxy.metric("outbound_http_errors_total") == 0)
        }
    }
}
