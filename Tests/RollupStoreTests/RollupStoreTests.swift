import Foundation
import GRDB
import MeshRollup
import RollupStore
import Testing

@Suite("The rollup store", .timeLimit(.minutes(2)))
struct RollupStoreTests {
    private let start = StoreFixture.midnight

    @Test("What was ingested is visible at once, by pod and by workload")
    func hotWindow() async throws {
        let fixture = try StoreFixture()
        let store = try fixture.open(at: start)
        let at = start.advanced(by: 10_000)
        await store.ingest(
            StoreFixture.record(
                "u1", at: at, [(StoreFixture.pod("web", "web-1"), StoreFixture.rollup(5, open: 2))],
                base: SeriesCursor().encodedBase()))
        await store.ingest(
            StoreFixture.record(
                "u2", at: at, [(StoreFixture.pod("web", "web-2"), StoreFixture.rollup(7, open: 3))],
                base: SeriesCursor().encodedBase()))
        #expect(try await store.successes(start, at, now: at) == ["web": 12])
        #expect(try await store.successes(start, at, now: at, keepsPods: true) == ["web-1": 5, "web-2": 7])
        let total = try await store.totals(
            .objects, in: Window(from: start, to: at), now: at, keepsPods: false
        ) { _ in 1 }
        #expect(total.rollups[1]?.openConnections?.last == 5)
    }

    @Test("Any window over hours equals a brute-force sum, at all tiers and across a restart")
    func windows() async throws {
        let fixture = try StoreFixture()
        var store = try fixture.open(at: start)
        var truth: [(UnixTime, UInt64)] = []
        var now = start
        for step in 0..<1_500 {  // A little more than four hours.
            now = start.advanced(by: Int64(step + 1) * 10_000)
            let count = UInt64(step % 17)
            truth.append((Spread.bucket(endingAt: now), count))
            await store.ingest(
                StoreFixture.record(
                    "u1", at: now, [(StoreFixture.pod("web", "web-1"), StoreFixture.rollup(count, open: 1))],
                    base: step == 0 ? SeriesCursor().encodedBase() : nil))
            if step % 6 == 5 {
                await store.flush(now: now)
                await store.maintain(now: now)
            }
            if step == 800 { store = try fixture.open(at: now) }  // Abandons what was not flushed.
            if step == 800 { truth.removeAll { $0.0 > now.advanced(by: -40_000) } }
        }
        await store.flush(now: now)
        await store.maintain(now: now)
        var random: UInt64 = 88
        for _ in 0..<60 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let from = start.advanced(by: Int64(random >> 40) % 1_400 * 10_000)
            let to = from.advanced(by: (Int64(random >> 20) & 1_023) * 10_000)
            let expected = truth.filter { from <= $0.0 && $0.0 < to }.reduce(0) { $0 + $1.1 }
            let sums = try await store.successes(from, to, now: now)
            #expect(
                sums["web", default: 0] == expected,
                "\(from.since(start) / 1_000) s to \(to.since(start) / 1_000) s")
        }
        let status = await store.currentStatus()
        #expect(status.corruptChunks == 0)
        #expect(status.failedCommits == 0)
    }

    @Test("A restart goes on from the cursor that was committed with the counts")
    func cursors() async throws {
        let fixture = try StoreFixture()
        let rules = CursorRules()
        var cursor = SeriesCursor()
        var store = try fixture.open(at: start)
        let id = SeriesID(high: 1, low: 2)
        let key = StoreFixture.pod("web", "web-1")
        func scrape(_ value: Double, at: UnixTime, isBase: Bool) async {
            var scrape = Scrape(at: at, processStart: start.advanced(by: -1_000))
            let slot = cursor.slot(of: id) ?? cursor.insert(id)
            scrape.add(slot: slot, isGauge: false, value: value)
            let delta = cursor.advance(scrape, rules: rules)
            var rollup = Rollup()
            for change in delta.counters { rollup[.successes] += change.amount }
            let parts = Spread.parts(rollup, from: delta.from, to: delta.to, isGap: delta.isEstimated)
            await store.ingest(
                ScrapeRecord(
                    pod: "u1", at: at, step: delta.step, base: isBase ? cursor.encodedBase() : nil,
                    parts: parts.map { .init(key: key, bucket: $0.bucket, rollup: $0.rollup) }))
        }
        await scrape(100, at: start.advanced(by: 5_000), isBase: true)
        await scrape(110, at: start.advanced(by: 15_000), isBase: false)
        await store.flush(now: start.advanced(by: 16_000))
        await scrape(125, at: start.advanced(by: 25_000), isBase: false)
        // The process is killed here: the last scrape was never committed.
        store = try fixture.open(at: start.advanced(by: 60_000))
        cursor = try #require(await store.takeCursor(of: "u1"))
        await scrape(150, at: start.advanced(by: 65_000), isBase: false)
        let now = start.advanced(by: 70_000)
        #expect(try await store.successes(start.advanced(by: -60_000), now, now: now) == ["web": 150])
        let again = await store.takeCursor(of: "u1")
        #expect(again == nil)
    }

    @Test("Counts for a closed span reach every tier")
    func lateCounts() async throws {
        let fixture = try StoreFixture()
        let store = try fixture.open(at: start)
        let key = StoreFixture.pod("web", "web-1")
        let early = start.advanced(by: 20_000)
        await store.ingest(
            StoreFixture.record(
                "u1", at: early, [(key, StoreFixture.rollup(1))], base: SeriesCursor().encodedBase()))
        var now = start.advanced(by: 3_700_000)
        await store.flush(now: now)
        await store.maintain(now: now)
        await store.ingest(StoreFixture.record("u1", at: early, [(key, StoreFixture.rollup(4))]))
        await store.flush(now: now)
        #expect(try await store.successes(start, early, now: now) == ["web": 5])
        // After two weeks only hours are left.
        now = start.advanced(by: 20 * 86_400_000)
        for _ in 0..<20 { await store.maintain(now: now) }
        let day = start.advanced(by: 86_400_000)
        #expect(try await store.successes(start, day, now: now) == ["web": 5])
        #expect(try await store.successes(start, day, now: now, keepsPods: true) == [:])
    }

    @Test("Edges keep who, where to and how; the newest gauge wins over time")
    func edges() async throws {
        let fixture = try StoreFixture()
        let store = try fixture.open(at: start)
        for step in 1...100 as ClosedRange<Int64> {
            let at = start.advanced(by: step * 10_000)
            await store.ingest(
                StoreFixture.record(
                    "u1", at: at,
                    [
                        (
                            StoreFixture.edge("web", "cart"),
                            StoreFixture.rollup(2, failures: 1, open: UInt64(step))
                        )
                    ],
                    base: step == 1 ? SeriesCursor().encodedBase() : nil))
        }
        let now = start.advanced(by: 1_000_000)
        await store.flush(now: now)
        await store.maintain(now: now)
        let totals = try await store.totals(
            .edges, in: Window(from: start, to: now), now: now, keepsPods: false
        ) { key in
            guard case .edge(let edge) = key else { return nil as String? }
            return "\(edge.src.name)>\(edge.dst.name) \(edge.service) \(edge.tls) \(edge.tlsDetail)"
        }
        let rollup = try #require(totals.rollups["web>cart cart true cart.id"])
        #expect(rollup[.successes] == 200)
        #expect(rollup[.failures] == 100)
        #expect(rollup.latency.count == 300)
        #expect(rollup.openConnections == ConnectionGauge(last: 100, max: 100))
    }

    @Test("Routes keep their profile and name, in memory, in the file and across a restart")
    func routes() async throws {
        let fixture = try StoreFixture()
        let store = try fixture.open(at: start)
        func key(_ route: String, attempts: Bool = false) -> RollupKey {
            .route(
                RouteKey(
                    direction: .outbound, workload: WorkloadKey(namespace: "shop", kind: "deployment", name: "web"),
                    pod: "web-1", dst: "cart.shop.svc.cluster.local:80", route: route, countsAttempts: attempts))
        }
        for step in 1...100 as ClosedRange<Int64> {
            let parts = [
                (key("GET /"), StoreFixture.rollup(2)), (key(""), StoreFixture.rollup(1)),
                (key("GET /", attempts: true), StoreFixture.rollup(2, failures: 3)),
            ]
            await store.ingest(
                StoreFixture.record(
                    "u1", at: start.advanced(by: step * 10_000), parts,
                    base: step == 1 ? SeriesCursor().encodedBase() : nil))
        }
        let now = start.advanced(by: 1_000_000)
        await store.flush(now: now)
        await store.maintain(now: now)
        await store.shutdown(now: now)
        let reopened = try fixture.open(at: now)
        for keepsPods in [true, false] {
            let totals = try await reopened.totals(
                .routes, in: Window(from: start, to: now), now: now, keepsPods: keepsPods
            ) { key in
                guard case .route(let route) = key else { return nil as String? }
                return "\(route.dst) \(route.route) \(route.countsAttempts)"
            }.rollups
            let prefix = "cart.shop.svc.cluster.local:80"
            #expect(totals["\(prefix) GET / false"]?[.successes] == 200)
            #expect(totals["\(prefix)  false"]?[.successes] == 100)
            #expect(totals["\(prefix) GET / true"]?[.failures] == 300)
        }
        await reopened.shutdown(now: now)
    }

    @Test("Series have a bucket per step, and gaps where nothing was scraped")
    func series() async throws {
        let fixture = try StoreFixture()
        let store = try fixture.open(at: start)
        for step in 1...360 as ClosedRange<Int64> where !(100..<130).contains(step) {
            await store.ingest(
                StoreFixture.record(
                    "u1", at: start.advanced(by: step * 10_000),
                    [(StoreFixture.pod("web", "web-1"), StoreFixture.rollup(3, open: 0))],
                    base: step == 1 ? SeriesCursor().encodedBase() : nil))
        }
        let now = start.advanced(by: 3_600_000)
        for _ in 0..<6 {
            await store.flush(now: now)
            await store.maintain(now: now)
        }
        let window = Window(from: start, to: now)
        let fine = try await store.series(.objects, in: window, step: 10_000, now: now, keepsPods: true) {
            _ in true
        }
        #expect(fine.buckets.count == 360)
        #expect(fine.buckets.filter { $0 == nil }.count == 30)
        #expect(fine.buckets.compactMap { $0?[.successes] }.reduce(0, +) == 990)
        let coarse = try await store.series(.objects, in: window, step: 300_000, now: now, keepsPods: false) {
            _ in true
        }
        let expected: [UInt64] = [90, 90, 90, 27, 63, 90, 90, 90, 90, 90, 90, 90]
        #expect(coarse.buckets.map { $0?[.successes] } == expected)
    }
}

@Suite("The store when things go wrong", .timeLimit(.minutes(2)))
struct StoreFailureTests {
    private let start = StoreFixture.midnight

    private func fill(_ store: RollupStore, from first: Int64, to last: Int64, keys: Int = 1) async {
        for step in first...last {
            let at = start.advanced(by: step * 10_000)
            let parts = (0..<keys).map {
                (StoreFixture.pod("web\($0)", "web\($0)-1"), StoreFixture.rollup(1, open: 1))
            }
            await store.ingest(
                StoreFixture.record(
                    "u1", at: at, parts, base: step == first ? SeriesCursor().encodedBase() : nil))
            await store.flush(now: at)
        }
    }

    @Test("A corrupt file is set aside, reported and replaced", arguments: [0, 2_000])
    func corruptAtStart(offset: UInt64) async throws {
        let fixture = try StoreFixture()
        var store: RollupStore? = try fixture.open(at: start)
        if let store { await fill(store, from: 1, to: 20, keys: 30) }
        await store?.shutdown(now: start)
        store = nil
        let file = try #require(FileHandle(forUpdatingAtPath: fixture.path))
        try file.seek(toOffset: offset)
        try file.write(contentsOf: Data(repeating: 0xA5, count: 60_000))
        try file.close()
        let fresh = try fixture.open(at: start.advanced(by: 300_000))
        let status = await fresh.currentStatus()
        #expect(status.filesSetAside == [fixture.path + ".corrupt-1"])
        #expect(FileManager.default.fileExists(atPath: fixture.path + ".corrupt-1"))
        await fresh.ingest(
            StoreFixture.record(
                "u1", at: start.advanced(by: 310_000),
                [(StoreFixture.pod("web", "w"), StoreFixture.rollup(2))], base: SeriesCursor().encodedBase()))
        await fresh.flush(now: start.advanced(by: 310_000))
        #expect(await fresh.currentStatus().isWritable)
    }

    @Test("A full disk costs history, not the service; writing resumes when there is room")
    func fullDisk() async throws {
        let fixture = try StoreFixture()
        let store = try fixture.open(at: start, pageCountMax: 18)
        await fill(store, from: 1, to: 60, keys: 100)
        var status = await store.currentStatus()
        #expect(!status.isWritable)
        #expect(status.failedCommits > 0)
        let now = start.advanced(by: 600_000)
        let sums = try await store.successes(start, now, now: now)
        #expect(sums.count == 100 && sums.values.allSatisfy { $0 == 60 })
        try await store.setPageCountMax(nil)
        await store.flush(now: now)
        status = await store.currentStatus()
        #expect(status.isWritable)
        #expect(status.pendingRecords == 0)
        #expect(status.droppedRecords == 0)
        // Nothing was lost: a restart sees all of it.
        let again = try fixture.open(at: now)
        #expect(try await again.successes(start, now, now: now).values.allSatisfy { $0 == 60 })
    }

    @Test("Scrapes that come faster than the file takes them wait, and none is given up")
    func backPressure() async throws {
        let fixture = try StoreFixture()
        let store = try fixture.open(at: start)
        let at = start.advanced(by: 10_000)
        let step = [UInt8](repeating: 7, count: RollupStore.pendingBytesMax / 50)
        await withTaskGroup(of: Void.self) { group in
            for reader in 0..<8 {
                group.addTask {
                    for index in 0..<20 {
                        await store.waitForRoom(now: at)
                        await store.ingest(
                            StoreFixture.record(
                                "u\(reader)-\(index)", at: at,
                                [(StoreFixture.pod("web", "web-\(reader)"), StoreFixture.rollup(1))],
                                base: SeriesCursor().encodedBase(), step: step))
                    }
                }
            }
        }
        await store.flush(now: at)
        #expect(await store.currentStatus().droppedRecords == 0)
        await store.shutdown(now: at)
        let again = try fixture.open(at: at)
        #expect(try await again.successes(start, at, now: at) == ["web": 160])
    }

    @Test("Migrations run once and are recorded by number")
    func migrations() async throws {
        let fixture = try StoreFixture()
        await (try fixture.open(at: start)).shutdown(now: start)
        await (try fixture.open(at: start)).shutdown(now: start)
        let pool = try DatabasePool(path: fixture.path)
        let names = try await pool.read {
            try String.fetchAll($0, sql: "SELECT identifier FROM grdb_migrations")
        }
        #expect(names == SchemaTests.current)
        let tables = try await pool.read {
            try String.fetchAll(
                $0,
                sql: """
                    SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0
                    AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'grdb_%'
                    """)
        }
        #expect(tables.isEmpty, "every table is STRICT")
        try pool.close()
    }

    @Test("Retention forgets pods after hours, and unused keys with them")
    func retention() async throws {
        let fixture = try StoreFixture()
        let store = try fixture.open(at: start)
        await fill(store, from: 1, to: 3)
        var now = start
        for hour in 1...9 as ClosedRange<Int64> {
            now = start.advanced(by: hour * 3_600_000)
            await store.flush(now: now)
            await store.maintain(now: now)
        }
        #expect(try await store.successes(start, now, now: now, keepsPods: true) == [:])
        #expect(try await store.successes(start, now, now: now) == ["web0": 3])
        let keys = await store.knownKeys(.objects)
        #expect(keys.allSatisfy { !$0.namesPod }, "\(keys)")
    }

    @Test("A store on a clock that ran ahead does not refuse the present")
    func clockAhead() async throws {
        let fixture = try StoreFixture()
        await (try fixture.open(at: start.advanced(by: 86_400_000))).shutdown(now: start)
        let store = try fixture.open(at: start)
        await fill(store, from: 1, to: 3)
        let now = start.advanced(by: 40_000)
        #expect(try await store.successes(start, now, now: now) == ["web0": 3])
    }
}
