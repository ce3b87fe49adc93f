// What happens to requests between two meshed proxies, where it is not the same as without: the identity that a request
// demands, retries and taps of requests that are carried, and the admin port under mesh TLS.

import Foundation
import MeshAPI
import MeshRoutes
import MeshTestPKI
import NIOCore
import NIOPosix
import ProxyCore
import Testing

@Suite("Meshed requests", .timeLimit(.minutes(3))) struct MeshedRequestTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

    /// How requests reach the far proxy.
    enum Way: CaseIterable { case http1, carried, http2 }

    @Test("A request that demands an identity reaches whoever proves it, and nobody else", arguments: Way.allCases)
    func requiredIdentity(way: Way) async throws {
        try await MeshPair.run { pair in
            let script = Script([Self.ok])
            let server = try await ScriptedServer.start(on: pair.near.group, serve: script.serve)
            let server2 = try await CountingServer.start(on: pair.near.group.next())
            try await pair.serve(way == .http2 ? server2.address : server.address, hint: .init(isHTTP2: way == .carried))
            try await pair.near.outbound(to: pair.address).close()
            try await PeerProgram.inFolder { folder in
                func ask(_ identity: String) async throws -> PeerProgram.Output {
                    var command = ["curl", "-sS", "-m", "20", "-H", "l5d-require-id: \(identity)", "-D", "-", "-o", "/dev/null"]
                    if way == .http2 { command.append("--http2-prior-knowledge") }
                    command.append("http://127.0.0.1:\(pair.near.runtime.addresses[1].port ?? 0)/")
                    return try await PeerProgram.run(command, folder: folder)
                }
                let version = way == .http2 ? "HTTP/2" : "HTTP/1.1"
                let right = try await ask(MeshPair.voting)
                #expect(right.text.hasPrefix("\(version) 200"), "\(right)")
                let wrong = try await ask(MeshPair.web)
                #expect(wrong.text.hasPrefix("\(version) 502"), "\(wrong)")
                #expect(wrong.text.contains("l5d-proxy-error: required id \(MeshPair.web); found \(MeshPair.voting)\r\n"))
            }
            #expect(try await pair.near.metric("outbound_http_errors_total", ["error": "identity required"]) == 1)
            #expect(try await pair.near.metric("request_total", ["server_id": MeshPair.voting]) == 1)
            #expect(try await pair.far.metric("request_total") == 1)
            if way == .http2 {
                #expect(server2.requestCount == 1)
            } else {
                #expect(script.requests.count == 1 && !script.requests[0].lowercased().contains("l5d-require-id"))
            }
            try await server2.stop()
        }
    }

    @Test("A carried request is retried, and each attempt is told to taps on both sides as the HTTP/1 that it is")
    func retriedAndTapped() async throws {
        let environment = [
            "LINKERD2_PROXY_TAP_SVC_NAME": "tap", "LINKERD2_PROXY_CONTROL_LISTEN_ADDR": "127.0.0.1:0",
        ]
        try await MeshPair.run(environment: environment) { pair in
            let script = Script([Script.response("503 Service Unavailable", "no"), Script.response("200 OK")])
            let server = try await ScriptedServer.start(on: pair.near.group, serve: script.serve)
            try await pair.serve(server.address, hint: .init(isHTTP2: true))
            pair.near.discovery.setProfile(
                "10.96.0.7:8080",
                .profile(
                    DestinationProfile(
                        fullyQualifiedName: "voting.emojivoto.svc.cluster.local",
                        routes: [.path("/vote.*", isRetryable: true)], retryBudget: RoutedService.budget())))
            var taps: [TapClient] = []
            for proxy in [pair.near, pair.far] {
                taps.append(
                    try await TapClient.observe(#require(proxy.runtime.tapAddress), on: proxy.group, .all(limit: 10)))
            }
            let client = try await pair.near.outbound(to: pair.address)
            let body = String(repeating: "v", count: 30_000)
            try await client.send(
                "POST /vote?choice=1 HTTP/1.1\r\nHost: voting:8080\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            #expect(try await client.take(through: "hi").hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(script.requests.count == 2 && script.requests.allSatisfy { $0.hasSuffix(body) })
            try await expectCounted(pair)
            for tap in taps { try await expectTold(tap, sees: tap === taps[0] ? .outbound : .inbound) }
        }
    }

    private func expectCounted(_ pair: MeshPair) async throws {
        let route = ["direction": "outbound", "dst": MeshPair.service, "rt_route": "/vote.*"]
        #expect(try await pair.near.metric("route_retryable_total", route) == 1)
        #expect(try await pair.near.metric("route_request_total", route) == 1)
        #expect(try await pair.near.metric("route_actual_request_total", route) == 2)
        let success = route.merging(["status_code": "200", "classification": "success"]) { $1 }
        #expect(try await pair.near.metric("route_response_total", success) == 1)
        let failure = route.merging(["status_code": "503", "classification": "failure"]) { $1 }
        #expect(try await pair.near.metric("route_actual_response_total", failure) == 1)
        #expect(try await pair.near.metric("request_total", ["server_id": MeshPair.voting]) == 2)
        #expect(try await pair.far.metric("request_total", ["client_id": MeshPair.web]) == 2)
    }

    private func expectTold(_ tap: TapClient, sees direction: TapClient.Event.ProxyDirection) async throws {
        let events = try await tap.events(count: 6)
        let begins = events.compactMap { if case .requestInit(let begin) = $0.http.event { begin } else { nil } }
        let heads = events.compactMap { if case .responseInit(let head) = $0.http.event { head } else { nil } }
        #expect(begins.count == 2 && Set(begins.map(\.id.stream)).count == 2)
        for begin in begins {
            #expect(begin.method.registered == .post)
            #expect(begin.authority == "voting:8080")
            #expect(begin.path == "/vote")
            // The inbound side got it over HTTP/2, where there is one.
            #expect(direction == .outbound ? !begin.hasScheme : begin.scheme.registered == .http)
        }
        #expect(heads.map(\.httpStatus) == [503, 200])
        for event in events {
            #expect(event.proxyDirection == direction)
            let labels = direction == .outbound ? event.destinationMeta.labels : event.sourceMeta.labels
            #expect(labels["tls"] == "true")
            #expect(labels[direction == .outbound ? "server_id" : "client_id"] == (direction == .outbound ? MeshPair.voting : MeshPair.web))
        }
    }

    @Test("The admin port takes mesh TLS: the policy knows who asks, and the port counts it so")
    func admin() async throws {
        let environment = ["LINKERD2_PROXY_INBOUND_DEFAULT_POLICY": "all-authenticated"]
        try await MeshPair.run { pair in
            try await PeerProgram.inFolder { folder in
                let leaf = try pair.identity.authority.issue(MeshPair.web)
                for (name, text) in [
                    ("ca.pem", try pair.identity.authority.pem), ("web.pem", leaf.chainPEM), ("web.key", leaf.keyPEM),
                    ("token", "token"),
                ] { try Data(text.utf8).write(to: folder.appending(path: name)) }
                let identity = try pair.identity.environment(MeshPair.voting, tokenFile: folder.appending(path: "token").path)
                try await ProxyFixture.run(identity.merging(environment) { $1 }, adjust: {
                    $0.trustsInboundLoopback = false
                    $0.policy.trustsLoopback = false
                }) { proxy in try await askAdmin(proxy, folder) }
            }
        }
    }

    private func askAdmin(_ proxy: ProxyFixture, _ folder: URL) async throws {
        let port = try #require(proxy.runtime.adminAddress).port ?? 0
        func ask(_ path: String, _ arguments: String...) async throws -> String {
            let name = arguments.isEmpty ? "http://127.0.0.1" : "https://\(MeshPair.voting)"
            let command = ["curl", "-sS", "-m", "20", "--resolve", "\(MeshPair.voting):\(port):127.0.0.1"]
            return try await PeerProgram.run(command + arguments + ["\(name):\(port)\(path)"], folder: folder).text
        }
        #expect(try await ask("/metrics").isEmpty, "without an identity there is only 403")
        #expect(try await ask("/ready", "--cacert", "ca.pem").isEmpty, "and TLS alone is no identity")
        let known = ["--cacert", "ca.pem", "--cert", "web.pem", "--key", "web.key"]
        #expect(try await ask("/ready", known[0], known[1], known[2], known[3], known[4], known[5]) == "ready\n")
        let scrape = try await ask("/metrics", known[0], known[1], known[2], known[3], known[4], known[5])
        let lines = scrape.split(separator: "\n").filter { $0.contains("target_port=\"\(port)\"") }
        func count(_ family: String, _ parts: String...) -> Int {
            lines.filter { line in line.hasPrefix(family + "{") && parts.allSatisfy { line.contains($0) } }.count
        }
        let identified = ["tls=\"true\"", "client_id=\"\(MeshPair.web)\""]
        #expect(count("inbound_http_authz_allow_total", identified[0], identified[1], "authz_name=\"all-authenticated\"") == 1)
        #expect(count("inbound_http_authz_deny_total", "no_tls_reason=\"no_tls_from_remote\"") == 1)
        #expect(count("inbound_http_authz_deny_total", "tls=\"true\"", "client_id=\"\"") == 1)
        #expect(count("tcp_open_total", identified[0], identified[1]) == 1)
    }
}
