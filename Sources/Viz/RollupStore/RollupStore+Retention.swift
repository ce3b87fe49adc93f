import GRDB
import MeshRollup

// History goes one span at a time, the oldest first: by age, when a tier is over its share, or when the file is
// over its size. Sampled requests go first, since they are the least exact. A mark in the same transaction tells
// queries from when on a tier is complete, so that they read the coarser one instead of finding nothing.

extension RollupStore {
    /// Spans removed by one step of maintenance.
    static let removedSpansPerStep = 4

    /// One span that goes.
    private struct Removal: Sendable {
        let tier: Tier
        let span: Int64
        /// Only sampled requests, not the whole span.
        var isSamplesOnly = false
        /// End of the last span that goes with it or before.
        var end: Int64 { span + tier.spanMilliseconds }
    }

    private struct Survey: Sendable {
        var removals: [Removal] = []
        var tierBytes: [Tier: Int64] = [:]
    }

    /// Removes what is too old or too much; a bounded number of spans each time.
    func removeOldSpans(now: UnixTime) async {
        guard !isWriting else { return }
        isWriting = true
        defer { isWriting = false }
        do {
            let pool = pool
            let limits = limits
            let survey = try await pool.read { db in try Self.survey(limits, now: now, db) }
            status.tierBytes = survey.tierBytes
            guard !survey.removals.isEmpty else { return }
            try await pool.write { db in
                for removal in survey.removals { try Self.remove(removal, db) }
            }
            for removal in survey.removals {
                let end = UnixTime(milliseconds: removal.end)
                if removal.isSamplesOnly {
                    removedSamplesUpTo[removal.tier] = max(removedSamplesUpTo[removal.tier] ?? end, end)
                } else {
                    removedUpTo[removal.tier] = max(removedUpTo[removal.tier] ?? end, end)
                }
            }
            status.removedSpans += survey.removals.count
            try await removeUnusedKeys(now: now)
            try await pool.writeWithoutTransaction { db in
                try db.execute(sql: "PRAGMA incremental_vacuum(4096)")
            }
        } catch {
            failed(error, now: now)
        }
    }

    private static func survey(_ limits: StoreLimits, now: UnixTime, _ db: Database) throws -> Survey {
        var survey = Survey()
        for tier in Tier.allCases {
            let limit = now.advanced(by: -limits.retention(of: tier) - tier.spanMilliseconds)
            let old = try Int64.fetchAll(
                db, sql: "SELECT span_ms FROM span WHERE tier = ? AND span_ms <= ? ORDER BY span_ms LIMIT ?",
                arguments: [tier.rawValue, limit.milliseconds, removedSpansPerStep])
            survey.removals += old.map { Removal(tier: tier, span: $0) }
            let bytes = try Int64.fetchOne(
                db, sql: "SELECT coalesce(sum(bytes), 0) FROM span WHERE tier = ?", arguments: [tier.rawValue])
            survey.tierBytes[tier] = bytes ?? 0
            guard old.isEmpty else { continue }
            let isOver = (bytes ?? 0) > limits.bytesMax(of: tier)
            if let samples = try oldestSamples(tier, limits, isOver: isOver, now: now, db) {
                survey.removals.append(samples)
            } else if isOver, let oldest = try oldestSpan(tier, db) {
                survey.removals.append(Removal(tier: tier, span: oldest))
            }
        }
        guard survey.removals.isEmpty, try usedBytes(db) > limits.fileBytesMax else { return survey }
        // What is not chunks took more than its share: the tier that is fullest gives.
        let fullest = Tier.allCases.max { left, right in
            share(left, survey, limits) < share(right, survey, limits)
        }
        if let fullest, let oldest = try oldestSpan(fullest, db) {
            survey.removals.append(Removal(tier: fullest, span: oldest))
        }
        return survey
    }

    private static func share(_ tier: Tier, _ survey: Survey, _ limits: StoreLimits) -> Double {
        Double(survey.tierBytes[tier] ?? 0) / Double(limits.bytesMax(of: tier))
    }

    /// The oldest span of a tier, unless it is the only one: the present is kept whatever it takes.
    private static func oldestSpan(_ tier: Tier, _ db: Database) throws -> Int64? {
        let oldest = try Int64.fetchAll(
            db, sql: "SELECT span_ms FROM span WHERE tier = ? ORDER BY span_ms LIMIT 2", arguments: [tier.rawValue])
        return oldest.count > 1 ? oldest.first : nil
    }

    /// The oldest sampled requests of a tier when they are too old, or when the tier is over its share: what counts
    /// everything is kept before them. Those of the newest span are kept too.
    private static func oldestSamples(
        _ tier: Tier, _ limits: StoreLimits, isOver: Bool, now: UnixTime, _ db: Database
    ) throws -> Removal? {
        let bounds = try Row.fetchOne(
            db, sql: "SELECT min(span_ms), max(span_ms) FROM chunk WHERE tier = ? AND family = ?",
            arguments: [tier.rawValue, KeyFamily.requests.rawValue])
        guard let bounds, let oldest = bounds[0] as Int64?, let newest = bounds[1] as Int64? else { return nil }
        let limit = now.advanced(by: -limits.retention(of: tier, .requests) - tier.spanMilliseconds)
        let isOld = oldest <= limit.milliseconds
        return isOld || isOver && oldest < newest ? Removal(tier: tier, span: oldest, isSamplesOnly: true) : nil
    }

    private static func usedBytes(_ db: Database) throws -> Int64 {
        let pages = try Int64.fetchOne(db, sql: "PRAGMA page_count") ?? 0
        let free = try Int64.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0
        return (pages - free) * (try Int64.fetchOne(db, sql: "PRAGMA page_size") ?? 4_096)
    }

    private static func remove(_ removal: Removal, _ db: Database) throws {
        if removal.isSamplesOnly { return try removeSamples(removal, db) }
        try db.execute(
            sql: "DELETE FROM chunk WHERE tier = ? AND family IN (\(ChunkTable.familyList)) AND span_ms = ?",
            arguments: [removal.tier.rawValue, removal.span])
        try db.execute(
            sql: "DELETE FROM span WHERE tier = ? AND span_ms = ?", arguments: [removal.tier.rawValue, removal.span])
        try raiseMark(removedMark(of: removal.tier), to: removal.end, db)
    }

    private static func removeSamples(_ removal: Removal, _ db: Database) throws {
        let place: StatementArguments = [removal.tier.rawValue, KeyFamily.requests.rawValue, removal.span]
        let rows = "FROM chunk WHERE tier = ? AND family = ? AND span_ms = ?"
        let bytes = try Int.fetchOne(
            db, sql: "SELECT sum(length(totals) + length(body) + \(ChunkTable.rowBytes)) \(rows)", arguments: place)
        try db.execute(sql: "DELETE \(rows)", arguments: place)
        try ChunkTable.account(
            -(bytes ?? 0), tier: removal.tier, span: UnixTime(milliseconds: removal.span), isReplacing: false, db)
        try raiseMark(removedSamplesMark(of: removal.tier), to: removal.end, db)
    }

    private static func raiseMark(_ name: String, to value: Int64, _ db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO mark VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)
                """, arguments: [name, value])
    }

    /// Forgets keys whose last chunk is gone.
    private func removeUnusedKeys(now: UnixTime) async throws {
        let pool = pool
        let limits = limits
        let stale = try await pool.read { db in try KeyTable.staleIDs(now: now, limits, db) }
        let waiting = Set(pending.flatMap { $0.parts.map(\.keyID) })
        let unused = stale.filter { id in
            id < keys.idCount && keys.keys[id] != nil && !isHot(id) && !waiting.contains(id)
        }
        guard !unused.isEmpty else { return }
        try await pool.write { db in try KeyTable.delete(unused, db) }
        // A scrape may have brought one back while the rows went.
        let wanted = Set(pending.flatMap { $0.parts.map(\.keyID) })
        keys.markUnsaved(unused.filter { isHot($0) || wanted.contains($0) })
        keys.remove(unused.filter { !isHot($0) && !wanted.contains($0) })
    }

    private func isHot(_ id: Int) -> Bool { id < hot.count && !hot[id].isEmpty }
}
