import MeshAPI
import SwiftProtobuf
import Synchronization
import Tap
import Testing

@Suite("The tap engine", .timeLimit(.minutes(2))) struct EngineTests {
    private func engine(_ cluster: FakeCluster, port: Int, totals: TapTotals = TapTotals()) -> TapEngine {
        TapEngine(
            cluster: cluster.cluster, privacy: HeaderPrivacy(), tapPort: port, totals: totals, logger: Fixtures.logger)
    }

    private func question(
        rps: Float = 0, _ filter: Linkerd2_Tap_Live_Filter? = nil, wantsLosses: Bool = true
    ) throws -> TapQuestion {
        var request = Fixtures.request()
        request.maxRps = rps
        return try TapQuestion(
            request,
            .with {
                $0.wantsLosses = wantsLosses
                if let filter { $0.filter = filter }
            })
    }

    /// Runs a tap while `body` runs.
    private func tapping(
        _ engine: TapEngine, _ question: TapQuestion, _ caller: Caller, _ body: @Sendable () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await engine.run(question) { try await caller.take($0) } }
            defer { group.cancelAll() }
            try await body()
        }
    }

    @Test("Events of all pods are merged and named; each proxy is asked for its share, and who it must be")
    func merges() async throws {
        try await FakeProxy.run(["127.0.0.2", "127.0.0.3"]) { proxies, port in
            let cluster = FakeCluster([Fixtures.pod("a", ip: "127.0.0.2"), Fixtures.pod("b", ip: "127.0.0.3")])
            let (caller, totals) = (Caller(), TapTotals())
            let engine = engine(cluster, port: port, totals: totals)
            try await tapping(engine, try question(rps: 5), caller) {
                try await eventually("both streams") { proxies.allSatisfy { $0.openCount == 1 } }
                for proxy in proxies { proxy.send(Fixtures.exchange(0)) }
                try await eventually("six events") { caller.events.count == 6 }
                #expect(proxies.map { $0.requests[0].limit }.sorted() == [2, 3])
                #expect(proxies[0].requiredIDs == ["sa.emojivoto.id"])
                let more = try Linkerd2_Tap_Live_ObserveExtension(
                    serializedBytes: Array(proxies[0].requests[0].unknownFields.data))
                #expect(more.windowMs == 1_000)
                #expect(totals.observerCount == 2)
            }
            #expect(totals.counts.events == 6)
            #expect(totals.counts.requests == 2)
            #expect(totals.taps.active == 0)
            try await eventually("the proxies to be left alone") { proxies.allSatisfy { $0.openCount == 0 } }
        }
    }

    @Test("Pods that come are observed, pods that go are left, without the caller's doing")
    func follows() async throws {
        try await FakeProxy.run(["127.0.0.2", "127.0.0.3"]) { proxies, port in
            let cluster = FakeCluster([Fixtures.pod("a", ip: "127.0.0.2")])
            let caller = Caller()
            try await tapping(engine(cluster, port: port), try question(), caller) {
                try await eventually("the first") { proxies[0].openCount == 1 }
                cluster.set([Fixtures.pod("b", ip: "127.0.0.3")])
                try await eventually("the change") { proxies[0].openCount == 0 && proxies[1].openCount == 1 }
                proxies[1].send(Fixtures.exchange(0))
                try await eventually("its events") { caller.events.count == 3 }
            }
        }
    }

    @Test("A stream that breaks is opened again, and what was cut is counted")
    func resumes() async throws {
        try await FakeProxy.run(["127.0.0.2"]) { proxies, port in
            let cluster = FakeCluster([Fixtures.pod("a", ip: "127.0.0.2")])
            let caller = Caller()
            try await tapping(engine(cluster, port: port), try question(), caller) {
                try await eventually("the first") { proxies[0].openCount == 1 }
                proxies[0].send([Fixtures.exchange(0)[0]])
                try await eventually("its request") { caller.events.count == 1 }
                proxies[0].breakStreams()
                try await eventually("the next stream") { proxies[0].streamCount == 2 && proxies[0].openCount == 1 }
                proxies[0].send(Fixtures.exchange(0))
                try await eventually("its events") { caller.events.count == 4 }
                #expect(caller.losses.cut == 1)
            }
        }
    }

    @Test("A proxy that cannot be had is one gap, however often it is tried, and its length is told when it is over")
    func gaps() async throws {
        // Nobody listens at this address.
        let cluster = FakeCluster([Fixtures.pod("a", ip: "127.0.0.77")])
        let caller = Caller()
        try await tapping(engine(cluster, port: 9), try question(), caller) {
            try await eventually("the gap") { caller.losses.gaps == 1 }
            // Long enough for further attempts: the first pauses are fractions of a second.
            try await Task.sleep(for: .seconds(1))
            cluster.set([])
            try await eventually("its length") { caller.losses.unseenMs >= 1_000 }
            #expect(caller.losses.gaps == 1)
        }
    }

    @Test("The failing requests are found by the filter alone, and the others are counted")
    func filters() async throws {
        try await FakeProxy.run(["127.0.0.2"]) { proxies, port in
            let cluster = FakeCluster([Fixtures.pod("a", ip: "127.0.0.2")])
            let caller = Caller()
            let filter = Linkerd2_Tap_Live_Filter.with { $0.grpcCodes = [2] }
            try await tapping(engine(cluster, port: port), try question(filter), caller) {
                try await eventually("the stream") { proxies[0].openCount == 1 }
                for index in 0..<UInt64(50) {
                    proxies[0].send(Fixtures.exchange(index, grpc: index % 10 == 0 ? 2 : 0, path: "/\(index)"))
                }
                try await eventually("all accounted for") { caller.losses.filtered == 45 && caller.events.count == 15 }
                #expect(caller.events.first?.http.requestInit.path == "/0")
            }
        }
    }

    @Test("With a filter the rate is kept here, since proxies show more for it to choose from")
    func limits() async throws {
        try await FakeProxy.run(["127.0.0.2"]) { proxies, port in
            let cluster = FakeCluster([Fixtures.pod("a", ip: "127.0.0.2")])
            let caller = Caller()
            let filter = Linkerd2_Tap_Live_Filter.with { $0.tls = "true" }
            // A second's worth, all at once: whatever a slow machine does, two windows at most pass twice the rate.
            try await tapping(engine(cluster, port: port), try question(rps: 0.001, filter), caller) {
                try await eventually("the stream") { proxies[0].openCount == 1 }
                proxies[0].send((0..<UInt64(20)).flatMap { Fixtures.exchange($0) })
                try await eventually("all accounted for") { caller.losses.limited == 19 }
                #expect(caller.events.count == 3)
            }
        }
    }

    @Test("Proxies' own losses are passed on, added up over their streams")
    func losses() async throws {
        try await FakeProxy.run(["127.0.0.2", "127.0.0.3"]) { proxies, port in
            let cluster = FakeCluster([Fixtures.pod("a", ip: "127.0.0.2"), Fixtures.pod("b", ip: "127.0.0.3")])
            let caller = Caller()
            try await tapping(engine(cluster, port: port), try question(), caller) {
                try await eventually("both streams") { proxies.allSatisfy { $0.openCount == 1 } }
                for (limited, proxy) in [(2, proxies[0]), (5, proxies[0]), (10, proxies[1])] as [(UInt64, FakeProxy)] {
                    var event = ProxyEvent()
                    let more = Linkerd2_Tap_Live_EventExtension.with {
                        $0.losses.limited = limited
                        $0.losses.droppedEvents = 1
                    }
                    try event.merge(serializedBytes: more.serializedBytes() as [UInt8])
                    proxy.send([event])
                }
                try await eventually("the sum") { caller.losses.limited == 15 && caller.losses.droppedEvents == 2 }
            }
        }
    }

    @Test("A caller that stands still holds up nobody else, and loses nothing here")
    func stalled() async throws {
        try await FakeProxy.run(["127.0.0.2"]) { proxies, port in
            let cluster = FakeCluster([Fixtures.pod("a", ip: "127.0.0.2")])
            let (slow, quick) = (Caller(), Caller())
            slow.isStalled = true
            let engine = engine(cluster, port: port)
            let question = try question()
            try await tapping(engine, question, slow) {
                try await tapping(engine, question, quick) {
                    try await eventually("both streams") { proxies[0].openCount == 2 }
                    for index in 0..<UInt64(2_000) { proxies[0].send(Fixtures.exchange(index)) }
                    try await eventually("all for the quick one") { quick.events.count == 6_000 }
                    #expect(slow.events.isEmpty)
                    slow.isStalled = false
                    try await eventually("all for the slow one") { slow.events.count == 6_000 }
                }
            }
        }
    }

    @Test("A stream goes on after more than a window, even one that began before the settings were agreed upon")
    func windows() async throws {
        let ips = (2...9).map { "127.0.0.\($0)" }
        try await FakeProxy.run(ips) { proxies, port in
            let cluster = FakeCluster(ips.enumerated().map { Fixtures.pod("p\($0.offset)", ip: $0.element) })
            let caller = Caller()
            try await tapping(engine(cluster, port: port), try question(rps: 100_000), caller) {
                try await eventually("every stream") { proxies.allSatisfy { $0.openCount == 1 } }
                // Some 200 bytes an event.
                let path = "/" + String(repeating: "a", count: 100)
                for proxy in proxies { proxy.send((0..<400).flatMap { Fixtures.exchange(UInt64($0), path: path) }) }
                try await eventually("everything") { caller.events.count == 8 * 1_200 }
            }
        }
    }

    @Test("A question about nothing is refused with the reason")
    func nothing() throws {
        let engine = engine(FakeCluster([Fixtures.pod("a", ip: "127.0.0.2", annotations: [:])]), port: 1)
        let question = try question()
        #expect(throws: TapRefusal.self) { try engine.check(question) }
    }
}
