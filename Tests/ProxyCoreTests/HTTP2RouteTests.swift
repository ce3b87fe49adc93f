import MeshHTTP2
import MeshRoutes
import NIOCore
import NIOPosix
import ProxyCore
import Testing

/// A whole proxy between an HTTP/2 client and an HTTP/2 server whose answers a test writes.
struct HTTP2RouteFixture: Sendable {
    typealias Answer = @Sendable (_ attempt: Int, _ slot: Int, _ peer: HTTP2Peer) -> Void

    let proxy: ProxyFixture
    let loop: any EventLoop
    let client: HTTP2TestClient
    let seen: NIOLoopBound<Seen>

    /// What arrived at the server. Loop-bound.
    final class Seen {
        var requestCount = 0
        var bodies: [Int] = []
        var paths: [Int: Int] = [:]
    }

    /// - Parameter answer: called when a request is complete, with the number of requests before it.
    static func run(
        _ routes: [ProfileRoute], budget: RetryBudget.Settings? = RoutedService.budget(),
        environment: [String: String] = [:], answer: @escaping Answer,
        _ body: (HTTP2RouteFixture) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let seen = try await loop.submit { NIOLoopBound(Seen(), eventLoop: loop) }.get()
        let server = try await ServerBootstrap(group: loop).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                var received: [Int: Int] = [:]
                let peer = HTTP2Peer(.server) { event, peer in
                    func complete(_ slot: Int) {
                        let seen = seen.value
                        seen.requestCount += 1
                        seen.bodies.append(received.removeValue(forKey: slot) ?? 0)
                        answer(seen.requestCount, slot, peer)
                    }
                    switch event {
                    case .head(let slot, _, let isEnd): if isEnd { complete(slot) } else { received[slot] = 0 }
                    case .data(let slot, let chunk): received[slot, default: 0] += peer.take(chunk, of: slot).readableBytes
                    case .end(let slot), .trailers(let slot, _): complete(slot)
                    default: break
                    }
                }
                try channel.pipeline.syncOperations.addHandler(peer)
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        do {
            try await ProxyFixture.run(environment) { proxy in
                let service = try RoutedService()
                service.set(proxy, routes: routes, budget: budget)
                guard let address = server.localAddress else { throw DeadlineError(description: "no server") }
                proxy.discovery.setEndpoints(RoutedService.path, .replace([DiscoveredEndpoint(address: address)]))
                let scout = try await proxy.outbound(to: service.address)
                await scout.close()
                let client = HTTP2TestClient(loop: loop)
                let entrance = proxy.runtime.addresses[1]
                try await loop.flatSubmit { client.connect(to: entrance) }.get()
                try await body(HTTP2RouteFixture(proxy: proxy, loop: loop, client: client, seen: seen))
                try await loop.submit { client.peer.close() }.get()
            }
        } catch {
            try await server.close()
            try await group.shutdownGracefully()
            throw error
        }
        try await server.close()
        try await group.shutdownGracefully()
    }

    func ask(
        _ path: String, isGRPC: Bool = false, bodyBytes: Int = 0, fields: [(String, String)] = []
    ) async throws -> HTTP2Answer {
        let client = client
        return try await loop.flatSubmit {
            client.open(
                path, method: isGRPC || bodyBytes > 0 ? "POST" : "GET",
                fields: fields + (isGRPC ? [("content-type", "application/grpc")] : []),
                body: bodyBytes > 0 ? ByteBuffer(repeating: 0x61, count: bodyBytes) : nil
            ).answer
        }.get()
    }

    func requestCount() async throws -> Int {
        let seen = seen
        return try await loop.submit { seen.value.requestCount }.get()
    }

    func bodies() async throws -> [Int] {
        let seen = seen
        return try await loop.submit { seen.value.bodies }.get()
    }

    func route(_ family: String, _ more: [String: String] = [:]) async throws -> Double {
        try await proxy.metric(family, ["dst": RoutedService.path, "rt_route": "/.*"].merging(more) { $1 })
    }
}

@Suite("Routes over HTTP/2", .timeLimit(.minutes(2))) struct HTTP2RouteTests {
    private static let retryable = [ProfileRoute.path("/.*", isRetryable: true)]

    @Test("A failed status is retried, with a body of tens of kilobytes")
    func retried() async throws {
        let answer: HTTP2RouteFixture.Answer = { attempt, slot, peer in
            peer.respond(slot, status: attempt < 3 ? "503" : "200", body: ByteBuffer(string: "body \(attempt)"))
        }
        try await HTTP2RouteFixture.run(Self.retryable, answer: answer) { fixture in
            let answer = try await fixture.ask("/a", bodyBytes: 60_000)
            #expect(answer.status == 200 && answer.isComplete && String(buffer: answer.body) == "body 3")
            #expect(try await fixture.bodies() == [60_000, 60_000, 60_000])
            #expect(try await fixture.route("route_response_total", ["classification": "success"]) == 1)
            #expect(try await fixture.route("route_response_total", ["classification": "failure"]) == 0)
            #expect(try await fixture.route("route_actual_response_total", ["classification": "failure"]) == 2)
            #expect(try await fixture.route("route_retryable_total") == 2)
            #expect(try await fixture.route("route_response_latency_ms_count") == 1)
            #expect(try await fixture.proxy.metric("response_total", ["classification": "failure"]) == 2)
        }
    }

    @Test("A body beyond 64 KiB is sent once")
    func longBody() async throws {
        let answer: HTTP2RouteFixture.Answer = { attempt, slot, peer in
            peer.respond(slot, status: attempt == 1 ? "503" : "200")
        }
        try await HTTP2RouteFixture.run(Self.retryable, answer: answer) { fixture in
            let answer = try await fixture.ask("/a", bodyBytes: 70_000)
            #expect(answer.status == 503)
            #expect(try await fixture.bodies() == [70_000])
            #expect(try await fixture.route("route_retryable_total") == 0)
            #expect(try await fixture.ask("/a").status == 200)
        }
    }

    @Test(
        "A gRPC failure is retried whether its status comes alone or behind a head",
        arguments: [true, false])
    func grpc(isTrailersOnly: Bool) async throws {
        let answer: HTTP2RouteFixture.Answer = { attempt, slot, peer in
            let type = ("content-type", "application/grpc")
            if attempt < 3, isTrailersOnly {
                peer.respond(slot, fields: [type, ("grpc-status", "14")])
            } else if attempt < 3 {
                peer.respond(slot, fields: [type], trailers: [("grpc-status", "14")])
            } else {
                peer.respond(slot, fields: [type], body: ByteBuffer(string: "fine"), trailers: [("grpc-status", "0")])
            }
        }
        try await HTTP2RouteFixture.run(Self.retryable, answer: answer) { fixture in
            let answer = try await fixture.ask("/p.S/M", isGRPC: true, bodyBytes: 10)
            #expect(answer.trailers["grpc-status"] == "0" && String(buffer: answer.body) == "fine")
            #expect(try await fixture.requestCount() == 3)
            #expect(try await fixture.route("route_actual_response_total", ["grpc_status": "14"]) == 2)
            #expect(try await fixture.route("route_response_total", ["grpc_status": "0"]) == 1)
        }
    }

    @Test("A gRPC failure behind body bytes goes through: the client has a part of it")
    func late() async throws {
        let answer: HTTP2RouteFixture.Answer = { _, slot, peer in
            peer.respond(
                slot, fields: [("content-type", "application/grpc")], body: ByteBuffer(string: "part"),
                trailers: [("grpc-status", "13")])
        }
        try await HTTP2RouteFixture.run(Self.retryable, answer: answer) { fixture in
            let answer = try await fixture.ask("/p.S/M", isGRPC: true)
            #expect(answer.status == 200 && answer.trailers["grpc-status"] == "13")
            #expect(String(buffer: answer.body) == "part")
            #expect(try await fixture.requestCount() == 1)
            #expect(try await fixture.route("route_response_total", ["classification": "failure", "grpc_status": "13"]) == 1)
        }
    }

    @Test("An exhausted budget lets the failure through, for streams side by side as well")
    func budget() async throws {
        let answer: HTTP2RouteFixture.Answer = { _, slot, peer in peer.respond(slot, status: "500") }
        let budget = RoutedService.budget(ratio: 0, minPerSecond: 1)
        try await HTTP2RouteFixture.run(Self.retryable, budget: budget, answer: answer) { fixture in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<5 { group.addTask { try await fixture.ask("/a").status } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses == [500, 500, 500, 500, 500])
            #expect(try await fixture.requestCount() == 15, "five, and the ten that the budget allowed")
            #expect(try await fixture.route("route_retryable_total", ["skipped": "no_budget"]) == 5)
        }
    }

    @Test("A route's time-out answers 504, or the gRPC code in its place, and stops the endpoint")
    func timeout() async throws {
        let answer: HTTP2RouteFixture.Answer = { _, _, _ in }
        try await HTTP2RouteFixture.run([.path("/.*", timeout: 50)], answer: answer) { fixture in
            let plain = try await fixture.ask("/a")
            #expect(plain.status == 504)
            #expect(plain.fields["l5d-proxy-error"] == "HTTP response timeout after 50ms")
            #expect(try await fixture.route("route_response_total", ["error": "timeout"]) == 1)
            #expect(try await fixture.proxy.metric("outbound_http_errors_total", ["error": "response timeout"]) == 1)
            #expect(try await fixture.proxy.metric("response_total", ["error": "timeout"]) == 1)
        }
        try await HTTP2RouteFixture.run([.path("/.*", timeout: 50)], answer: answer) { fixture in
            let grpc = try await fixture.ask("/p.S/M", isGRPC: true)
            #expect(grpc.status == 200 && grpc.fields["grpc-status"] == "14")
            #expect(grpc.fields["grpc-message"] == "HTTP response timeout after 50ms")
        }
    }

    @Test("A hundred changes a second under load fail no stream")
    func churn() async throws {
        let answer: HTTP2RouteFixture.Answer = { _, slot, peer in peer.respond(slot, body: ByteBuffer(string: "x")) }
        try await HTTP2RouteFixture.run([.path("/.*")], answer: answer) { fixture in
            var servers: [any Channel] = []
            for _ in 0..<3 {
                let server = ServerBootstrap(group: fixture.loop).childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let peer = HTTP2Peer(.server) { event, peer in
                            guard case .head(let slot, _, _) = event else { return }
                            peer.respond(slot, body: ByteBuffer(string: "x"))
                        }
                        try channel.pipeline.syncOperations.addHandler(peer)
                    }
                }
                servers.append(try await server.bind(host: "127.0.0.1", port: 0).get())
            }
            let all = servers.compactMap(\.localAddress).map { DiscoveredEndpoint(address: $0) }
            let discovery = fixture.proxy.discovery
            discovery.setEndpoints(RoutedService.path, .replace(all))
            let over = Flag()
            let answered = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        var count = 0
                        while !over.isSet {
                            let answer = try await fixture.ask("/a")
                            guard answer.status == 200, answer.isComplete, answer.reset == nil else {
                                throw DeadlineError(description: "a failed stream: \(answer)")
                            }
                            count += 1
                        }
                        return count
                    }
                }
                for round in 0..<200 {
                    let leaving = all[round % 3]
                    switch round % 3 {
                    case 0: discovery.setEndpoints(RoutedService.path, .remove([leaving.address]))
                    case 1: discovery.setEndpoints(RoutedService.path, .replace(all.filter { $0 != leaving }))
                    default: discovery.setEndpoints(RoutedService.path, .add(all))
                    }
                    try await Task.sleep(for: .milliseconds(10))
                }
                over.set()
                return try await group.reduce(0, +)
            }
            #expect(answered > 200)
            #expect(try await fixture.proxy.metric("outbound_http_errors_total") == 0)
            #expect(try await fixture.route("route_response_total", ["classification": "failure"]) == 0)
            for server in servers { try await server.close() }
        }
    }

    @Test("A stream that says whom it must reach goes nowhere else")
    func requiredIdentity() async throws {
        let answer: HTTP2RouteFixture.Answer = { _, slot, peer in peer.respond(slot) }
        try await HTTP2RouteFixture.run([.path("/.*")], answer: answer) { fixture in
            let refused = try await fixture.ask("/a", fields: [("l5d-require-id", "web.ns")])
            #expect(refused.status == 502)
            #expect(refused.fields["l5d-proxy-error"] == "required id web.ns; found none")
            #expect(try await fixture.requestCount() == 0)
        }
    }

    @Test("What a peer's proxy says about an error reaches the application unless that is turned off", arguments: [true, false])
    func peerErrors(isInformational: Bool) async throws {
        let environment = ["LINKERD2_PROXY_OUTBOUND_DISABLE_INFORMATIONAL_HEADERS": isInformational ? "false" : "true"]
        let answer: HTTP2RouteFixture.Answer = { _, slot, peer in
            peer.respond(slot, status: "504", fields: [("l5d-proxy-error", "too slow")])
        }
        try await HTTP2RouteFixture.run([], environment: environment, answer: answer) { fixture in
            let answer = try await fixture.ask("/a")
            #expect(answer.status == 504)
            #expect(answer.fields["l5d-proxy-error"] == (isInformational ? "too slow" : nil))
        }
    }

    @Test("An endpoint that cannot be connected to is passed over, one that refuses is asked again")
    func elsewhere() async throws {
        let answer: HTTP2RouteFixture.Answer = { attempt, slot, peer in
            if attempt == 1 { peer.session.reset(slot, .refusedStream) } else { peer.respond(slot) }
        }
        try await HTTP2RouteFixture.run([.path("/.*")], answer: answer) { fixture in
            #expect(try await fixture.ask("/a").status == 200)
            #expect(try await fixture.requestCount() == 2)
            let dead = try await ScriptedServer.start(on: fixture.proxy.group)
            await dead.stop()
            fixture.proxy.discovery.setEndpoints(RoutedService.path, .add([DiscoveredEndpoint(address: dead.address)]))
            for _ in 0..<30 { #expect(try await fixture.ask("/a").status == 200) }
            #expect(try await fixture.proxy.metric("outbound_http_errors_total") == 0)
        }
    }
}
