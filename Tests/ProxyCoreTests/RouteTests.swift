import MeshRoutes
import NIOCore
import ProxyCore
import Synchronization
import Testing

private let ok = Script.response("200 OK")
private let unavailable = Script.response("503 Service Unavailable", "no")

@Suite("Routes", .timeLimit(.minutes(2))) struct RouteTests {
    private let service: RoutedService

    init() throws { service = try RoutedService() }

    private func get(_ path: String, on client: TestConnection, _ end: String = "hi") async throws -> String {
        try await client.send("GET \(path) HTTP/1.1\r\nHost: web\r\n\r\n")
        return try await client.take(through: end)
    }

    private func labels(_ route: String?, _ more: [String: String] = [:]) -> [String: String] {
        var labels = ["direction": "outbound", "dst": RoutedService.path]
        if let route { labels["rt_route"] = route }
        return labels.merging(more) { $1 }
    }

    @Test("The first route that matches counts the request, and the rest counts without a route's labels")
    func counted() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy, routes: [.path(#"/books/\d+"#), .path("/books/.*"), .path("/gone")])
            let server = try await ScriptedServer.start(on: proxy.group) { connection in
                while true {
                    let isGone = try await connection.takeHead().hasPrefix("GET /gone")
                    try await connection.send(isGone ? unavailable : ok)
                }
            }
            service.locate(proxy, servers: server)
            let client = try await proxy.outbound(to: service.address)
            for path in ["/books/1", "/books/2?sort=/x", "/books/x", "/else"] { _ = try await get(path, on: client) }
            _ = try await get("/gone", on: client, "no")
            let requests = "route_request_total"
            #expect(try await proxy.metric(requests, labels(#"/books/\\d+"#)) == 0, "the parser unescapes labels")
            #expect(try await proxy.metric(requests, labels(#"/books/\d+"#)) == 2)
            #expect(try await proxy.metric(requests, labels("/books/.*")) == 1)
            #expect(try await proxy.metric(requests, labels("/gone")) == 1)
            #expect(try await proxy.metric(requests, labels(nil)) == 5)
            let gone = labels("/gone", ["status_code": "503", "classification": "failure"])
            #expect(try await proxy.metric("route_response_total", gone) == 1)
            #expect(try await proxy.metric("route_actual_response_total", gone) == 1)
            #expect(try await proxy.metric("route_actual_request_total", labels(nil)) == 5)
            #expect(try await proxy.metric("route_response_latency_ms_count", labels(#"/books/\d+"#)) == 2)
            #expect(try await proxy.metric("route_response_total", labels(nil, ["classification": "success"])) == 4)
        }
    }

    @Test("Without a profile nothing is counted by route")
    func unprofiled() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy)
            service.locate(proxy, servers: try await .answering(ok, on: proxy.group))
            let client = try await proxy.outbound(to: service.address)
            _ = try await get("/", on: client)
            #expect(try await proxy.admin("GET", "/metrics").body.contains("\nroute_") == false)
        }
    }

    @Test("A route's own classes decide what is a failure, for the route and for the endpoint")
    func classes() async throws {
        try await ProxyFixture.run { proxy in
            let missing = ResponseClass(condition: .status(404...404), isFailure: true)
            let tolerated = ResponseClass(condition: .status(500...599), isFailure: false)
            service.set(proxy, routes: [.path("/.*", classes: [missing, tolerated])])
            let script = Script([Script.response("404 Not Found"), Script.response("500 Internal Server Error"), ok])
            service.locate(proxy, servers: try await .start(on: proxy.group, serve: script.serve))
            let client = try await proxy.outbound(to: service.address)
            for _ in 0..<3 { _ = try await get("/", on: client) }
            for family in ["route_response_total", "response_total"] {
                #expect(try await proxy.metric(family, ["status_code": "404", "classification": "failure"]) == 1)
                #expect(try await proxy.metric(family, ["status_code": "500", "classification": "success"]) == 1)
                #expect(try await proxy.metric(family, ["status_code": "200", "classification": "success"]) == 1)
            }
        }
    }

    @Test("A route's time-out answers 504, says so, and closes; the late answer goes nowhere")
    func timeout() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy, routes: [.path("/slow", timeout: 50), .path("/fast", timeout: 60_000)])
            let server = try await ScriptedServer.start(on: proxy.group)
            service.locate(proxy, servers: server)
            let client = try await proxy.outbound(to: service.address)
            try await client.send("GET /slow HTTP/1.1\r\nHost: web\r\n\r\n")
            let upstream = try await server.next()
            _ = try await upstream.takeHead()
            let answer = try await client.takeToEnd()
            #expect(answer.hasPrefix("HTTP/1.1 504 "))
            #expect(answer.contains("\r\nl5d-proxy-error: HTTP response timeout after 50ms\r\n"))
            #expect(answer.contains("\r\nl5d-proxy-connection: close\r\nconnection: close\r\n"))
            try await eventually("the endpoint is let go") { upstream.isInputClosed }
            let failed = labels("/slow", ["classification": "failure", "error": "timeout"])
            #expect(try await proxy.metric("route_response_total", failed) == 1)
            #expect(try await proxy.metric("outbound_http_errors_total", ["error": "response timeout"]) == 1)
            #expect(try await proxy.metric("response_total", ["classification": "failure", "error": "timeout"]) == 1)

            let next = try await proxy.outbound(to: service.address)
            try await next.send("GET /fast HTTP/1.1\r\nHost: web\r\n\r\n")
            let second = try await server.next()
            _ = try await second.takeHead()
            try await second.send(ok)
            #expect(try await next.take(through: "hi") == ok)
        }
    }

    @Test("Failures of a retryable route are sent again, and the client sees the last answer")
    func retried() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy, routes: [.path("/.*", isRetryable: true)], budget: RoutedService.budget())
            let script = Script([unavailable, unavailable, ok])
            service.locate(proxy, servers: try await .start(on: proxy.group, serve: script.serve))
            let client = try await proxy.outbound(to: service.address)
            #expect(try await get("/a", on: client) == ok)
            #expect(try await get("/b", on: client) == ok)
            #expect(script.requests.count == 4)
            #expect(Set(script.requests.prefix(3)).count == 1, "each attempt is the same request")
            #expect(try await proxy.metric("route_request_total", labels("/.*")) == 2)
            #expect(try await proxy.metric("route_response_total", labels("/.*", ["classification": "success"])) == 2)
            #expect(try await proxy.metric("route_actual_request_total", labels("/.*")) == 4)
            let failures = labels("/.*", ["classification": "failure", "status_code": "503"])
            #expect(try await proxy.metric("route_actual_response_total", failures) == 2)
            #expect(try await proxy.metric("route_response_total", failures) == 0)
            #expect(try await proxy.metric("route_retryable_total", labels("/.*")) == 2)
            #expect(try await proxy.metric("response_total", ["classification": "failure"]) == 2, "the endpoint did fail")
        }
    }

    @Test("Routes that are not retryable, and profiles without a budget, pass failures on")
    func notRetried() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy, routes: [.path("/a"), .path("/b", isRetryable: true)], budget: nil)
            let script = Script([unavailable])
            service.locate(proxy, servers: try await .start(on: proxy.group, serve: script.serve))
            let client = try await proxy.outbound(to: service.address)
            #expect(try await get("/a", on: client, "no") == unavailable)
            #expect(try await get("/b", on: client, "no") == unavailable)
            service.set(proxy, routes: [.path("/a"), .path("/b", isRetryable: true)], budget: RoutedService.budget())
            #expect(try await get("/a", on: client, "no") == unavailable)
            #expect(script.requests.count == 3)
        }
    }

    @Test("When the budget is used up the failure goes through, and is counted as skipped")
    func budget() async throws {
        try await ProxyFixture.run { proxy in
            // Nothing but 10 s × 1/s, and no share of the requests.
            service.set(
                proxy, routes: [.path("/.*", isRetryable: true)],
                budget: RoutedService.budget(ratio: 0, minPerSecond: 1))
            let script = Script([unavailable])
            service.locate(proxy, servers: try await .start(on: proxy.group, serve: script.serve))
            let client = try await proxy.outbound(to: service.address)
            #expect(try await get("/", on: client, "no") == unavailable)
            #expect(script.requests.count == 11, "ten retries, and the first")
            #expect(try await proxy.metric("route_retryable_total", labels("/.*", ["skipped": "no_budget"])) == 1)
            #expect(try await proxy.metric("route_retryable_total", labels("/.*")) == 12, "both series")
            #expect(try await proxy.metric("route_response_total", labels("/.*", ["classification": "failure"])) == 1)
        }
    }

    @Test("Bodies are kept and sent again, framed as they came", arguments: [false, true])
    func bodies(isChunked: Bool) async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy, routes: [.path("/.*", isRetryable: true)], budget: RoutedService.budget())
            let script = Script([unavailable, ok])
            service.locate(proxy, servers: try await .start(on: proxy.group, serve: script.serve))
            let client = try await proxy.outbound(to: service.address)
            let head = "POST /a HTTP/1.1\r\nHost: web\r\n"
            let half = String(repeating: "x", count: 20_000)
            if isChunked {
                try await client.send(head + "Transfer-Encoding: chunked\r\n\r\n4e20\r\n\(half)\r\n")
                try await client.send("4e20\r\n\(half)\r\n0\r\n\r\n")
            } else {
                try await client.send(head + "Content-Length: 40000\r\n\r\n\(half)")
                try await client.send(half)
            }
            #expect(try await client.take(through: "hi") == ok)
            #expect(script.requests.count == 2 && script.requests[0] == script.requests[1])
            #expect(script.requests[1].utf8.count > 40_000)
            // And the connection is good for more.
            #expect(try await get("/b", on: client) == ok)
        }
    }

    @Test("A body beyond 64 KiB is sent once")
    func longBody() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy, routes: [.path("/.*", isRetryable: true)], budget: RoutedService.budget())
            let script = Script([unavailable, ok])
            service.locate(proxy, servers: try await .start(on: proxy.group, serve: script.serve))
            let client = try await proxy.outbound(to: service.address)
            let body = String(repeating: "x", count: 65_537)
            try await client.send("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 65537\r\n\r\n\(body)")
            #expect(try await client.take(through: "no") == unavailable)
            #expect(script.requests.count == 1)
            #expect(try await proxy.metric("route_retryable_total", labels("/.*")) == 0)
            #expect(try await get("/", on: client) == ok)
        }
    }

    @Test("Pipelined requests behind a retried one keep their order")
    func pipelined() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy, routes: [.path("/.*", isRetryable: true)], budget: RoutedService.budget())
            let script = Script([unavailable, Script.response("200 OK", "first"), Script.response("200 OK", "second")])
            service.locate(proxy, servers: try await .start(on: proxy.group, serve: script.serve))
            let client = try await proxy.outbound(to: service.address)
            try await client.send("GET /1 HTTP/1.1\r\nHost: web\r\n\r\nGET /2 HTTP/1.1\r\nHost: web\r\n\r\n")
            #expect(try await client.take(through: "second").contains("first"))
            #expect(script.requests.map { $0.prefix(6) } == ["GET /1", "GET /1", "GET /2"])
        }
    }

    @Test("A request is not sent again once the time-out has passed")
    func retriesEndWithTimeout() async throws {
        try await ProxyFixture.run { proxy in
            service.set(
                proxy, routes: [.path("/.*", isRetryable: true, timeout: 300)], budget: RoutedService.budget())
            let count = Mutex(0)
            let server = try await ScriptedServer.start(on: proxy.group) { connection in
                while true {
                    _ = try await connection.takeHead()
                    let isFirst = count.withLock { count in
                        count += 1
                        return count == 1
                    }
                    if isFirst { try await connection.send(unavailable) }
                }
            }
            service.locate(proxy, servers: server)
            let client = try await proxy.outbound(to: service.address)
            try await client.send("GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            #expect(try await client.takeToEnd().hasPrefix("HTTP/1.1 504 "))
            #expect(count.withLock { $0 } == 2)
            let attempts = try await proxy.metric("route_actual_response_total", labels("/.*"))
            #expect(attempts == 2, "one failed, one timed out")
            #expect(try await proxy.metric("route_response_total", labels("/.*", ["error": "timeout"])) == 1)
        }
    }

    @Test("A pattern that cannot be used leaves its requests to the next route")
    func badPattern() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy, routes: [.path("/(a"), .path("/.*")])
            service.locate(proxy, servers: try await .answering(ok, on: proxy.group))
            let client = try await proxy.outbound(to: service.address)
            _ = try await get("/(a", on: client)
            #expect(try await proxy.metric("route_request_total", labels("/.*")) == 1)
        }
    }

    @Test("A new profile takes over between two requests of one connection")
    func updated() async throws {
        try await ProxyFixture.run { proxy in
            service.set(proxy, routes: [.path("/a")])
            service.locate(proxy, servers: try await .answering(ok, on: proxy.group))
            let client = try await proxy.outbound(to: service.address)
            _ = try await get("/a", on: client)
            service.set(proxy, routes: [.path("/a|/b")])
            try await eventually("the new route counts") {
                _ = try await get("/a", on: client)
                return try await proxy.metric("route_request_total", labels("/a|/b")) > 0
            }
            service.set(proxy)
            try await eventually("no route counts any more") {
                let before = try await proxy.metric("route_request_total")
                _ = try await get("/a", on: client)
                return try await proxy.metric("route_request_total") == before
            }
        }
    }
}
