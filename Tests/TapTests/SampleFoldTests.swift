import Foundation
import MeshAPI
import MeshKubernetes
import MeshRollup
import MetricsAPI
import SwiftProtobuf
import Tap
import Testing

/// One exchange as the sampler sees it: translated, inbound at `10.0.0.1`.
func sampled(
    _ stream: UInt64, path: String = "/", status: UInt32 = 200, grpc: UInt32? = nil, reset: UInt32? = nil,
    millis: Int32 = 1, headers: [(String, String)] = [], destination: UInt32 = 0x0A00_0001, base: UInt32 = 0
) -> [Linkerd2_Tap_TapEvent] {
    let translator = EventTranslator(directory: PodDirectory(ClusterIndex()), privacy: HeaderPrivacy(), wantsHeaders: true)
    let events = Fixtures.exchange(
        stream, status: status, grpc: grpc, reset: reset, millis: millis, headers: headers, path: path)
    return events.map { event in
        var event = event
        event.destination.ip.ipv4 = destination
        if case .requestInit? = event.http.event {
            event.http.requestInit.method.registered = .post
            event.http.requestInit.id.base = base
        } else if case .responseInit? = event.http.event {
            event.http.responseInit.id.base = base
        } else {
            event.http.responseEnd.id.base = base
        }
        return translator.translated(event)
    }
}

@Suite("Samples added up", .timeLimit(.minutes(1))) struct SampleFoldTests {
    private let now = UnixTime(milliseconds: 1_700_000_000_000)
    private let web = WorkloadKey(namespace: "emojivoto", kind: "deployment", name: "web")
    private let bot = WorkloadKey(namespace: "emojivoto", kind: "deployment", name: "vote-bot")

    private func fold(exemplars: Int = 2) -> SampleFold {
        let index = Fixtures.index([
            Fixtures.pod("web-1", ip: "10.0.0.1"), Fixtures.pod("web-2", ip: "10.0.0.2"),
            Fixtures.pod("bot-1", ip: "10.0.0.9", deployment: "vote-bot", isMeshed: false),
        ])
        return SampleFold(directory: SampleDirectory(index), exemplarsMax: exemplars)
    }

    private func close(_ fold: inout SampleFold, unshown: [String: UInt64] = [:]) -> SampleFold.Batch {
        fold.close(unshown: ["10.0.0.1": 0, "10.0.0.2": 0].merging(unshown) { $1 })
    }

    @Test("Requests count when they end, by workloads, method and template, with outcomes and times")
    func counts() throws {
        var fold = fold()
        let exchanges = [
            sampled(0, path: "/orders/1?q=1", millis: 5), sampled(1, path: "/orders/2", status: 503, millis: 2),
            sampled(2, path: "/orders/3", millis: 40), sampled(3, path: "/list"),
        ]
        for event in exchanges.joined() { fold.take(event, at: now) }
        for event in sampled(4, path: "/list").dropLast() { fold.take(event, at: now) }
        let batch = close(&fold)
        #expect(Set(batch.rows.keys.map(\.path)) == ["/orders/{number}", "/list"])
        let row = try #require(batch.rows[RequestKey(src: bot, dst: web, method: "POST", path: "/orders/{number}")])
        #expect((row[.successes], row[.failures], row[.status5xx], row[.requests]) == (2, 1, 1, 3))
        #expect(row.extremes == LatencyExtremes(best: 2_000, worst: 40_000, last: 40_000))
        #expect(row.latency.count == 3 && row[.latencySumMilliseconds] == 47)
        // The one that was open ends in the next batch, and nothing is counted twice.
        fold.take(try #require(sampled(4, path: "/list").last), at: now)
        let next = close(&fold)
        #expect(next.rows.values.map { $0.responses } == [1])
        #expect(close(&fold) == SampleFold.Batch())
    }

    @Test("gRPC by its trailers or its content type; failures by the rule of stat")
    func grpc() {
        var fold = fold()
        let path = "/emojivoto.v1.VotingService/Vote20391"
        for event in sampled(0, path: path, grpc: 2) { fold.take(event, at: now) }
        for event in sampled(1, path: path, reset: 8, headers: [("content-type", "application/grpc+proto")]) { fold.take(event, at: now) }
        let batch = close(&fold)
        #expect(batch.rows.keys.map(\.path) == [path])
        let row = batch.rows.values.first ?? Rollup()
        #expect((row[.failures], row[.successes], row[.grpcResponses]) == (2, 0, 1))
    }

    @Test("Outbound sides are skipped, strangers are unknown, streams of proxies and of calls are kept apart")
    func ends() throws {
        var fold = fold()
        var outbound = sampled(0)
        for index in outbound.indices { outbound[index].proxyDirection = .outbound }
        for event in outbound { fold.take(event, at: now) }
        #expect(close(&fold).rows.isEmpty)
        // The same number on two proxies, and on two calls of one.
        let mixed = [sampled(7, path: "/a"), sampled(7, path: "/b", destination: 0x0A00_0002), sampled(7, path: "/c", base: 1)]
        for step in 0..<3 { for exchange in mixed { fold.take(exchange[step], at: now) } }
        #expect(Set(close(&fold).rows.keys.map(\.path)) == ["/a", "/b", "/c"])
        var stranger = sampled(8)
        for index in stranger.indices { stranger[index].source.ip.ipv4 = 1 }
        for event in stranger { fold.take(event, at: now) }
        #expect(close(&fold).rows.keys.first?.src == .unknown)
    }

    @Test("What proxies did not show is divided over what they showed, each its own, and nothing of it is lost")
    func weights() {
        var fold = fold()
        for stream in 0..<UInt64(3) { for event in sampled(stream, path: "/a") { fold.take(event, at: now) } }
        for event in sampled(3, path: "/b") { fold.take(event, at: now) }
        for event in sampled(0, path: "/c", destination: 0x0A00_0002) { fold.take(event, at: now) }
        let batch = close(&fold, unshown: ["10.0.0.1": 10, "10.0.0.2": 7])
        let estimates = Dictionary(uniqueKeysWithValues: batch.rows.map { ($0.key.path, $0.value[.requests]) })
        #expect(estimates["/c"] == 8)
        #expect(estimates["/a", default: 0] + estimates["/b", default: 0] == 14)
        #expect((10...11).contains(estimates["/a", default: 0]))
        // Losses that are told in a quiet stretch wait for the next request.
        #expect(close(&fold, unshown: ["10.0.0.1": 5]).rows.isEmpty)
        for event in sampled(9, path: "/a") { fold.take(event, at: now) }
        #expect(close(&fold, unshown: ["10.0.0.1": 1]).rows.values.map { $0[.requests] } == [7])
    }

    @Test("Estimates add up to what was seen, for any counts", arguments: (1...20).map { UInt64($0) })
    func sums(seed: UInt64) {
        var state = seed
        func next(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        var fold = fold(exemplars: 0)
        var shown: UInt64 = 0
        var unshown: UInt64 = 0
        var estimated: UInt64 = 0
        for round in 0..<20 as Range<UInt64> {
            for request in 0..<next(6) {
                for event in sampled(round * 100 + request, path: "/p\(next(3))") { fold.take(event, at: now) }
                shown += 1
            }
            let more = next(1_000)
            unshown += more
            estimated += close(&fold, unshown: ["10.0.0.1": more]).rows.values.reduce(0) { $0 + $1[.requests] }
        }
        for event in sampled(99_999) { fold.take(event, at: now) }
        estimated += close(&fold).rows.values.reduce(0) { $0 + $1[.requests] }
        #expect(estimated == shown + 1 + unshown, "seed \(seed)")
    }

    @Test("Rows of one destination are bounded; what is beyond is added up under other, exemplars with their paths")
    func bounded() throws {
        var fold = fold(exemplars: 1)
        let count = UInt64(SampleFold.rowsPerDestinationMax) + 40
        for stream in 0..<count {
            let word = String(stream, radix: 26).map { String(UnicodeScalar(UInt8(ascii: "a") + UInt8($0.hexDigitValue ?? 20))) }.joined()
            for event in sampled(stream, path: "/\(word)x\(stream)") { fold.take(event, at: now) }
        }
        let batch = close(&fold)
        #expect(batch.rows.count == SampleFold.rowsPerDestinationMax + 1)
        #expect(batch.rows.values.reduce(0) { $0 + $1.responses } == count)
        let other = try #require(batch.rows.first { $0.key.path == "other" })
        #expect(other.value.responses == 40 && other.key.dst == web && other.key.src == .other)
    }

    @Test("Odd methods share one name")
    func methods() {
        var fold = fold()
        for (stream, name) in ["PURGE", String(repeating: "A", count: 17), "G E\u{7}T"].enumerated() {
            var exchange = sampled(UInt64(stream))
            exchange[0].http.requestInit.method.unregistered = name
            for event in exchange { fold.take(event, at: now) }
        }
        #expect(Set(close(&fold).rows.keys.map(\.method)) == ["PURGE", "other"])
    }

    @Test("Exemplars are the slowest and, of failures, each kind before any is there twice")
    func exemplars() throws {
        var fold = fold(exemplars: 2)
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        let exchanges = [
            sampled(0, path: "/slow/1?token=x", millis: 900, headers: [("traceparent", "00-\(trace)-00f067aa0ba902b7-01")]),
            sampled(1, path: "/fail/a", status: 500), sampled(2, path: "/fail/b", status: 500),
            sampled(3, path: "/fail/b", status: 502), sampled(4, path: "/quick"), sampled(5, path: "/middle", millis: 30),
        ]
        for event in exchanges.joined() { fold.take(event, at: now) }
        let found = close(&fold).exemplars
        #expect(found.count == 4)
        let slowest = try #require(found.first { $0.latencyMicroseconds == 900_000 })
        #expect(slowest.path == "/slow/1" && slowest.traceID == trace && !slowest.isFailure)
        #expect((slowest.src, slowest.srcPod, slowest.dst, slowest.dstPod) == (bot, "bot-1", web, "web-1"))
        #expect(Set(found.filter(\.isFailure).map { "\($0.path) \($0.httpStatus)" }) == ["/fail/a 500", "/fail/b 502"])
        #expect(found.contains { $0.path == "/middle" })
        #expect(close(&fold).exemplars.isEmpty)
    }

    @Test(
        "Trace ids by each convention, and nothing that is none",
        arguments: [
            ([("traceparent", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01")], "4bf92f3577b34da6a3ce929d0e0e4736"),
            ([("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1")], "80f198ee56343ba864fe8b2a57d3eff7"),
            ([("X-B3-TraceId", "463ac35c9f6413ad")], "463ac35c9f6413ad"), ([("b3", "0")], ""),
            ([("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01")], ""),
            ([("traceparent", "my password"), ("x-b3-traceid", "463ac35c9f6413ad")], "463ac35c9f6413ad"),
            ([("x-b3-traceid", "not hexadecimal!")], ""), ([("x-request-id", "463ac35c9f6413ad")], ""), ([], ""),
        ] as [([(String, String)], String)])
    func traces(headers: [(String, String)], id: String) {
        let message = Linkerd2_Viz_Headers.with {
            $0.headers = headers.map { field in .with { ($0.name, $0.valueStr) = field } }
        }
        #expect(TraceContext.traceID(message) == id)
    }
}
