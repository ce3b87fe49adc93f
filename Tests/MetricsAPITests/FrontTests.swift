import AsyncHTTPClient
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import MeshAPI
import MeshGRPC
import MeshMetrics
import MeshRollup
@testable import MetricsAPI
import NIOCore
import NIOHTTP1
import NIOPosix
import RollupStore
import SwiftProtobuf
import Synchronization
import Testing

@Suite("One port, three framings, and federation", .timeLimit(.minutes(1)))
struct FrontTests {
    private struct Server: Sendable {
        let port: Int

        func send(
            _ method: String, _ path: String, _ body: [UInt8] = [], type: String = "application/octet-stream"
        ) async throws -> (status: Int, headers: [String: String], body: [UInt8]) {
            var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(path)")
            request.method = .init(rawValue: method)
            request.headers.add(name: "content-type", value: type)
            if method == "POST" { request.body = .bytes(ByteBuffer(bytes: body)) }
            let response = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
            let bytes = try await response.body.collect(upTo: 16 << 20)
            let headers = Dictionary(
                response.headers.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { first, _ in first })
            return (Int(response.status.code), headers, Array(bytes.readableBytesView))
        }
    }

    private func withServer(
        federation: ((RollupStore) -> Federation)? = nil, _ body: (Server) async throws -> Void
    ) async throws {
        let box = try await Scenario.filledStore()
        let index = Scenario.index()
        let sources = VizSources(
            backend: box.backend(index), index: { index }, isSynced: { true },
            now: { Scenario.end.advanced(by: 5_000) })
        let server = VizServer(
            host: "127.0.0.1", port: 0, sources: sources, federation: federation?(box.store),
            logger: Fixtures.logger)
        let (ports, opened) = AsyncStream.makeStream(of: Int.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run { opened.yield($0) } }
            let port = try #require(await ports.first { _ in true })
            try await body(Server(port: port))
            server.beginShutdown()
            try await group.next()
        }
    }

    private var request: Linkerd2_Viz_StatSummaryRequest {
        .with {
            $0.selector.resource.type = "deployment"
            $0.selector.resource.namespace = "emojivoto"
            $0.timeWindow = "1m"
        }
    }

    private func unframed(_ body: [UInt8]) throws -> [UInt8] {
        try #require(body.count >= 4)
        let length = (0..<4).reduce(0) { $0 | Int(body[$1]) << (8 * $1) }
        #expect(length == body.count - 4)
        return Array(body.dropFirst(4))
    }

    @Test("Linkerd 2.11's framing: length first, little-endian; errors with HTTP 200")
    func framing() async throws {
        try await withServer { server in
            let answer = try await server.send("POST", "/api/v1/StatSummary", try request.serializedBytes())
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "application/octet-stream")
            let response = try Linkerd2_Viz_StatSummaryResponse(serializedBytes: unframed(answer.body))
            #expect(response.ok.statTables.first?.podGroup.rows.map(\.resource.name) == ["vote-bot", "voting", "web"])
            let get = try await server.send("GET", "/api/v1/StatSummary")
            #expect(get.status == 200)
            #expect(get.headers["linkerd-error"] == "Bad Request")
            #expect(try Linkerd2_Viz_ApiError(serializedBytes: unframed(get.body)).error == "POST required")
            let authz = try await server.send("POST", "/api/v1/Authz")
            #expect(authz.headers["linkerd-error"] == "Not Implemented")
            let garbage = try await server.send("POST", "/api/v1/StatSummary", [0xFF, 0xFF, 0xFF])
            #expect(garbage.headers["linkerd-error"] == "Bad Request")
            #expect(try await server.send("POST", "/api/v1/Nothing").status == 404)
            let gateways = try await server.send("POST", "/api/v1/Gateways")
            #expect(gateways.headers["l5d-viz-reason"]?.contains("multicluster") == true)
        }
    }

    @Test("The same questions in JSON")
    func json() async throws {
        try await withServer { server in
            let type = "application/json"
            let body = Array(#"{"selector":{"resource":{"type":"deploy","namespace":"emojivoto","name":"web"}},"timeWindow":"1m"}"#.utf8)
            let answer = try await server.send("POST", "/api/v1/StatSummary", body, type: type)
            #expect(answer.status == 200 && answer.headers["content-type"] == type)
            let response = try Linkerd2_Viz_StatSummaryResponse(jsonUTF8Bytes: answer.body)
            #expect(response.ok.statTables.first?.podGroup.rows.first?.stats.successCount == 54)
            let compare = try await server.send(
                "POST", "/api/v1/Compare",
                Array(#"{"selector":{"resource":{"type":"deploy","namespace":"emojivoto"}},"window":"1m"}"#.utf8),
                type: type)
            #expect(try Linkerd2_Viz_History_CompareResponse(jsonUTF8Bytes: compare.body).rows.count == 2)
            #expect(try await server.send("POST", "/api/v1/ListServices", [], type: type).status == 200)
            let bad = try await server.send("POST", "/api/v1/Series", Array("{}".utf8), type: type)
            #expect(bad.status == 400)
            #expect(String(decoding: bad.body, as: UTF8.self).contains("Series request missing resource"))
            #expect(try await server.send("POST", "/api/v1/StatSummary", Array("{".utf8), type: type).status == 400)
            #expect(try await server.send("GET", "/api/v1/StatSummary", type: type).status == 405)
            let large = [UInt8](repeating: 0x20, count: (4 << 20) + 1)
            #expect(try await server.send("POST", "/api/v1/StatSummary", large, type: type).status == 413)
        }
    }

    @Test("gRPC on the same port, with the reason for an empty table in the metadata")
    func grpc() async throws {
        try await withServer { server in
            let transport = try HTTP2ClientTransport.Posix(
                target: .ipv4(address: "127.0.0.1", port: server.port), transportSecurity: .plaintext)
            try await withGRPCClient(transport: transport) { client in
                let api = Linkerd2_Viz_Api.Client(wrapping: client)
                #expect(try await api.statSummary(request).ok.statTables.count == 1)
                let reason = try await api.gateways(.init()) { response in
                    Array(response.metadata[stringValues: "l5d-viz-reason"])
                }
                #expect(reason.first?.contains("multicluster") == true)
                let history = Linkerd2_Viz_History_History.Client(wrapping: client)
                let edges = try await history.pastEdges(
                    .with {
                        $0.type = "deployment"
                        $0.window = "5m"
                    })
                #expect(edges.edges.count == 3)
            }
        }
    }

    @Test("A connection that says nothing, or half a preface, harms nobody")
    func halfPrefaces() async throws {
        try await withServer { server in
            for text in ["P", "PR", "PRI", "XYZ\r\n\r\n", "\u{0}\u{0}\u{0}\u{0}"] {
                let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connect(host: "127.0.0.1", port: server.port).get()
                try await channel.writeAndFlush(ByteBuffer(string: text))
                // The server may have been first.
                try? await channel.close()
            }
            #expect(try await server.send("POST", "/api/v1/SelfCheck").status == 200)
        }
    }

    @Test("A connection that has closed before it can be looked at leaves no promise behind")
    func closedBefore() async throws {
        try await withServer { server in
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: server.port).get()
            try await channel.close()
            // A promise that nobody keeps ends the process.
            await #expect(throws: ChannelError.self) {
                try await channel.eventLoop.submit { _ = try VizProtocol.detect(channel) }.get()
            }
        }
    }

    @Test("/federate counts by workload from the start of the process on, and takes match[]")
    func federation() async throws {
        let clock = Mutex(Scenario.start.advanced(by: 2_000))
        let make: (RollupStore) -> Federation = { Federation(store: $0, now: { clock.withLock { $0 } }) }
        try await withServer(federation: make) { server in
            clock.withLock { $0 = Scenario.start.advanced(by: 62_000) }
            let first = try await server.send("GET", "/federate")
            #expect(first.headers["content-type"] == ExpositionWriter.contentType)
            #expect(value(first.body, #"response_total{job="linkerd-proxy",direction="inbound",namespace="emojivoto",deployment="web",classification="success"}"#) == 54)
            clock.withLock { $0 = Scenario.start.advanced(by: 122_000) }
            let query = "?match%5B%5D=%7Bdst_deployment%3D%22voting%22%7D&match%5B%5D=tcp_open_connections"
            let second = try await server.send("GET", "/federate" + query)
            let text = String(decoding: second.body, as: UTF8.self)
            #expect(text.contains("tcp_open_connections{"))
            #expect(!text.contains("direction=\"inbound\",namespace=\"emojivoto\",deployment=\"web\",classification"))
            #expect(text.contains(#"response_latency_ms_bucket{job="linkerd-proxy",direction="outbound""#))
            let again = try await server.send("GET", "/federate?match[]=response_total")
            #expect(value(again.body, #"response_total{job="linkerd-proxy",direction="inbound",namespace="emojivoto",deployment="web",classification="success"}"#) == 108)
            #expect(try await server.send("GET", "/federate?match[]=%7B").status == 400)
            var parser = ExpositionParser()
            parser.forEachSample(in: first.body) { _ in }
            #expect(parser.malformedLineCount == 0)
        }
        try await withServer { (server: Server) async throws in
            #expect(try await server.send("GET", "/federate").status == 404)
        }
    }

    @Test("Query parameters come raw from curl and encoded from Prometheus")
    func parameters() {
        let uri = "/federate?match[]=a%7Bb%3D%22c+d%22%7D&x=1&match%5B%5D=%7Be%3D%22f%26g%22%7D&match[]"
        #expect(VizRoutes.values(of: "match[]", in: uri) == [#"a{b="c d"}"#, #"{e="f&g"}"#])
        #expect(VizRoutes.values(of: "match[]", in: "/federate").isEmpty)
    }

    private func value(_ body: [UInt8], _ series: String) -> Double? {
        String(decoding: body, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix(series + " ") }
            .flatMap { Double($0.dropFirst(series.count + 1)) }
    }

    @Test("Selectors choose by name and labels", arguments: [
        ("response_total", true), ("{__name__=~\"response_.*\"}", true), ("{job=\"linkerd-proxy\"}", true),
        ("response_total{direction='inbound', namespace!=\"x\"}", true), ("{direction!~\"in.*\"}", false),
        ("{missing=\"\"}", true), ("{missing!=\"\"}", false), ("request_total", false),
        ("{direction=~\"in\"}", false),
    ])
    func selectors(text: String, isChosen: Bool) throws {
        let labels = [("job", "linkerd-proxy"), ("direction", "inbound"), ("namespace", "emojivoto")]
        #expect(try SeriesMatcher(text).matches(name: "response_total", labels) == isChosen)
    }

    @Test("Patterns match whole values, in time that grows with the text", arguments: [
        (".*", "", true), (".+", "", false), (".+", "x", true), ("a|b", "b", true), ("a|b", "ab", false),
        ("response_(total|latency_ms_.*)", "response_latency_ms_bucket", true), ("^a$", "a", true),
        ("response_(total|latency_ms_.*)", "request_total", false), ("a\\.b", "a.b", true), ("a\\.b", "axb", false),
        (".*a.*b.*", "xxaxxbxx", true), (".*a.*b.*", "xxbxxaxx", false), ("(?:a|b)c", "bc", true), ("", "", true),
        (String(repeating: ".*", count: 50) + "x", String(repeating: "a", count: 2_000), false),
    ])
    func patterns(pattern: String, text: String, isMatch: Bool) throws {
        #expect(try #require(LabelPattern(pattern)).matches(text) == isMatch)
    }

    @Test("Patterns beyond that are refused", arguments: ["(a+)+", "[ab]", "a{2}", "\\d", "(a|b", "a)", "a*", String(repeating: "(a|b)", count: 9)])
    func badPatterns(pattern: String) { #expect(LabelPattern(pattern) == nil) }

    @Test("Selectors that cannot be read are named", arguments: ["", "{", "{a}", "{a=b}", "{a=\"b\"}x", "{a=~\"(\"}", "{a=~\"(a+)+\"}", "{}"])
    func badSelectors(text: String) { #expect(throws: MatcherError.self) { try SeriesMatcher(text) } }
}
