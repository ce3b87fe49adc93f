import Foundation
import GRDB
public import MeshRollup

extension RollupStore {
    /// When groups of keys last had anything: requests, bytes, or an open connection.
    ///
    /// - Returns: The start of the newest such bucket in the window, of the finest tier that reaches back that
    ///   far; groups without any are left out.
    /// - Complexity: Reads the chunks of the window, newest first, each key until it is found.
    public func lastActive<Group: Hashable & Sendable>(
        _ family: KeyFamily, in window: Window, now: UnixTime, keepsPods: Bool,
        groupedBy group: (RollupKey) -> Group?
    ) async throws -> [Group: UnixTime] {
        let groups = groups(family, group)
        var found: [Group: UnixTime] = [:]
        func note(_ group: Group, _ time: UnixTime) { found[group] = max(found[group] ?? time, time) }
        let cut = memoryCut(for: window)
        let recent = Window(from: cut, to: window.to)
        for (id, group) in groups where id < hot.count {
            hot[id].forEachBucket(in: recent) { bucket, rollup in
                if rollup.isActive { note(group, bucket) }
            }
        }
        guard window.from < cut else { return found }
        let reads = WindowPlan.reads(for: Window(from: window.from, to: cut), keepsPods: keepsPods) {
            keptFrom($0, family, now: now)
        }
        for read in reads.reversed() {
            let wanted = Set(groups.filter { found[$0.value] == nil }.keys)
            guard !wanted.isEmpty else { break }
            for (id, time) in try await lastActive(read, family, wanted) {
                if let group = groups[id] { note(group, time) }
            }
        }
        return found
    }

    private func lastActive(_ read: StoredRead, _ family: KeyFamily, _ wanted: Set<Int>) async throws -> [Int: UnixTime] {
        try await pool.read { db in
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT key_id, body, span_ms FROM chunk
                    WHERE tier = ? AND family = ? AND \(Self.spanCondition(read, wanted))
                    ORDER BY span_ms DESC
                    """,
                arguments: [read.tier.rawValue, family.rawValue])
            var found: [Int: UnixTime] = [:]
            while let row = try rows.next() {
                let id: Int = row[0]
                guard wanted.contains(id), found[id] == nil else { continue }
                let span = UnixTime(milliseconds: row[2])
                let body = [UInt8](row[1] as Data)
                // A chunk that does not decode is counted by the queries that sum it.
                guard let chunk = try? Chunk(body: body, totals: nil, bucketsMax: read.tier.bucketsPerSpan) else {
                    continue
                }
                let limit = read.clip ?? read.spans
                let times = chunk.buckets.filter(\.rollup.isActive).map {
                    span.advanced(by: Int64($0.index) * read.tier.bucketMilliseconds)
                }
                if let last = times.last(where: limit.contains) { found[id] = last }
            }
            return found
        }
    }
}

extension Rollup {
    /// Whether anything happened or is open.
    fileprivate var isActive: Bool {
        responses > 0 || self[.requests] > 0 || self[.readBytes] &+ self[.writeBytes] > 0
            || (openConnections?.last ?? 0) > 0
    }
}
