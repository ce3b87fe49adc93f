import Foundation
import GRDB
import MeshRollup
import RollupStore
import Testing

/// Sampled requests to fill a store with.
enum Samples {
    static func workload(_ name: String) -> WorkloadKey { WorkloadKey(namespace: "shop", kind: "deployment", name: name) }

    static func key(_ path: String, dst: String = "web") -> RollupKey {
        .request(RequestKey(src: workload("bot"), dst: workload(dst), method: "GET", path: path))
    }

    /// Three samples that stand for thirty requests.
    static func rollup(_ micros: UInt64 = 1_000) -> Rollup {
        var rollup = StoreFixture.rollup(2, failures: 1)
        rollup[.requests] = 30
        rollup.extremes = LatencyExtremes(best: micros, worst: micros * 3, last: micros * 2)
        return rollup
    }

    static func record(_ path: String, at: UnixTime, micros: UInt64 = 1_000, dst: String = "web") -> ScrapeRecord {
        ScrapeRecord(
            pod: "samples", at: at, step: [], base: nil,
            parts: [.init(key: key(path, dst: dst), bucket: Spread.bucket(endingAt: at), rollup: rollup(micros))])
    }

    static func exemplar(
        _ path: String, at: UnixTime, micros: UInt64 = 1_000, isFailure: Bool = false, dst: String = "web"
    ) -> RequestExemplar {
        var exemplar = RequestExemplar(at: at, src: workload("bot"), dst: workload(dst), method: "GET", path: path)
        (exemplar.srcPod, exemplar.dstPod, exemplar.traceID) = ("bot-1", "\(dst)-1", "463ac35c9f6413ad")
        (exemplar.httpStatus, exemplar.grpcStatus) = (200, isFailure ? 2 : nil)
        (exemplar.latencyMicroseconds, exemplar.isFailure) = (micros, isFailure)
        return exemplar
    }
}

extension RollupStore {
    /// Samples of a window by path.
    func sampled(in window: Window, now: UnixTime) async throws -> [String: UInt64] {
        try await requests(in: window, now: now).mapValues { $0.responses }
    }

    func requests(in window: Window, now: UnixTime) async throws -> [String: Rollup] {
        try await totals(.requests, in: window, now: now, keepsPods: false) { key in
            guard case .request(let request) = key else { return nil as String? }
            return request.path
        }.rollups
    }
}

@Suite("Sampled requests in the store", .timeLimit(.minutes(1)))
struct SampleTests {
    private let start = StoreFixture.midnight

    /// A store that took in six batches a minute of `path` from `from` to `to`, in minutes after midnight.
    private func fill(
        _ store: RollupStore, _ path: String, from: Int64, to: Int64, step: Int64 = 10_000
    ) async {
        for at in stride(from: from * 60_000 + step, through: to * 60_000, by: Int(step)) {
            let now = start.advanced(by: at)
            await store.ingest(Samples.record(path, at: now, micros: UInt64(at / 10_000) + 1))
            await store.flush(now: now)
            await store.maintain(now: now)
        }
    }

    @Test("Counts, estimates and extremes are the same from memory, from each tier, and after a restart")
    func travels() async throws {
        let fixture = try StoreFixture()
        var store = try fixture.open(at: start)
        await fill(store, "/a", from: 0, to: 150)
        let now = start.advanced(by: 151 * 60_000)
        for attempt in 0..<2 {
            for (from, to) in [(0, 120), (60, 61), (120, 150), (145, 150), (0, 150)] as [(Int64, Int64)] {
                let window = Window(from: start.advanced(by: from * 60_000), to: start.advanced(by: to * 60_000))
                let row = try #require(try await store.requests(in: window, now: now)["/a"])
                let batches = UInt64(to - from) * 6
                #expect(row.responses == 3 * batches && row[.requests] == 30 * batches, "\(from) to \(to), \(attempt)")
                let first = UInt64(from) * 6 + 2
                let last = UInt64(to) * 6 + 1
                #expect(row.extremes == LatencyExtremes(best: first, worst: last * 3, last: last * 2), "\(from) to \(to), \(attempt)")
            }
            await store.shutdown(now: now)
            store = try fixture.open(at: now)
        }
        #expect(await store.currentStatus().corruptChunks == 0)
    }

    @Test("Samples are kept for a shorter time than counts, and what is left answers by the hour")
    func ages() async throws {
        let fixture = try StoreFixture()
        var limits = StoreLimits()
        limits.sampleRetentionMilliseconds = [.minute: 2 * 3_600_000, .hour: 2 * 86_400_000]
        limits.retentionMilliseconds = [.tenSeconds: 3_600_000]
        let store = try RollupStore(path: fixture.path, now: start, limits: limits, logger: StoreFixture.logger)
        for minute in stride(from: 1 as Int64, through: 600, by: 1) {
            let now = start.advanced(by: minute * 60_000)
            await store.ingest(Samples.record("/a", at: now))
            await store.ingest(StoreFixture.record("web-1", at: now, [(StoreFixture.pod("web", "web-1"), StoreFixture.rollup(1))], base: [1]))
            await store.flush(now: now)
            await store.maintain(now: now)
        }
        let now = start.advanced(by: 600 * 60_000)
        let hour = Window(from: start.advanced(by: 3_600_000), to: start.advanced(by: 2 * 3_600_000))
        #expect(try await store.sampled(in: hour, now: now) == ["/a": 180], "by the hour")
        let minutes = Window(from: hour.from, to: hour.from.advanced(by: 600_000))
        #expect(try await store.sampled(in: minutes, now: now) == ["/a": 180], "the minutes are gone: the hour around them")
        #expect(try await store.successes(minutes.from, minutes.to, now: now) == ["web": 10], "those of counts are not")
        await store.shutdown(now: now)
        let pool = try DatabasePool(path: fixture.path)
        let oldest = try await pool.read {
            try Int64.fetchOne($0, sql: "SELECT min(span_ms) FROM chunk WHERE tier = 1 AND family = 4") ?? 0
        }
        #expect(oldest >= start.advanced(by: 6 * 3_600_000).milliseconds)
        // The bytes of spans are those of what is left in them.
        let spans = try await pool.read {
            try Row.fetchAll($0, sql: """
                SELECT span.bytes, sum(length(totals) + length(body) + 24) FROM span JOIN chunk USING (tier, span_ms)
                WHERE tier = 1 GROUP BY span_ms
                """).map { ($0[0] as Int64, $0[1] as Int64) }
        }
        #expect(spans.count >= 9 && spans.allSatisfy { $0.0 == $0.1 })
        try pool.close()
    }

    @Test("When a tier is over its share, samples go before what counts everything")
    func budget() async throws {
        let fixture = try StoreFixture()
        var limits = StoreLimits()
        limits.fileBytesMax = 4_000_000
        let store = try RollupStore(path: fixture.path, now: start, limits: limits, logger: StoreFixture.logger)
        let (paths, minutes) = (300, 240 as Int64)
        for minute in stride(from: 1, through: minutes, by: 1) {
            let now = start.advanced(by: minute * 60_000)
            let parts = (0..<paths).map { path in
                ScrapeRecord.Part(key: Samples.key("/path\(path)"), bucket: Spread.bucket(endingAt: now), rollup: Samples.rollup())
            }
            await store.ingest(ScrapeRecord(pod: "samples", at: now, step: [], base: nil, parts: parts))
            await store.ingest(StoreFixture.record("web-1", at: now, [(StoreFixture.pod("web", "web-1"), StoreFixture.rollup(1))], base: [1]))
            await store.flush(now: now)
            await store.maintain(now: now)
        }
        let now = start.advanced(by: minutes * 60_000 + 60_000)
        for _ in 0..<40 { await store.maintain(now: now) }
        let tens = try await counts(fixture, "tier = 0")
        #expect(tens[.objects] == 24 && (1..<24 * paths).contains(tens[.requests, default: 0]), "\(tens)")
        #expect(try await store.successes(start, start.advanced(by: 600_000), now: now) == ["web": 10])
        await store.shutdown(now: now)
    }

    /// Spans times keys by family.
    private func counts(_ fixture: StoreFixture, _ condition: String) async throws -> [KeyFamily: Int] {
        let pool = try DatabasePool(path: fixture.path)
        defer { try? pool.close() }
        return try await pool.read { db in
            let rows = try Row.fetchAll(db, sql: "SELECT family, count(*) FROM chunk WHERE \(condition) GROUP BY family")
            return Dictionary(uniqueKeysWithValues: rows.compactMap { row in
                KeyFamily(rawValue: row[0]).map { ($0, row[1] as Int) }
            })
        }
    }
}

@Suite("Exemplars in the store", .timeLimit(.minutes(1)))
struct ExemplarTests {
    private let start = StoreFixture.midnight

    private func found(
        _ store: RollupStore, minutes: Range<Int64>, dst: String = "", limit: Int = 10
    ) async throws -> ExemplarLists {
        let window = Window(from: start.advanced(by: minutes.lowerBound * 60_000), to: start.advanced(by: minutes.upperBound * 60_000))
        return try await store.exemplars(ExemplarFilter(dst: .init(name: dst), limit: limit), in: window)
    }

    @Test("They are found at once and after a restart, by window and by end, whole")
    func finds() async throws {
        let fixture = try StoreFixture()
        var store = try fixture.open(at: start)
        let at = start.advanced(by: 90_000)
        let slow = Samples.exemplar("/slow/1", at: at, micros: 9_000)
        let failed = Samples.exemplar("/failed/2", at: at.advanced(by: 1), isFailure: true)
        let other = Samples.exemplar("/slow/3", at: at, micros: 20_000, dst: "cart")
        await store.ingest([slow, failed, other])
        for attempt in 0..<3 {
            #expect(try await found(store, minutes: 1..<2, dst: "web").slowest == [slow, failed], "\(attempt)")
            #expect(try await found(store, minutes: 1..<2).failed == [failed], "\(attempt)")
            #expect(try await found(store, minutes: 0..<3, limit: 1).slowest == [other], "\(attempt)")
            #expect(try await found(store, minutes: 2..<9).slowest.isEmpty, "\(attempt)")
            if attempt == 0 { await store.maintain(now: at) }
            if attempt == 1 {
                await store.shutdown(now: at)
                store = try fixture.open(at: at)
            }
        }
        let window = Window(from: start, to: start.advanced(by: 180_000))
        let bot = try await store.exemplars(
            ExemplarFilter(src: .init(namespace: "shop", kind: "deployment", name: "bot"), dst: .init(name: "cart"), limit: 5), in: window)
        #expect(bot.slowest == [other])
    }

    @Test("Each minute keeps the slowest and the newest failures of each destination, and later each hour")
    func thins() async throws {
        let fixture = try StoreFixture()
        let store = try fixture.open(at: start)
        for minute in 0..<120 as Range<Int64> {
            let at = start.advanced(by: minute * 60_000)
            await store.ingest(
                (0..<20).map { number in
                    Samples.exemplar("/\(minute)/\(number)", at: at.advanced(by: Int64(number)), micros: UInt64(minute * 100 + Int64(number)))
                })
            await store.ingest(
                (0..<10).map { number in
                    Samples.exemplar("/failed/\(number)", at: at.advanced(by: 100 + Int64(number)), micros: 1, isFailure: true, dst: "cart")
                })
            await store.maintain(now: at.advanced(by: 30_000))
        }
        await store.maintain(now: start.advanced(by: 125 * 60_000))
        let minute = try await found(store, minutes: 30..<31, limit: 100)
        #expect(minute.slowest.filter { $0.dst.name == "web" }.map(\.path) == (15...19).reversed().map { "/30/\($0)" })
        #expect(minute.failed.map(\.path) == (5...9).reversed().map { "/failed/\($0)" })
        await store.maintain(now: start.advanced(by: 9 * 3_600_000))
        let hour = try await found(store, minutes: 0..<60, dst: "web", limit: 100)
        #expect(hour.slowest.map(\.path) == (15...19).reversed().map { "/59/\($0)" })
        await store.maintain(now: start.advanced(by: 15 * 86_400_000))
        #expect(try await found(store, minutes: 0..<120).slowest.isEmpty, "too old")
    }

    @Test("What is too much goes, the oldest first")
    func budget() async throws {
        let fixture = try StoreFixture()
        var limits = StoreLimits()
        limits.fileBytesMax = StoreLimits.fileBytesMin
        let store = try RollupStore(path: fixture.path, now: start, limits: limits, logger: StoreFixture.logger)
        let path = "/" + String(repeating: "x", count: 400)
        let count = Int(limits.exemplarBytesMax / 464)
        // Each destination has few; there are many of them.
        for minute in 0..<120 as Range<Int64> {
            let at = start.advanced(by: minute * 60_000)
            await store.ingest((0..<count / 60).map { Samples.exemplar(path, at: at, dst: "svc-\($0)") })
            await store.maintain(now: at.advanced(by: 1_000))
        }
        await store.maintain(now: start.advanced(by: 125 * 60_000))
        #expect(try await found(store, minutes: 0..<60).slowest.isEmpty)
        #expect(try await found(store, minutes: 119..<120, limit: 100).slowest.count == count / 60)
    }

    @Test("What cannot be written waits, bounded, and is written later")
    func full() async throws {
        let fixture = try StoreFixture()
        let store = try fixture.open(at: start)
        try await store.setPageCountMax(1)
        let all = (0..<12_000).map { Samples.exemplar("/\($0)", at: start.advanced(by: Int64($0)), micros: UInt64($0)) }
        await store.ingest(all)
        await store.maintain(now: start)
        #expect(await store.currentStatus().isWritable == false)
        #expect(try await found(store, minutes: 0..<1, limit: 1).slowest == [all[11_999]])
        try await store.setPageCountMax(nil)
        await store.maintain(now: start)
        await store.shutdown(now: start)
        let again = try fixture.open(at: start)
        let kept = try await found(again, minutes: 0..<1, limit: 20_000).slowest
        #expect(kept.count == 10_000 && kept.last == all[2_000], "the newest")
    }
}
