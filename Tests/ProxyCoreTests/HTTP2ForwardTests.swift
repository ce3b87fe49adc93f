import MeshBalance
import MeshHTTP2
import MeshTransport
import NIOCore
import ProxyCore
import Testing

@Suite("HTTP/2 through the proxy", .timeLimit(.minutes(2)))
struct HTTP2ForwardTests {
    /// Answers each request by its path.
    @Sendable static func upstream(_ event: HTTP2Event, _ peer: HTTP2Peer) {
        switch event {
        case .head(let slot, let block, let isEnd):
            let path = peer.session.headers.text(of: .path, in: block) ?? ""
            switch path {
            case "/echo":
                var fields = [(String, String)]()
                for field in peer.session.headers.fields(of: block) {
                    fields.append(("x-got-\(field.name.drop { $0 == ":" })", field.value))
                }
                peer.respond(
                    slot, fields: fields, body: isEnd ? ByteBuffer(string: "hello") : nil,
                    trailers: isEnd ? [] : [])
            case "/upload": if isEnd { peer.respond(slot) }
            case "/early": peer.respond(slot, status: "413", body: ByteBuffer(string: "too much"))
            case "/grpc":
                peer.respond(
                    slot, fields: [("content-type", "application/grpc")], body: ByteBuffer(string: "m"),
                    trailers: [("grpc-status", "14")])
            case "/grpc-trailers-only":
                peer.respond(slot, fields: [("content-type", "application/grpc"), ("grpc-status", "5")])
            case "/hints":
                let headers = HTTP2Headers()
                peer.session.submitInformational(headers.append([(":status", "103")]), of: headers, on: slot)
                peer.respond(slot, status: "200")
            case "/head": peer.respond(slot, fields: [("content-length", "1234")])
            case "/refuse": peer.session.reset(slot, .refusedStream)
            case "/reset": peer.session.reset(slot, .enhanceYourCalm)
            case "/reset-late":
                let headers = HTTP2Headers()
                peer.session.submitResponse(
                    headers.append([(":status", "200")]), of: headers, isEnd: false, on: slot)
                peer.session.sendBody(ByteBuffer(string: "part"), on: slot)
                peer.flush()
                peer.session.reset(slot, .cancel)
            case "/die": peer.close()
            case "/die-late", "/die-late-grpc":
                let headers = HTTP2Headers()
                peer.session.submitResponse(
                    headers.append([(":status", "200"), ("content-type", "application/grpc")]), of: headers,
                    isEnd: false, on: slot)
                peer.session.sendBody(ByteBuffer(string: "part"), on: slot)
                peer.flush()
                peer.close()
            case "/lie":
                peer.respond(slot, fields: [("content-length", "3")], body: ByteBuffer(string: "four"))
            case "/large": peer.respond(slot, body: ByteBuffer(repeating: 9, count: 3_000_000))
            case "/missing": peer.respond(slot, status: "404")
            case "/broken": peer.respond(slot, status: "503")
            case "/hang": break
            default: peer.respond(slot)
            }
        case .data(let slot, let chunk): _ = peer.take(chunk, of: slot)
        case .end(let slot), .trailers(let slot, _): peer.respond(slot)
        default: break
        }
    }

    @Test("Heads, bodies and trailers pass; the canonical name is set; one request, one count")
    func forwards() async throws {
        let (answer, series, requests, latencies) = try await HTTP2Fixture.run(
            canonicalName: "web.ns.svc.cluster.local:80", Self.upstream
        ) { fixture in
            fixture.client.open(
                "/echo",
                fields: [("x", "y"), ("l5d-dst-canonical", "spoofed:1"), ("l5d-client-id", "spoofed")]
            ).answer.map { answer in
                (
                    answer, fixture.series, fixture.metrics.requestTotal,
                    fixture.metrics.latencies.map(\.status)
                )
            }
        }
        #expect(answer.status == 200 && answer.isComplete && answer.reset == nil)
        #expect(String(buffer: answer.body) == "hello")
        #expect(answer.fields["x-got-method"] == "GET")
        #expect(answer.fields["x-got-authority"] == "web.test:80")
        #expect(answer.fields["x-got-x"] == "y")
        #expect(answer.fields["x-got-l5d-client-id"] == nil)
        #expect(answer.fields["x-got-l5d-dst-canonical"] == "web.ns.svc.cluster.local:80")
        #expect(series == ["200 -1 success  1"])
        #expect(requests == 1)
        #expect(latencies == [200])
    }

    @Test(
        "Each way to end gets its status, its reset and its series",
        arguments: [
            ("/missing", false, 404, nil, "404 -1 success  1"),
            ("/broken", false, 503, nil, "503 -1 failure  1"),
            ("/grpc", true, 200, nil, "200 14 failure  1"),
            ("/grpc-trailers-only", true, 200, nil, "200 5 success  1"),
            ("/refuse", false, 0, .refusedStream, "0 -1 failure h2(REFUSED_STREAM) 1"),
            ("/reset", false, 0, HTTP2ErrorCode.enhanceYourCalm, "0 -1 failure h2(ENHANCE_YOUR_CALM) 1"),
            ("/reset-late", false, 200, .cancel, "200 -1 failure h2(CANCEL) 1"),
            ("/die", false, 502, nil, "0 -1 failure unclassified 1"),
            ("/die-late", false, 200, .internalError, "200 -1 failure unclassified 1"),
            ("/die-late-grpc", true, 200, nil, "200 -1 failure unclassified 1"),
            ("/lie", false, 200, .protocolError, "200 -1 failure h2(PROTOCOL_ERROR) 1"),
        ] as [(String, Bool, Int, HTTP2ErrorCode?, String)])
    func ends(path: String, isGRPC: Bool, status: Int, reset: HTTP2ErrorCode?, series: String) async throws {
        let (answer, seen, pending) = try await HTTP2Fixture.run(Self.upstream) { fixture in
            fixture.client.open(path, fields: isGRPC ? [("content-type", "application/grpc")] : []).answer.map
            { answer in
                (answer, fixture.series, fixture.endpoint.load.pendingCount)
            }
        }
        #expect(answer.status == status)
        if path == "/lie" { #expect(answer.reset != nil) } else { #expect(answer.reset == reset) }
        #expect(seen == [series])
        #expect(pending == 0)
        if path == "/die-late-grpc" { #expect(answer.trailers["grpc-status"] == "14") }
        if path == "/die" { #expect(answer.fields["l5d-proxy-error"] != nil) }
    }

    @Test(
        "An endpoint that is down is a 502, and for gRPC trailers-only Unavailable", arguments: [false, true])
    func connectRefused(isGRPC: Bool) async throws {
        let (answer, failures, series, opened) = try await HTTP2Fixture.run(
            isUpstreamDown: true, Self.upstream
        ) {
            fixture in
            fixture.client.open("/", fields: isGRPC ? [("content-type", "application/grpc")] : []).answer.map
            {
                ($0, fixture.stack.failures, fixture.series, fixture.upstreamTransport.openTotal)
            }
        }
        #expect(answer.status == (isGRPC ? 200 : 502))
        #expect(answer.fields["grpc-status"] == (isGRPC ? "14" : nil))
        #expect(answer.fields["content-length"] == "0")
        #expect(answer.isComplete)
        #expect(failures == [.connectFailed])
        #expect(opened == 0)
        #expect(series == ["0 -1 failure unclassified 1"])
    }

    @Test("1xx, HEAD and request trailers pass")
    func details() async throws {
        let (hints, head) = try await HTTP2Fixture.run(Self.upstream) { fixture in
            let hints = fixture.client.open("/hints").answer
            let head = fixture.client.open("/head", method: "HEAD").answer
            return hints.and(head)
        }
        #expect(hints.informational == [103] && hints.status == 200)
        #expect(head.fields["content-length"] == "1234" && head.isComplete && head.reset == nil)
    }

    @Test("CONNECT is refused, and a head that is too large gets 431")
    func refusals() async throws {
        let (connect, large, upstreams) = try await HTTP2Fixture.run(Self.upstream) { fixture in
            let large = fixture.client.open(
                "/", fields: (0..<20).map { ("x-\($0)", String(repeating: "v", count: 4_000)) }
            ).answer
            let connect = fixture.client.open("", method: "CONNECT", isEnd: true).answer
            return connect.and(large).map { ($0, $1, fixture.upstreams.count) }
        }
        #expect(connect.status == 400)
        #expect(large.status == 431)
        #expect(upstreams == 0)
    }

    @Test(
        "A request waits for discovery, keeps its body, and is answered either way", arguments: [true, false])
    func pending(succeeds: Bool) async throws {
        let answer = try await HTTP2Fixture.run(Self.upstream) { fixture in
            let endpoint = fixture.endpoint
            // As discovery that answers once a request asked.
            fixture.stack.decide = { [unowned fixture] _, _ in
                let promise = fixture.loop.makePromise(of: EndpointHandle.self)
                fixture.answerLater(promise, succeeds ? endpoint : nil)
                return .pending(promise.futureResult)
            }
            let answer = fixture.client.open(
                "/upload", method: "POST", body: ByteBuffer(repeating: 1, count: 30_000)
            ).answer
            return answer
        }
        #expect(answer.status == (succeeds ? 200 : 504))
        #expect(answer.isComplete)
    }
}
