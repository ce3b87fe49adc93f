import Foundation
import GRDB
import MeshRollup
import RollupStore
import Testing

/// Files written by earlier schemas, as they were then; `Corpus/` keeps one set for each.
@Suite("Files of earlier schemas", .timeLimit(.minutes(1)))
struct SchemaTests {
    private static let corpus = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus")
    static let current = ["1 chunks, keys, cursors", "2 routes", "3 arrivals", "4 requests"]

    /// Opens a copy of a file of the corpus.
    private func open(_ name: String, _ fixture: StoreFixture, now: UnixTime) throws -> RollupStore {
        try FileManager.default.copyItem(atPath: Self.corpus.appending(path: name).path, toPath: fixture.path)
        return try fixture.open(at: now)
    }

    @Test("Schema 1: every bucket of four hours, in all tiers and in the journal")
    func windows() async throws {
        let fixture = try StoreFixture()
        let start = StoreFixture.midnight
        let now = start.advanced(by: 1_500 * 10_000)
        let store = try open("schema-1-windows.db", fixture, now: now)
        #expect(await store.currentStatus().filesSetAside.isEmpty)
        // Written by the test of windows in `RollupStoreTests`, which lost three scrapes to a restart.
        let truth = (0..<1_500 as Range<Int64>).map { ($0, UInt64($0 % 17)) }.filter { !(798...800).contains($0.0) }
        for (from, to) in [(0, 1_500), (0, 360), (333, 777), (1_200, 1_500), (60, 61)] as [(Int64, Int64)] {
            let expected = truth.filter { from <= $0.0 && $0.0 < to }.reduce(0) { $0 + $1.1 }
            let sums = try await store.successes(
                start.advanced(by: from * 10_000), start.advanced(by: to * 10_000), now: now)
            #expect(sums["web"] == expected, "\(from) to \(to)")
        }
        await store.shutdown(now: now)
        let pool = try DatabasePool(path: fixture.path)
        let names = try await pool.read {
            try String.fetchAll($0, sql: "SELECT identifier FROM grdb_migrations ORDER BY identifier")
        }
        #expect(names == Self.current)
        #expect(try await pool.read { try Int.fetchOne($0, sql: "PRAGMA page_size") } == 16_384, "rewritten in large pages")
        try pool.close()
    }

    @Test("Schema 1: edges with their identities")
    func edges() async throws {
        let fixture = try StoreFixture()
        let now = StoreFixture.midnight.advanced(by: 1_000_000)
        let store = try open("schema-1-edges.db", fixture, now: now)
        let window = Window(from: StoreFixture.midnight, to: now)
        let totals = try await store.totals(.edges, in: window, now: now, keepsPods: false) { key in
            guard case .edge(let edge) = key else { return nil as String? }
            return "\(edge.src.name)>\(edge.dst.name) \(edge.service) \(edge.tls) \(edge.tlsDetail)"
        }
        let rollup = try #require(totals.rollups["web>cart cart true cart.id"])
        #expect(rollup[.successes] == 200 && rollup[.failures] == 100 && rollup.latency.count == 300)
    }

    @Test("Schema 3: an hour of a made-up mesh, to the unit; and what is new since is there, and empty")
    func mesh() async throws {
        let fixture = try StoreFixture()
        let end = StoreFixture.midnight
        let start = end.advanced(by: -3_600_000)
        let store = try open("schema-3-mesh.db", fixture, now: end)
        #expect(await store.currentStatus().filesSetAside.isEmpty)
        let mesh = SimulatedMesh(workloads: 2, podsPerWorkload: 1, callsPerWorkload: 1, start: start)
        func name(_ key: RollupKey) -> String { "\(key.rolledUp)" }
        for (from, to) in [(0, 360), (60, 120), (331, 359)] as [(Int64, Int64)] {
            let window = Window(from: start.advanced(by: from * 10_000), to: start.advanced(by: to * 10_000))
            for family in [KeyFamily.objects, .edges, .arrivals] {
                let found = try await store.totals(family, in: window, now: end, keepsPods: false, groupedBy: name)
                let expected = mesh.expected(family, from: window.from, to: window.to, groupedBy: name)
                #expect(!expected.isEmpty && found.rollups.mapValues { $0.responses } == expected, "\(family)")
            }
        }
        let window = Window(from: start, to: end)
        #expect(try await store.exemplars(ExemplarFilter(limit: 10), in: window).slowest.isEmpty)
        await store.ingest([Samples.exemplar("/orders/17", at: end.advanced(by: -1))])
        await store.ingest(Samples.record("/orders/{number}", at: end))
        await store.shutdown(now: end)
        let again = try fixture.open(at: end)
        #expect(try await again.exemplars(ExemplarFilter(limit: 10), in: window).slowest.map(\.path) == ["/orders/17"])
        #expect(try await again.sampled(in: window, now: end) == ["/orders/{number}": 3])
    }

    @Test("Schema 1: cursors go on where they were")
    func cursors() async throws {
        let fixture = try StoreFixture()
        let store = try open("schema-1-cursors.db", fixture, now: StoreFixture.midnight.advanced(by: 20_000))
        let cursor = try #require(await store.takeCursor(of: "emojivoto-web-1"))
        #expect(cursor.seriesCount > 50)
        #expect(cursor.scrapedAt != nil && cursor.processStart != nil)
    }
}
