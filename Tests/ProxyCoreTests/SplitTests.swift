import MeshRoutes
import NIOCore
import ProxyCore
import Synchronization
import Testing

private func response(_ body: String) -> String { Script.response("200 OK", body) }

/// Raised once.
final class Flag: Sendable {
    private let value = Mutex(false)
    var isSet: Bool { value.withLock { $0 } }
    func set() { value.withLock { $0 = true } }
}

@Suite("Splits and resilience", .timeLimit(.minutes(3))) struct SplitTests {
    private let service: RoutedService
    private let legs = ["a.ns.svc.cluster.local:8080", "b.ns.svc.cluster.local:8080"]

    init() throws { service = try RoutedService() }

    private func overrides(_ first: UInt32, _ second: UInt32) -> [WeightedAuthority] {
        [
            // With a trailing dot, as Linkerd 2.11 writes it.
            WeightedAuthority(authority: "a.ns.svc.cluster.local.:8080", weight: first),
            WeightedAuthority(authority: legs[1], weight: second),
        ]
    }

    private func start(_ proxy: ProxyFixture) async throws {
        for (leg, body) in zip(legs, ["-a-", "-b-"]) {
            let server = try await ScriptedServer.answering(response(body), on: proxy.group)
            proxy.discovery.setEndpoints(
                leg, .replace([DiscoveredEndpoint(address: server.address, metricLabels: ["service": body])]))
        }
    }

    private func ask(_ client: TestConnection) async throws -> String { try await Self.ask(client) }

    private static func ask(_ client: TestConnection) async throws -> String {
        try await client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n")
        _ = try await client.takeHead()
        return try await client.take(count: 3)
    }

    private func shares(_ client: TestConnection, _ count: Int) async throws -> [String: Int] {
        var shares: [String: Int] = [:]
        for _ in 0..<count { shares[try await ask(client), default: 0] += 1 }
        return shares
    }

    @Test("Requests are split by weight, and a new split takes over without a failure")
    func split() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy, overrides: overrides(900, 100))
            try await start(proxy)
            let client = try await proxy.outbound(to: service.address)
            let first = try await shares(client, 400)
            // Ten standard deviations: 360 ± 60.
            #expect((300...399).contains(first["-a-"] ?? 0), "\(first)")
            let labels = ["dst_service": "-b-", "authority": RoutedService.path]
            #expect(try await proxy.metric("request_total", labels) == Double(first["-b-"] ?? 0))
            #expect(try await proxy.metric("route_request_total", ["dst": RoutedService.path]) == 400)
            service.set(proxy, overrides: overrides(0, 1))
            try await eventually("everything goes to the second leg") {
                try await shares(client, 20) == ["-b-": 20]
            }
            #expect(proxy.discovery.endpointWatchCount == 1, "nobody watches a leg of weight zero")
            #expect(try await proxy.metric("response_total", ["classification": "failure"]) == 0)
        }
    }

    @Test("A leg without endpoints leaves its share to the other")
    func failover() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy, overrides: overrides(500, 500))
            try await start(proxy)
            let client = try await proxy.outbound(to: service.address)
            _ = try await shares(client, 20)
            proxy.discovery.setEndpoints(legs[0], .noEndpoints(exists: true))
            try await eventually("the other takes all") { try await shares(client, 30) == ["-b-": 30] }
            #expect(try await proxy.metric("outbound_http_errors_total") == 0)
        }
    }

    @Test("Weights that are all zero mean the service itself")
    func zero() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy, overrides: overrides(0, 0))
            service.locate(proxy, servers: try await .answering(response("-w-"), on: proxy.group))
            let client = try await proxy.outbound(to: service.address)
            #expect(try await ask(client) == "-w-")
        }
    }

    @Test("A request whose endpoint cannot be connected to goes to another that can")
    func connectElsewhere() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy)
            let dead = try await ScriptedServer.start(on: proxy.group)
            await dead.stop()
            let alive = try await ScriptedServer.answering(response("-x-"), on: proxy.group)
            service.locate(proxy, servers: dead, alive)
            for _ in 0..<30 {
                let client = try await proxy.outbound(to: service.address)
                #expect(try await ask(client) == "-x-")
                await client.close()
            }
            #expect(try await proxy.metric("outbound_http_errors_total") == 0)
            let failed = try await proxy.metric("response_total", ["classification": "failure"])
            #expect(failed >= 1, "what the dead endpoint did is still counted against it")
        }
    }

    @Test("A hundred changes a second under load fail no request")
    func churn() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy, routes: [.path("/.*")])
            var servers: [ScriptedServer] = []
            for _ in 0..<4 { servers.append(try await .answering(response("-x-"), on: proxy.group)) }
            let all = servers.map { DiscoveredEndpoint(address: $0.address) }
            proxy.discovery.setEndpoints(RoutedService.path, .replace(all))
            let over = Flag()
            let (service, discovery) = (service, proxy.discovery)
            let answered = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<8 {
                    let client = try await proxy.outbound(to: service.address)
                    group.addTask {
                        var count = 0
                        while !over.isSet {
                            guard try await Self.ask(client) == "-x-" else { throw DeadlineError(description: "a failed request") }
                            count += 1
                        }
                        return count
                    }
                }
                for round in 0..<300 {
                    let leaving = all[round % 4]
                    // Removed, replaced by others, or given new labels: one endpoint at least stays.
                    switch round % 3 {
                    case 0: discovery.setEndpoints(RoutedService.path, .remove([leaving.address]))
                    case 1: discovery.setEndpoints(RoutedService.path, .replace(all.filter { $0 != leaving }))
                    default:
                        let labelled = all.map { DiscoveredEndpoint(address: $0.address, metricLabels: ["round": "\(round % 7)"]) }
                        discovery.setEndpoints(RoutedService.path, .add(labelled))
                    }
                    try await Task.sleep(for: .milliseconds(10))
                }
                over.set()
                return try await group.reduce(0, +)
            }
            #expect(answered > 300)
            #expect(try await proxy.metric("outbound_http_errors_total") == 0)
            #expect(try await proxy.metric("response_total", ["classification": "failure"]) == 0)
            #expect(try await proxy.metric("route_response_total", ["classification": "success"]) == Double(answered))
        }
    }

    @Test("Requests beyond the bound on those in flight are shed, and the others are served")
    func inFlight() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_OUTBOUND_MAX_IN_FLIGHT": "1"]) { proxy in
            service.set(proxy)
            let server = try await ScriptedServer.start(on: proxy.group)
            service.locate(proxy, servers: server)
            let first = try await proxy.outbound(to: service.address)
            try await first.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            let upstream = try await server.next()
            _ = try await upstream.takeHead()
            let second = try await proxy.outbound(to: service.address)
            try await second.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            let refused = try await second.takeToEnd()
            #expect(refused.hasPrefix("HTTP/1.1 503 ") && refused.contains("l5d-proxy-error: service unavailable"))
            #expect(try await proxy.metric("outbound_http_errors_total", ["error": "loadshed"]) == 1)
            try await upstream.send(response("-1-"))
            _ = try await first.take(through: "-1-")
            try await first.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            _ = try await upstream.takeHead()
            try await upstream.send(response("-2-"))
            _ = try await first.take(through: "-2-")
            // A client that leaves gives its place back.
            try await first.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            _ = try await upstream.takeHead()
            await first.close()
            try await eventually("the place is free again") {
                let third = try await proxy.outbound(to: service.address)
                try await third.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n")
                let another = try await server.nextOrNone()
                await third.close()
                return another != nil
            }
        }
    }
}

@Suite("Required identities", .timeLimit(.minutes(1))) struct RequiredIdentityTests {
    @Test("A request that says whom it must reach goes nowhere else; the field is taken off, except inbound")
    func mismatch() async throws {
        try await ProxyFixture.run { proxy in
            let service = try RoutedService()
            let script = Script([response("-1-")])
            let server = try await ScriptedServer.start(on: proxy.group, serve: script.serve)
            service.set(proxy)
            service.locate(proxy, servers: server)
            let client = try await proxy.outbound(to: service.address)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\nL5d-Require-Id: web.ns\r\n\r\n")
            let answer = try await client.takeToEnd()
            #expect(answer.hasPrefix("HTTP/1.1 502 "))
            #expect(answer.contains("l5d-proxy-error: required id web.ns; found none\r\n"))
            #expect(try await proxy.metric("outbound_http_errors_total", ["error": "identity required"]) == 1)
            #expect(script.requests.isEmpty)
            let inbound = try await proxy.inbound(to: server.address)
            try await inbound.send("GET / HTTP/1.1\r\nHost: a\r\nl5d-require-id: web.ns\r\n\r\n")
            _ = try await inbound.take(through: "-1-")
            #expect(script.requests[0].contains("l5d-require-id: web.ns"))
        }
    }
}

@Suite("Ingress mode", .timeLimit(.minutes(2))) struct IngressTests {
    private let environment = ["LINKERD2_PROXY_INGRESS_MODE": "true"]

    @Test("Each request goes where it says, whatever its connection was made to; the field is taken off")
    func override() async throws {
        try await ProxyFixture.run(environment) { proxy in
            let service = try RoutedService()
            let first = Script([response("-1-")])
            let second = Script([response("-2-")])
            for (name, script) in [("a", first), ("b", second)] {
                let host = "\(name).ns.svc.cluster.local"
                let server = try await ScriptedServer.start(on: proxy.group, serve: script.serve)
                proxy.discovery.setProfile("\(host):80", .profile(DestinationProfile(fullyQualifiedName: host)))
                proxy.discovery.setEndpoints("\(host):80", .replace([DiscoveredEndpoint(address: server.address)]))
            }
            let plain = try await ScriptedServer.answering(response("-0-"), on: proxy.group)
            service.set(proxy)
            service.locate(proxy, servers: plain)
            let client = try await proxy.outbound(to: service.address)
            for (name, body) in [("a.ns.svc.cluster.local", "-1-"), ("B.ns.svc.cluster.local:80", "-2-")] {
                try await client.send("GET / HTTP/1.1\r\nHost: shop.example\r\nL5d-Dst-Override: \(name)\r\n\r\n")
                _ = try await client.take(through: body)
            }
            try await client.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
            _ = try await client.take(through: "-0-")
            #expect(
                first.requests == [
                    "GET / HTTP/1.1\r\nHost: shop.example\r\nl5d-dst-canonical: a.ns.svc.cluster.local:80\r\n\r\n"
                ])
            #expect(second.requests.count == 1 && !second.requests[0].contains("verride"))
        }
    }

    @Test("A name that means nothing fails its request, and elsewhere than in ingress mode the field is just passed on")
    func refused() async throws {
        try await ProxyFixture.run(environment) { proxy in
            let service = try RoutedService()
            service.set(proxy)
            proxy.discovery.setProfile("nowhere.ns.svc.cluster.local:80", .rejected)
            let client = try await proxy.outbound(to: service.address)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\nl5d-dst-override: nowhere.ns.svc.cluster.local\r\n\r\n")
            let answer = try await client.takeToEnd()
            #expect(answer.hasPrefix("HTTP/1.1 500 "))
            #expect(!answer.contains("l5d-proxy-error"), "an ingress keeps such things to itself")
        }
        try await ProxyFixture.run { proxy in
            let service = try RoutedService()
            let script = Script([response("-1-")])
            service.set(proxy)
            service.locate(proxy, servers: try await .start(on: proxy.group, serve: script.serve))
            let client = try await proxy.outbound(to: service.address)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\nl5d-dst-override: other\r\n\r\n")
            _ = try await client.take(through: "-1-")
            #expect(script.requests[0].contains("l5d-dst-override: other"))
        }
    }
}

@Suite("Inbound routes", .timeLimit(.minutes(2))) struct InboundRouteTests {
    private let name = "web.ns.svc.cluster.local:8080"

    @Test("Requests are counted by the routes of the name under which they were sent")
    func counted() async throws {
        try await ProxyFixture.run { proxy in
            proxy.discovery.setProfile(
                name,
                .profile(
                    DestinationProfile(
                        fullyQualifiedName: "web.ns.svc.cluster.local",
                        routes: [.path("/books", isRetryable: true, timeout: 1)], retryBudget: RoutedService.budget())))
            let script = Script([Script.response("503 Service Unavailable", "-1-"), response("-2-"), response("-3-")])
            let server = try await ScriptedServer.start(on: proxy.group, serve: script.serve)
            let client = try await proxy.inbound(to: server.address)
            for (path, body) in [("/books", "-1-"), ("/books", "-2-"), ("/else", "-3-")] {
                try await client.send("GET \(path) HTTP/1.1\r\nHost: x\r\nl5d-dst-canonical: \(name)\r\n\r\n")
                _ = try await client.take(through: body)
            }
            let labels = ["direction": "inbound", "dst": name, "rt_route": "/books"]
            #expect(try await proxy.metric("route_request_total", labels) == 2)
            #expect(try await proxy.metric("route_response_total", labels.merging(["status_code": "503"]) { $1 }) == 1)
            #expect(try await proxy.metric("route_request_total", ["direction": "inbound", "dst": name]) == 3)
            #expect(try await proxy.metric("route_actual_request_total") == 0, "nothing is retried, or timed, inbound")
            #expect(proxy.discovery.profileWatchCount == 1)
        }
    }

    @Test("A name for which discovery has no answer waits a moment and is served")
    func silent() async throws {
        try await ProxyFixture.run(["LINKERD2_PROXY_DESTINATION_PROFILE_INITIAL_TIMEOUT": "50ms"]) { proxy in
            let server = try await ScriptedServer.answering(response("-1-"), on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send("GET / HTTP/1.1\r\nHost: \(name)\r\n\r\n")
            _ = try await client.take(through: "-1-")
            #expect(try await proxy.metric("route_request_total") == 0)
            // An answer that comes late counts from then on.
            proxy.discovery.setProfile(name, .profile(DestinationProfile(routes: [.path("/")])))
            try await eventually("the route counts") {
                try await client.send("GET / HTTP/1.1\r\nHost: \(name)\r\n\r\n")
                _ = try await client.take(through: "-1-")
                return try await proxy.metric("route_request_total", ["rt_route": "/"]) > 0
            }
        }
    }

    @Test("Names outside the cluster are not asked about")
    func foreign() async throws {
        try await ProxyFixture.run { proxy in
            let server = try await ScriptedServer.answering(response("-1-"), on: proxy.group)
            let client = try await proxy.inbound(to: server.address)
            try await client.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
            _ = try await client.take(through: "-1-")
            #expect(proxy.discovery.profileWatchCount == 0)
        }
    }
}
