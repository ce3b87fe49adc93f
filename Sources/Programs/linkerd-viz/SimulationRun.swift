import Foundation
import MeshModel
import MeshRollup
import RollupStore

/// Fills and checks one store with one made-up mesh.
struct SimulationRun {
    let mesh: SimulatedMesh
    let store: RollupStore
    let end: UnixTime
    let isFine: Bool
    /// Between scrapes of old history.
    let coarseMilliseconds: Int64

    /// Writes what is not in the file yet. Prints a line of JSON with each commit: what it names will not be lost.
    func fill(podsPerWorkload: Int, fineMilliseconds: Int64) async {
        var cursors: [SeriesCursor] = []
        for pod in mesh.pods { cursors.append(await store.takeCursor(of: pod.id) ?? SeriesCursor()) }
        let fineFrom = isFine ? mesh.start : end.advanced(by: -fineMilliseconds).floored(to: 60_000)
        var now = (cursors.compactMap(\.scrapedAt).max() ?? mesh.start)
        var steps = 0
        while now < end {
            let step: Int64 = now < fineFrom ? min(coarseMilliseconds, fineFrom.since(now)) : 10_000
            now = now.advanced(by: step)
            let rules = CursorRules(intervalMilliseconds: step)
            for index in mesh.pods.indices where now > fineFrom || index % podsPerWorkload == 0 {
                // Pods may have been committed further than others before a kill.
                if let at = cursors[index].scrapedAt, at >= now { continue }
                let isBase = cursors[index].scrapedAt == nil || (steps + index) % 60 == 0
                await store.ingest(
                    mesh.record(mesh.pods[index], at: now, cursor: &cursors[index], rules: rules, isBase: isBase))
            }
            steps += 1
            await store.flush(now: now)
            if await store.currentStatus().isWritable { StoreCommand.show(["committedMs": .int(now.milliseconds)]) }
            await store.maintain(now: now)
        }
        await store.maintain(now: now.advanced(by: 31_000))
        await store.shutdown(now: now)
    }

    /// Compares windows of many lengths with what they should hold.
    ///
    /// - Returns: How many groups differ.
    func verify(podsPerWorkload: Int) async throws -> Int {
        var last: UnixTime?
        for pod in mesh.pods {
            guard let at = await store.takeCursor(of: pod.id)?.scrapedAt else { continue }
            last = max(last ?? at, at)
        }
        guard let last else {
            StoreCommand.show(["windows": .int(0), "wrong": .int(0), "lastMs": .int(0)])
            return 0
        }
        var wrong = 0
        var windows = 0
        var random = UInt64(last.milliseconds) | 1
        func next(_ bound: Int64) -> Int64 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return bound <= 0 ? 0 : Int64(random >> 33) % bound
        }
        let total = last.since(mesh.start) / 10_000
        for attempt in 0..<24 {
            let length = attempt == 0 ? total : next(total) + 1
            let first = mesh.start.advanced(by: (attempt == 0 ? 0 : next(total - length + 1)) * 10_000)
            let from = Self.onGrid(first, last)
            let to = Self.onGrid(min(first.advanced(by: length * 10_000), last), last)
            for family in [KeyFamily.objects, .edges, .arrivals] {
                windows += 1
                wrong += try await difference(family, from, to, now: last)
            }
        }
        let status = await store.currentStatus()
        StoreCommand.show([
            "windows": .int(Int64(windows)), "wrong": .int(Int64(wrong)), "lastMs": .int(last.milliseconds),
            "corruptChunks": .int(Int64(status.corruptChunks)), "setAside": .int(Int64(status.filesSetAside.count)),
        ])
        return wrong + status.corruptChunks + status.filesSetAside.count
    }

    /// Where the finest tier may be gone, windows end on minutes.
    private static func onGrid(_ time: UnixTime, _ last: UnixTime) -> UnixTime {
        last.since(time) > 5 * 3_600_000 ? time.floored(to: 60_000) : time
    }

    private func difference(_ family: KeyFamily, _ from: UnixTime, _ to: UnixTime, now: UnixTime) async throws -> Int {
        func group(_ key: RollupKey) -> String? {
            switch key {
            case .object(let key): "\(key.direction.label) \(key.workload.name)"
            case .edge(let key): "\(key.src.name) \(key.dst.name)"
            case .arrival(let key): "\(key.workload.name) \(key.tlsDetail)"
            case .route, .request: nil
            }
        }
        let window = Window(from: from, to: to)
        let found = try await store.totals(family, in: window, now: now, keepsPods: false, groupedBy: group)
            .rollups.mapValues { $0.responses }.filter { $0.value > 0 }
        let expected = mesh.expected(family, from: from, to: to, groupedBy: group)
        let wrong = Set(found.keys).union(expected.keys).filter { found[$0, default: 0] != expected[$0, default: 0] }
        for name in wrong.sorted().prefix(3) {
            StoreCommand.show([
                "group": .string(name), "found": .int(Int64(found[name, default: 0])),
                "expected": .int(Int64(expected[name, default: 0])), "fromMs": .int(from.milliseconds),
                "toMs": .int(to.milliseconds), "family": .int(Int64(family.rawValue)),
            ])
        }
        return wrong.count
    }
}
