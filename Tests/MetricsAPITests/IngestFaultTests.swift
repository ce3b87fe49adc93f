import MeshRollup
import MetricsAPI
import RollupStore
import Testing

/// What a target may say that is wrong, and what its numbers are then.
@Suite("Faulty scrapes", .timeLimit(.minutes(1)))
struct IngestFaultTests {
    private let start = Fixtures.start

    private final class Bench {
        let box: StoreBox
        let ingestor: Ingestor
        let facts: PodFacts
        var now: UnixTime

        init(_ start: UnixTime) throws {
            box = try StoreBox(now: start)
            ingestor = Ingestor(
                store: box.store, rules: CursorRules(), clusterDomain: "cluster.local", logger: Fixtures.logger)
            facts = try #require(Fixtures.index().pod(namespace: "emojivoto", name: "web-1"))
            now = start
        }

        /// One scrape, ten seconds after the last.
        func scrape(_ lines: [String], hasStart: Bool = true, needsEnd: Bool = false) async {
            now = now.advanced(by: 10_000)
            let begun = hasStart ? "process_start_time_seconds \(Double(Fixtures.start.milliseconds) / 1_000)\n" : ""
            let text = lines.joined(separator: "\n") + "\n" + begun
            await ingestor.ingest(Array(text.utf8), of: facts, at: now, needsEnd: needsEnd)
        }

        func status() async throws -> TargetStatus { try #require(await ingestor.targetStatuses().first) }

        func successes() async throws -> UInt64 {
            let window = Window(from: Fixtures.start.advanced(by: -600_000), to: now)
            let totals = try await box.store.totals(.objects, in: window, now: now, keepsPods: false) { key in
                if case .object(let traffic) = key, traffic.direction == .inbound { true } else { nil as Bool? }
            }
            return totals.rollups[true]?[.successes] ?? 0
        }
    }

    private func line(_ value: String, _ label: String = "a") -> String {
        "response_total{direction=\"inbound\",tls=\"true\",client_id=\"\(label)\",classification=\"success\"} \(value)"
    }

    @Test(
        "A value that is no count changes nothing, and the series goes on where it was",
        arguments: ["NaN", "-3", "+Inf", "1e300", "9007199254740994"])
    func values(bad: String) async throws {
        let bench = try Bench(start)
        await bench.scrape([line("100")])
        await bench.scrape([line(bad)])
        let status = try await bench.status()
        #expect(status.health == .faulty && status.problems == ["1 values are no counts"])
        #expect(try await bench.successes() == 100)
        await bench.scrape([line("107")])
        #expect(try await bench.successes() == 107)
        #expect(try await bench.status().health == .up)
    }

    @Test("Growth beyond belief is not counted, and named")
    func leaps() async throws {
        let bench = try Bench(start)
        await bench.scrape([line("100")])
        await bench.scrape([line("8000000000000000")])
        #expect(try await bench.status().problems == ["1 counters grew beyond belief and were not counted"])
        await bench.scrape([line("8000000000000005")])
        #expect(try await bench.successes() == 105)
    }

    @Test("A family of the wrong type is named and not counted; the rest is")
    func types() async throws {
        let bench = try Bench(start)
        await bench.scrape([line("100"), "tcp_open_connections{direction=\"inbound\",peer=\"src\",tls=\"true\"} 4"])
        await bench.scrape([
            "# TYPE response_total gauge", line("150"), "# TYPE tcp_open_connections gauge",
            "tcp_open_connections{direction=\"inbound\",peer=\"src\",tls=\"true\"} 5",
        ])
        let status = try await bench.status()
        #expect(status.health == .faulty && status.problems.contains("response_total is a gauge"))
        #expect(try await bench.successes() == 100)
        await bench.scrape(["# TYPE response_total counter", line("160")])
        #expect(try await bench.successes() == 160)
    }

    @Test("A scrape that lost its end counts for nothing, and costs nothing when the next is whole")
    func cut() async throws {
        let bench = try Bench(start)
        await bench.scrape([line("100", "a"), line("40", "b")])
        await bench.scrape([line("105", "a"), line("3", "c")], hasStart: false)
        let status = try await bench.status()
        #expect(status.health == .down && status.problems.first?.contains("process_start_time_seconds") == true)
        await bench.scrape([line("110", "a"), "# EOF"], needsEnd: true)
        await bench.scrape([line("110", "a")], needsEnd: true)
        #expect(try await bench.status().problems.first?.contains("# EOF") == true)
        await bench.scrape([line("120", "a"), line("41", "b")])
        // b vanished in the one whole scrape between: it was idle for long, and starts anew.
        #expect(try await bench.successes() == 120 + 40 + 41)
        #expect(try await bench.status().health == .up)
    }

    @Test("Series past a pod's share are left out and named, and others are not disturbed")
    func tooMany() async throws {
        let bench = try Bench(start)
        let many = (0..<Ingestor.podSeriesMax + 500).map {
            "response_total{direction=\"outbound\",tls=\"true\",dst_deployment=\"d\($0)\",dst_pod=\"p\($0)\",dst_namespace=\"x\",classification=\"success\"} 5"
        }
        await bench.scrape([line("100")] + many)
        let status = try await bench.status()
        #expect(status.problems == ["501 series are too many and were left out"])
        #expect(status.series == Ingestor.podSeriesMax)
        #expect(try await bench.successes() == 100)
        let keys = await bench.box.store.knownKeys(.edges)
        #expect(keys.count <= 2 * (256 + 2), "the label budget folds the rest: \(keys.count)")
        // When there is room again, what was left out sets a baseline: it counted all along.
        await bench.scrape([line("101"), line("5000", "late")])
        #expect(try await bench.status().problems == ["1 series are too many and were left out"], "the old ones go now")
        await bench.scrape([line("101"), line("5002", "late")])
        #expect(try await bench.successes() == 101)
        await bench.scrape([line("101"), line("5005", "late")])
        #expect(try await bench.successes() == 104)
    }

    @Test("Who called, under which name and how secured, is kept from the server's side")
    func arrivals() async throws {
        let bench = try Bench(start)
        let secured = "direction=\"inbound\",authority=\"web.shop:80\",tls=\"true\",client_id=\"bot.shop\""
        let plain = "direction=\"inbound\",tls=\"no_identity\",no_tls_reason=\"no_tls_from_remote\""
        await bench.scrape([
            "response_total{\(secured),status_code=\"200\",classification=\"success\"} 8",
            "response_total{\(plain),status_code=\"200\",classification=\"success\"} 3",
            "tcp_open_connections{peer=\"src\",\(plain)} 2",
            "tcp_open_connections{peer=\"dst\",direction=\"inbound\",tls=\"no_identity\",no_tls_reason=\"loopback\"} 9",
        ])
        let window = Window(from: start.advanced(by: -600_000), to: bench.now)
        let found = try await bench.box.store.totals(.arrivals, in: window, now: bench.now, keepsPods: true) { key in
            if case .arrival(let key) = key { key } else { nil as ArrivalKey? }
        }.rollups
        #expect(found.count == 2)
        let meshed = try #require(found.first { $0.key.clientID == "bot.shop" })
        #expect(meshed.key.authority == "web.shop:80" && meshed.value[.successes] == 8)
        let unmeshed = try #require(found.first { $0.key.tls == "no_identity" })
        #expect(unmeshed.key.tlsDetail == "no_tls_from_remote" && unmeshed.value[.successes] == 3)
        #expect(unmeshed.value.openConnections?.last == 2)
    }
}
