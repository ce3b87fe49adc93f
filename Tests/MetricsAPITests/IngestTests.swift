import MeshKubernetes
import MeshRollup
import MetricsAPI
import RollupStore
import Testing

/// A proxy's scrape: a server with `inbound` requests, a client with `outbound` ones.
func exposition(inbound: Int, outbound: Int, failures: Int = 0, start: Double, connections: Int = 2)
    -> [UInt8]
{
    let endpoint = """
        direction="outbound",authority="voting-svc.emojivoto.svc.cluster.local:8080",target_addr="10.0.0.9:8080",\
        tls="true",server_id="voting.emojivoto",dst_namespace="emojivoto",dst_deployment="voting",\
        dst_pod="voting-1",dst_service="voting-svc"
        """
    func histogram(_ labels: String, _ count: Int) -> String {
        let bounds = [
            1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1_000, 2_000, 3_000, 4_000, 5_000,
            10_000,
            20_000, 30_000, 40_000, 50_000,
        ]
        // All responses take between 2 and 3 ms.
        let lines = bounds.map {
            "response_latency_ms_bucket{\(labels),status_code=\"200\",le=\"\($0)\"} \($0 >= 3 ? count : 0)"
        }
        return (lines + ["response_latency_ms_bucket{\(labels),status_code=\"200\",le=\"+Inf\"} \(count)"])
            .joined(separator: "\n")
    }
    let text = """
        # HELP response_total Responses
        # TYPE response_total counter
        response_total{direction="inbound",tls="true",status_code="200",classification="success"} \(inbound)
        response_total{direction="inbound",tls="true",status_code="500",classification="failure"} \(failures)
        response_total{\(endpoint),status_code="200",classification="success",grpc_status="0"} \(outbound)
        \(histogram("direction=\"inbound\",tls=\"true\"", inbound))
        \(histogram(endpoint, outbound))
        tcp_open_connections{direction="inbound",peer="src",tls="true"} \(connections)
        tcp_open_connections{direction="inbound",peer="dst",tls="no_identity",no_tls_reason="loopback"} 1
        tcp_open_connections{\(endpoint),peer="dst"} 1
        tcp_read_bytes_total{direction="inbound",peer="src",tls="true"} \(inbound * 10)
        tcp_read_bytes_total{direction="inbound",peer="dst",tls="no_identity"} \(inbound * 999)
        stack_poll_total{direction="outbound",name="x"} 5
        this line is no sample
        process_start_time_seconds \(start)
        # EOF
        """
    return Array(text.utf8)
}

@Suite("Ingest", .timeLimit(.minutes(1)))
struct IngestTests {
    private let start = Fixtures.start

    private func facts() throws -> PodFacts {
        try #require(Fixtures.index().pod(namespace: "emojivoto", name: "web-1"))
    }

    private func totals(_ store: RollupStore, _ family: KeyFamily, now: UnixTime) async throws -> [RollupKey:
        Rollup]
    {
        let window = Window(from: start.advanced(by: -600_000), to: now)
        return try await store.totals(family, in: window, now: now, keepsPods: true) { $0 }.rollups
    }

    @Test("Counters of a scrape become objects and edges")
    func scrape() async throws {
        let box = try StoreBox(now: start.advanced(by: -600_000))
        let ingestor = Ingestor(
            store: box.store, rules: CursorRules(), clusterDomain: "cluster.local", logger: Fixtures.logger)
        let seconds = Double(start.milliseconds) / 1_000 - 5_000
        await ingestor.ingest(
            exposition(inbound: 1_000, outbound: 500, start: seconds), of: try facts(),
            at: start.advanced(by: 5_000))
        await ingestor.ingest(
            exposition(inbound: 1_030, outbound: 512, failures: 4, start: seconds), of: try facts(),
            at: start.advanced(by: 15_000))
        let now = start.advanced(by: 20_000)
        let objects = try await totals(box.store, .objects, now: now)
        let inbound = try #require(objects[Fixtures.object("web", pod: "web-1")])
        #expect(inbound[.successes] == 30)
        #expect(inbound[.failures] == 4)
        #expect(inbound[.status2xx] == 30)
        #expect(inbound[.status5xx] == 4)
        #expect(inbound[.readBytes] == 300, "bytes towards the application do not count twice")
        #expect(inbound.latency[2] == 30)
        #expect(inbound.latency.count == 30)
        #expect(inbound.openConnections?.last == 3)
        let outbound = try #require(objects[Fixtures.object("web", pod: "web-1", .outbound)])
        #expect(outbound[.successes] == 12)
        let edges = try await totals(box.store, .edges, now: now)
        #expect(edges.count == 1)
        let key = EdgeKey(
            src: Fixtures.deployment("web"), srcPod: "web-1", dst: Fixtures.deployment("voting"),
            dstPod: "voting-1",
            service: "voting-svc", authority: "voting-svc.emojivoto.svc.cluster.local:8080", tls: "true",
            tlsDetail: "voting.emojivoto")
        let edge = try #require(edges[.edge(key)])
        #expect(edge[.successes] == 12)
        #expect(edge[.grpcResponses] == 12)
        #expect(edge.wireProtocol == .grpc)
        let status = await ingestor.currentStatus()
        #expect(status.malformedLines == 2)
        #expect(status.series == 60)
    }

    @Test("What a proxy's admin port counts about itself is no traffic of the workload")
    func adminPort() async throws {
        let box = try StoreBox(now: start.advanced(by: -600_000))
        let ingestor = Ingestor(
            store: box.store, rules: CursorRules(), clusterDomain: "cluster.local", logger: Fixtures.logger)
        let facts = try facts()
        let port = try #require(facts.adminPort)
        for (count, milliseconds) in [(10, 5_000), (40, 15_000)] {
            let labels = "direction=\"inbound\",target_addr=\"10.0.0.1:\(port)\",target_port=\"\(port)\""
            let text = """
                response_total{\(labels),status_code="200",classification="success"} \(count)
                response_latency_ms_bucket{\(labels),status_code="200",le="1"} \(count)
                response_latency_ms_bucket{\(labels),status_code="200",le="+Inf"} \(count)
                tcp_open_connections{\(labels),peer="src"} 3
                inbound_http_authz_allow_total{target_port="\(port)",srv_name="x"} \(count)

                """
            await ingestor.ingest(Array(text.utf8), of: facts, at: start.advanced(by: Int64(milliseconds)))
        }
        let objects = try await totals(box.store, .objects, now: start.advanced(by: 20_000))
        let inbound = objects[Fixtures.object("web", pod: "web-1")]
        #expect(inbound?[.successes] ?? 0 == 0)
        #expect(inbound?.latency.count ?? 0 == 0)
        #expect(inbound?.openConnections?.last ?? 0 == 0)
    }

    @Test("Route series become routes, attempts apart, and never count for the pod")
    func routes() async throws {
        let box = try StoreBox(now: start)
        let ingestor = Ingestor(
            store: box.store, rules: CursorRules(), clusterDomain: "cluster.local", destinationsMax: 3,
            logger: Fixtures.logger)
        let dst = "dst=\"voting-svc.emojivoto.svc.cluster.local:8080\""
        var lines = ["GET /a", "GET /b", "GET /c"].enumerated().map {
            "route_response_total{direction=\"outbound\",\(dst),rt_route=\"\($1)\",classification=\"success\"} \($0 + 1)"
        }
        lines += [
            "route_actual_response_total{direction=\"outbound\",\(dst),rt_route=\"GET /a\",classification=\"failure\"} 9",
            "route_response_latency_ms_bucket{direction=\"outbound\",\(dst),rt_route=\"GET /a\",le=\"10\"} 1",
            "route_response_latency_ms_bucket{direction=\"outbound\",\(dst),rt_route=\"GET /a\",le=\"+Inf\"} 1",
            "process_start_time_seconds \(Double(start.milliseconds) / 1_000 - 1)",
        ]
        await ingestor.ingest(
            Array((lines.joined(separator: "\n") + "\n").utf8), of: try facts(), at: start.advanced(by: 5_000))
        let routes = try await totals(box.store, .routes, now: start.advanced(by: 10_000))
        func route(_ name: String, attempts: Bool = false) -> Rollup? {
            routes.first { key, _ in
                guard case .route(let route) = key else { return false }
                return route.route == name && route.countsAttempts == attempts
            }?.value
        }
        #expect(route("GET /a")?[.successes] == 1)
        #expect(route("GET /a")?.latency[5] == 1)
        #expect(route("GET /b")?[.successes] == 2)
        #expect(route("GET /c")?[.successes] == 3)
        #expect(route("other", attempts: true)?[.failures] == 9, "the fourth is past the budget")
        #expect(try await totals(box.store, .edges, now: start.advanced(by: 10_000)).isEmpty)
    }

    @Test("Histograms with fewer bounds count in those they have")
    func fewBounds() async throws {
        let box = try StoreBox(now: start)
        let ingestor = Ingestor(
            store: box.store, rules: CursorRules(), clusterDomain: "cluster.local", logger: Fixtures.logger)
        let lines = [("2", 3), ("10", 5), ("+Inf", 6)].map {
            "response_latency_ms_bucket{direction=\"inbound\",le=\"\($0.0)\"} \($0.1)"
        }
        let text = lines.joined(separator: "\n")
            + "\nprocess_start_time_seconds \(Double(start.milliseconds) / 1_000)\n"
        await ingestor.ingest(Array(text.utf8), of: try facts(), at: start.advanced(by: 5_000))
        let objects = try await totals(box.store, .objects, now: start.advanced(by: 10_000))
        let latency = try #require(objects[Fixtures.object("web", pod: "web-1")]).latency
        #expect([latency[1], latency[5], latency[25], latency.count] == [3, 2, 1, 6])
    }

    @Test("A pod that is gone has no open connections, and is forgotten")
    func farewell() async throws {
        let box = try StoreBox(now: start)
        let ingestor = Ingestor(
            store: box.store, rules: CursorRules(), clusterDomain: "cluster.local", logger: Fixtures.logger)
        let facts = try facts()
        await ingestor.ingest(
            exposition(inbound: 1, outbound: 1, start: 0), of: facts, at: start.advanced(by: 5_000))
        await ingestor.forget(facts.cursorID, at: start.advanced(by: 15_000))
        let now = start.advanced(by: 20_000)
        let objects = try await totals(box.store, .objects, now: now)
        #expect(
            objects[Fixtures.object("web", pod: "web-1")]?.openConnections == ConnectionGauge(last: 0, max: 3)
        )
        #expect(await ingestor.currentStatus().pods == 0)
    }

    @Test("Another metrics-api goes on where this one stopped")
    func restart() async throws {
        let box = try StoreBox(now: start)
        let facts = try facts()
        let seconds = Double(start.milliseconds) / 1_000 - 5_000
        let first = Ingestor(
            store: box.store, rules: CursorRules(), clusterDomain: "cluster.local", logger: Fixtures.logger)
        await first.ingest(
            exposition(inbound: 100, outbound: 0, start: seconds), of: facts, at: start.advanced(by: 5_000))
        await first.ingest(
            exposition(inbound: 110, outbound: 0, start: seconds), of: facts, at: start.advanced(by: 15_000))
        let now = start.advanced(by: 120_000)
        await box.store.flush(now: now)
        let reopened = try RollupStore(path: await box.store.file, now: now, logger: Fixtures.logger)
        let second = Ingestor(
            store: reopened, rules: CursorRules(), clusterDomain: "cluster.local", logger: Fixtures.logger)
        await second.ingest(
            exposition(inbound: 150, outbound: 0, start: seconds), of: facts, at: start.advanced(by: 105_000))
        let objects = try await totals(reopened, .objects, now: now)
        let rollup = try #require(objects[Fixtures.object("web", pod: "web-1")])
        #expect(rollup[.successes] == 50)
        #expect(rollup.isEstimated, "forty of them were spread over the gap")
    }

    @Test("Traffic to nowhere known is kept by what was asked for")
    func external() async throws {
        let box = try StoreBox(now: start)
        let ingestor = Ingestor(
            store: box.store, rules: CursorRules(), clusterDomain: "cluster.local", destinationsMax: 2,
            logger: Fixtures.logger)
        let seconds = Double(start.milliseconds) / 1_000 - 1
        let lines = (0..<5).map {
            "response_total{direction=\"outbound\",authority=\"api\($0).example.com\",tls=\"no_identity\",classification=\"success\"} 7"
        }
        let text = lines.joined(separator: "\n") + "\nprocess_start_time_seconds \(seconds)\n"
        await ingestor.ingest(Array(text.utf8), of: try facts(), at: start.advanced(by: 5_000))
        let edges = try await totals(box.store, .edges, now: start.advanced(by: 10_000))
        let authorities = edges.keys.compactMap { key in
            if case .edge(let edge) = key {
                edge.authority.isEmpty ? edge.dst.name : edge.authority
            } else {
                nil
            }
        }
        #expect(authorities.sorted() == ["api0.example.com", "api1.example.com", "other"])
        #expect(edges.values.map { $0[.successes] }.sorted() == [7, 7, 21], "the tail is folded, not lost")
    }
}

@Suite("Scrape schedule", .timeLimit(.minutes(1)))
struct ScrapeScheduleTests {
    private let start = Fixtures.start

    private func facts(_ count: Int) -> [PodFacts] {
        (0..<count).map { PodFacts(Fixtures.pod("a", "p\($0)"), owners: []) }
    }

    @Test("Each pod is asked once an interval, spread over it")
    func phases() {
        var schedule = ScrapeSchedule(intervalMilliseconds: 10_000)
        #expect(schedule.update(facts(200), now: start).isEmpty)
        var counts: [String: Int] = [:]
        var busiest = 0
        for tick in 0..<480 as Range<Int64> {  // Two minutes.
            let now = start.advanced(by: tick * 250)
            let due = schedule.due(at: now)
            if tick > 60 { busiest = max(busiest, due.count) }
            for pod in due {
                if tick >= 80 { counts[pod.name, default: 0] += 1 }
                schedule.finished(pod.cursorID, at: now)
            }
        }
        #expect(counts.count == 200)
        #expect(counts.values.allSatisfy { $0 == 10 })
        #expect(busiest < 20, "\(busiest) of 200 in one tick")
    }

    @Test("A terminating pod is asked at once and every second; a gone one is reported")
    func terminating() {
        var schedule = ScrapeSchedule(intervalMilliseconds: 10_000)
        var pod = Fixtures.pod("a", "p")
        _ = schedule.update([PodFacts(pod, owners: [])], now: start)
        _ = schedule.due(at: start.advanced(by: 1_000))
        schedule.finished("a-p", at: start.advanced(by: 1_000))
        #expect(schedule.due(at: start.advanced(by: 1_100)).isEmpty)
        pod.metadata.deletionTimestamp = "2023-11-15T00:00:00Z"
        _ = schedule.update([PodFacts(pod, owners: [])], now: start.advanced(by: 1_100))
        #expect(schedule.due(at: start.advanced(by: 1_100)).count == 1)
        #expect(schedule.due(at: start.advanced(by: 1_200)).isEmpty, "one at a time")
        schedule.finished("a-p", at: start.advanced(by: 1_200))
        #expect(schedule.due(at: start.advanced(by: 2_200)).count == 1)
        #expect(schedule.update([], now: start.advanced(by: 2_300)) == ["a-p"])
    }

    @Test("Pods that do not answer never take the places of those that do")
    func lanes() {
        var schedule = ScrapeSchedule(intervalMilliseconds: 1_000)
        let all = facts(100)
        _ = schedule.update(all, now: start)
        // One half answers at once, the other holds its place for ever.
        var asked: [String: Int] = [:]
        for tick in 0..<400 as Range<Int64> {
            let now = start.advanced(by: tick * 250)
            for pod in schedule.due(at: now) {
                asked[pod.name, default: 0] += 1
                let number = Int(pod.name.dropFirst()) ?? 0
                // The silent ones time out after five seconds: here, when they are asked again, all at once.
                if number.isMultiple(of: 2) { schedule.finished(pod.cursorID, at: now) }
            }
            guard tick % 20 == 19 else { continue }
            for number in stride(from: 1, to: 100, by: 2) {
                schedule.finished("a-p\(number)", isUp: false, at: now)
            }
        }
        for number in stride(from: 0, to: 100, by: 2) {
            #expect(asked["p\(number)", default: 0] > 60, "p\(number) was asked \(asked["p\(number)", default: 0]) times in 100 s")
        }
        #expect(asked["p1", default: 0] > 0)
    }

    @Test("Pods without a proxy, an address or a future are not asked")
    func unscrapable() {
        var schedule = ScrapeSchedule(intervalMilliseconds: 10_000)
        let pods = [
            Fixtures.pod("a", "plain", isMeshed: false), Fixtures.pod("a", "new", ip: ""),
            Fixtures.pod("a", "done", phase: "Succeeded"),
        ]
        _ = schedule.update(pods.map { PodFacts($0, owners: []) }, now: start)
        #expect(schedule.count == 0)
    }
}
