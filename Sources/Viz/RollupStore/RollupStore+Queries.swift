import Foundation
import GRDB
public import MeshRollup

extension RollupStore {
    /// Sums of a window, by group.
    public struct Totals<Group: Hashable & Sendable>: Sendable {
        /// One rollup per group that had anything.
        public var rollups: [Group: Rollup]
        /// The window that was summed: the one asked for, on 10 s boundaries.
        public var window: Window
    }

    /// Sums a window over the keys of one family.
    ///
    /// - Parameters:
    ///   - window: Grown to whole 10 s buckets.
    ///   - keepsPods: Whether groups tell pods apart; then only the finest tier (6 hours) is read.
    ///   - group: The group of a key; `nil` leaves it out. Called once per key, not per bucket.
    /// - Throws: `DatabaseError` when the file cannot be read; recent windows never touch it.
    /// - Complexity: O(keys) plus the buckets and chunk headers inside the window.
    public func totals<Group: Hashable & Sendable>(
        _ family: KeyFamily, in window: Window, now: UnixTime, keepsPods: Bool,
        groupedBy group: (RollupKey) -> Group?
    ) async throws -> Totals<Group> {
        let window = window.aligned(to: Tier.tenSeconds.bucketMilliseconds)
        let groups = groups(family, group)
        let cut = memoryCut(for: window)
        let recent = memoryTotals(Window(from: cut, to: window.to), groups)
        guard window.from < cut else { return Totals(rollups: recent, window: window) }
        let reads = WindowPlan.reads(for: Window(from: window.from, to: cut), keepsPods: keepsPods) {
            keptFrom($0, family, now: now)
        }
        var sums: [Group: Rollup] = [:]
        for read in reads {
            let segment = try await storedTotals(read, family, groups)
            for (group, rollup) in segment { sums[group, default: Rollup()].append(rollup) }
        }
        for (group, rollup) in recent { sums[group, default: Rollup()].append(rollup) }
        return Totals(rollups: sums, window: window)
    }

    /// Keys of one family that have anything in memory or in the file.
    public func knownKeys(_ family: KeyFamily) -> [RollupKey] {
        keys.ids(of: family).compactMap { keys.keys[$0] }
    }

    /// Where memory takes over from the file.
    func memoryCut(for window: Window) -> UnixTime {
        if window.from >= hotFrom { return window.from }
        return min(window.to, max(hotFrom, min(closedUpTo, window.to)))
    }

    func groups<Group>(_ family: KeyFamily, _ group: (RollupKey) -> Group?) -> [Int: Group] {
        let ids = keys.ids(of: family)
        var groups = [Int: Group](minimumCapacity: ids.count)
        for id in ids {
            guard let key = keys.keys[id], let found = group(key) else { continue }
            groups[id] = found
        }
        return groups
    }

    private func memoryTotals<Group: Hashable>(_ window: Window, _ groups: [Int: Group]) -> [Group: Rollup] {
        guard !window.isEmpty else { return [:] }
        // Rollups are large: growing step by step would move each twice.
        var sums = [Group: Rollup](minimumCapacity: groups.count)
        for (id, group) in groups where id < hot.count {
            var total = Rollup()
            if hot[id].accumulate(window, into: &total) { sums[group, default: Rollup()].combine(total) }
        }
        return sums
    }

    private func storedTotals<Group: Hashable & Sendable>(
        _ read: StoredRead, _ family: KeyFamily, _ groups: [Int: Group]
    ) async throws -> [Group: Rollup] {
        var perKey: [Int: Rollup] = [:]
        let rows = try await storedRows(read, family, ids: Array(groups.keys))
        status.corruptChunks += rows.corruptCount
        for (id, rollup) in rows.rollups { perKey[id, default: Rollup()].append(rollup) }
        var sums: [Group: Rollup] = [:]
        for (id, rollup) in perKey {
            guard let group = groups[id] else { continue }
            sums[group, default: Rollup()].combine(rollup)
        }
        return sums
    }

    private func storedRows(
        _ read: StoredRead, _ family: KeyFamily, ids: [Int]
    ) async throws -> (rollups: [(Int, Rollup)], corruptCount: Int) {
        let wanted = Set(ids)
        return try await pool.read { db in
            let columns = read.clip == nil ? "key_id, totals" : "key_id, totals, body, span_ms"
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT \(columns) FROM chunk
                    WHERE tier = ? AND family = ? AND \(Self.spanCondition(read, wanted))
                    ORDER BY span_ms
                    """,
                arguments: [read.tier.rawValue, family.rawValue])
            var rollups: [(Int, Rollup)] = []
            var corruptCount = 0
            while let row = try rows.next() {
                let id: Int = row[0]
                guard wanted.contains(id) else { continue }
                do {
                    if let rollup = try Self.rollup(of: row, read) { rollups.append((id, rollup)) }
                } catch is CodecError {
                    corruptCount += 1
                }
            }
            return (rollups, corruptCount)
        }
    }

    /// For few keys the spans are listed, so that SQLite seeks each row instead of scanning the range.
    static func spanCondition(_ read: StoredRead, _ ids: Set<Int>) -> String {
        let step = read.tier.spanMilliseconds
        let spans = Array(
            stride(from: read.spans.from.milliseconds, to: read.spans.to.milliseconds, by: Int(step)))
        guard ids.count <= 64, spans.count <= 512 else {
            return "span_ms >= \(read.spans.from.milliseconds) AND span_ms < \(read.spans.to.milliseconds)"
        }
        func list(_ values: some Sequence<some BinaryInteger>) -> String {
            values.map { String($0) }.joined(separator: ",")
        }
        return "span_ms IN (\(list(spans))) AND key_id IN (\(list(ids)))"
    }

    /// The part of a row that `read` wants; `nil` when none of its buckets is inside.
    private static func rollup(of row: Row, _ read: StoredRead) throws -> Rollup? {
        let totals = [UInt8](row[1] as Data)
        guard let clip = read.clip else {
            var reader = ByteReader(totals)
            return try Rollup(from: &reader)
        }
        let span = UnixTime(milliseconds: row[3])
        let chunk = try Chunk(
            body: [UInt8](row[2] as Data), totals: totals, bucketsMax: read.tier.bucketsPerSpan)
        var sum = Rollup()
        var hasAny = false
        for bucket in chunk.buckets {
            let start = span.advanced(by: Int64(bucket.index) * read.tier.bucketMilliseconds)
            guard clip.contains(start) else { continue }
            sum.append(bucket.rollup)
            hasAny = true
        }
        return hasAny ? sum : nil
    }
}
