import Foundation
import GRDB
import MeshRollup
import RollupStore
import Testing

@Suite("The store's file is looked after", .timeLimit(.minutes(2)))
struct StoreSafetyTests {
    private let start = StoreFixture.midnight

    /// Traffic of many workloads, one scrape a step.
    private func fill(_ store: RollupStore, steps: Range<Int64>, workloads: Int, pods: Int = 1) async {
        for step in steps {
            let at = start.advanced(by: (step + 1) * 10_000)
            let parts = (0..<workloads).flatMap { name in
                (0..<pods).map {
                    (StoreFixture.pod("web\(name)", "web\(name)-\($0)"), StoreFixture.rollup(UInt64(step) % 7 + 1, open: 1))
                }
            }
            await store.ingest(
                StoreFixture.record("u1", at: at, parts, base: step == steps.lowerBound ? SeriesCursor().encodedBase() : nil))
            if step % 6 == 5 {
                await store.flush(now: at)
                await store.maintain(now: at)
            }
        }
    }

    @Test("Over its size the store gives up the oldest, and asks the coarser tier instead")
    func budget() async throws {
        let fixture = try StoreFixture()
        var limits = StoreLimits()
        limits.fileBytesMax = 3 << 20
        let store = try RollupStore(path: fixture.path, now: start, limits: limits, logger: StoreFixture.logger)
        await fill(store, steps: 0..<1_440, workloads: 60, pods: 3)
        let now = start.advanced(by: 14_400_000 + 40_000)
        for _ in 0..<30 {
            await store.flush(now: now)
            await store.maintain(now: now)
        }
        let status = await store.currentStatus()
        #expect(status.removedSpans > 0)
        for tier in Tier.allCases where tier != .hour {
            #expect(try #require(status.tierBytes[tier]) <= limits.bytesMax(of: tier) + 200_000, "\(tier)")
        }
        // The first hour's fine buckets are gone; its sum is still exact.
        let hour = try await store.successes(start, start.advanced(by: 3_600_000), now: now)
        let expected = (0..<360 as Range<UInt64>).reduce(0) { $0 + $1 % 7 + 1 } * 3
        #expect(hour["web0"] == expected)
        #expect(try await store.successes(start, start.advanced(by: 3_600_000), now: now, keepsPods: true) == [:])
        await store.shutdown(now: now)
        // What was removed is remembered.
        let again = try RollupStore(path: fixture.path, now: now, limits: limits, logger: StoreFixture.logger)
        #expect(try await again.successes(start, start.advanced(by: 3_600_000), now: now)["web0"] == expected)
    }

    @Test("A second writer is refused, and told why")
    func oneWriter() async throws {
        let fixture = try StoreFixture()
        await (try fixture.open(at: start)).shutdown(now: start)
        // The lock is the process's own, so another process has to hold it.
        let holder = Process()
        holder.executableURL = URL(filePath: "/usr/bin/env")
        let script = "import fcntl,sys;f=open(sys.argv[1],'r+');fcntl.lockf(f,fcntl.LOCK_EX);print('held',flush=True);sys.stdin.read()"
        holder.arguments = ["python3", "-c", script, fixture.path + ".lock"]
        let input = Pipe()
        let output = Pipe()
        holder.standardInput = input
        holder.standardOutput = output
        try holder.run()
        defer { kill(holder.processIdentifier, SIGKILL) }
        #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).hasPrefix("held"))
        let error = #expect(throws: StoreError.self) { try fixture.open(at: start) }
        #expect(error?.kind == .inUse)
        #expect(error?.description.contains(fixture.path) == true)
        try input.fileHandleForWriting.close()
        holder.waitUntilExit()
        await (try fixture.open(at: start)).shutdown(now: start)
    }

    @Test("A span is closed although newer scrapes are always waiting, and waits for older ones")
    func closesUnderLoad() async throws {
        let fixture = try StoreFixture()
        let store = try fixture.open(at: start)
        await fill(store, steps: 0..<60, workloads: 3)
        let now = start.advanced(by: 640_000)
        await store.flush(now: now)
        // What is not committed yet belongs to the span: it is not closed over it.
        let key = StoreFixture.pod("web0", "web0-0")
        await store.ingest(StoreFixture.record("u1", at: start.advanced(by: 595_000), [(key, StoreFixture.rollup(100))]))
        await store.maintain(now: now)
        #expect(try StoreTools.summary(of: fixture.path).chunks[.minute] == 0)
        await store.flush(now: now)
        await store.ingest(StoreFixture.record("u1", at: now, [(key, StoreFixture.rollup(1_000))]))
        await store.maintain(now: now)
        #expect(try StoreTools.summary(of: fixture.path).chunks[.minute] == 3)
        // The one that waited is lost with the process, and counted again by its next scrape; the others stay.
        let again = try fixture.open(at: now)
        let sums = try await again.successes(start, now, now: now)
        #expect(sums["web0"] == (0..<60 as Range<UInt64>).reduce(0) { $0 + $1 % 7 + 1 } + 100)
    }

    @Test("A copy made while writing is whole, and the original goes on")
    func backup() async throws {
        let fixture = try StoreFixture()
        let store = try fixture.open(at: start)
        await fill(store, steps: 0..<200, workloads: 5)
        let copy = fixture.folder + "/copy.db"
        let summary = try StoreTools.backUp(fixture.path, to: copy)
        #expect(summary.isSound && summary.keys == 10 && summary.migrations == SchemaTests.current)
        #expect(throws: StoreError.self) { try StoreTools.backUp(fixture.path, to: copy) }
        await fill(store, steps: 200..<260, workloads: 5)
        let now = start.advanced(by: 2_700_000)
        #expect(try await store.successes(start, now, now: now)["web3"] == (0..<260 as Range<UInt64>).reduce(0) { $0 + $1 % 7 + 1 })
        let copied = try RollupStore(path: copy, now: now, logger: StoreFixture.logger)
        // The last flush before the copy was that of step 197.
        #expect(try await copied.successes(start, now, now: now)["web3"] == (0..<198 as Range<UInt64>).reduce(0) { $0 + $1 % 7 + 1 })
    }

    @Test("What can be read of a damaged file is brought over, newest first, and counted")
    func salvage() async throws {
        let fixture = try StoreFixture()
        let store = try fixture.open(at: start)
        await fill(store, steps: 0..<720, workloads: 40)
        await store.shutdown(now: start.advanced(by: 7_200_000))
        let whole = try StoreTools.check(fixture.path)
        #expect(whole.isSound)
        // Damage in the middle: pages of chunks.
        let file = try #require(FileHandle(forUpdatingAtPath: fixture.path))
        let size = try file.seekToEnd()
        try file.seek(toOffset: size / 2)
        try file.write(contentsOf: Data(repeating: 0xA5, count: 40_000))
        try file.close()
        #expect(try !StoreTools.check(fixture.path).isSound)
        let now = start.advanced(by: 7_300_000)
        let opened = try fixture.open(at: now)
        let status = await opened.currentStatus()
        #expect(status.filesSetAside.count == 1 && status.integrity == .replaced)
        // Ten minutes at a time, from the finest tier: each is there as it was, or not at all.
        var readable = 0
        for span in 0..<12 as Range<Int64> {
            let from = start.advanced(by: span * 600_000)
            let sums = try await opened.successes(from, from.advanced(by: 600_000), now: now, keepsPods: true)
            let expected = (UInt64(span) * 60..<UInt64(span) * 60 + 60).reduce(0) { $0 + $1 % 7 + 1 }
            #expect(sums.values.allSatisfy { $0 == expected }, "\(span): \(sums)")
            readable += sums.isEmpty ? 0 : 1
        }
        #expect(readable > 0, "nothing was readable")
        await opened.shutdown(now: now)
        #expect(try StoreTools.check(fixture.path).isSound)
    }

    @Test("Labels past the store's limit are counted under other, and a made-up mesh adds up")
    func simulated() async throws {
        let fixture = try StoreFixture()
        let mesh = SimulatedMesh(workloads: 6, podsPerWorkload: 2, callsPerWorkload: 3, start: start)
        let store = try fixture.open(at: start)
        var cursors = [SeriesCursor](repeating: SeriesCursor(), count: mesh.pods.count)
        var now = start
        for step in 0..<400 {
            now = now.advanced(by: 10_000)
            for index in mesh.pods.indices {
                await store.ingest(
                    mesh.record(mesh.pods[index], at: now, cursor: &cursors[index], rules: CursorRules(), isBase: step % 60 == 0))
            }
            await store.flush(now: now)
            await store.maintain(now: now)
        }
        func group(_ key: RollupKey) -> String? {
            guard case .edge(let edge) = key else { return nil }
            return "\(edge.src.name) \(edge.dst.name)"
        }
        for (from, to) in [(0, 400), (37, 301), (0, 60), (350, 400)] as [(Int64, Int64)] {
            let window = Window(from: start.advanced(by: from * 10_000), to: start.advanced(by: to * 10_000))
            let found = try await store.totals(.edges, in: window, now: now, keepsPods: false, groupedBy: group)
            let expected = mesh.expected(.edges, from: window.from, to: window.to, groupedBy: group)
            #expect(found.rollups.mapValues(\.responses) == expected)
            #expect(found.rollups.values.allSatisfy { $0.latency.count == $0.responses })
        }
    }
}
