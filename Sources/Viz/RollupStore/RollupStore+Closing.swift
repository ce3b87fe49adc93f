import Foundation
import GRDB
public import MeshRollup

extension RollupStore {
    /// Keys packed and written in one transaction of closing.
    static let closeBatchRows = 2_000
    /// Spans closed by one step of maintenance; more than one only after a pause.
    static let closedSpansPerStep = 60

    /// Closes spans that ended, removes what is too old or too much, and trims memory.
    ///
    /// To be called every few seconds; each call does a bounded amount of work.
    public func maintain(now: UnixTime) async {
        await closeSpans(now: now)
        trimMemory(now: now)
        await maintainExemplars(now: now)
        await removeOldSpans(now: now)
    }

    private func closeSpans(now: UnixTime) async {
        for _ in 0..<Self.closedSpansPerStep {
            guard await closeNextSpan(now: now) else { return }
        }
    }

    /// - Returns: Whether there may be more to close.
    private func closeNextSpan(now: UnixTime) async -> Bool {
        let length = Tier.tenSeconds.spanMilliseconds
        let limit = now.advanced(by: -Self.closeDelayMilliseconds).floored(to: length)
        guard closedUpTo < limit, !isWriting else { return false }
        let span = firstSpanWithData(before: limit)
        let end = min(span.advanced(by: length), limit)
        guard isCommitted(upTo: end) else { return false }
        isWriting = true
        defer { isWriting = false }
        // A copy of what memory holds now: later scrapes of this span arrive as late ones.
        let packer = SpanPacker(hot: hot, keys: keys, window: Window(from: span, to: end))
        do {
            var bytes = 0
            for start in stride(from: 0, to: packer.hot.count, by: Self.closeBatchRows) {
                let batch = await packer.chunks(of: start..<start + Self.closeBatchRows)
                guard !batch.isEmpty else { continue }
                try await pool.write { db in
                    try ChunkTable.replace(batch, tier: .tenSeconds, span: span, db)
                    try KeyTable.touch(batch.map { ($0.keyID, $0.family) }, seen: end, db)
                }
                bytes += batch.reduce(0) { $0 + $1.totals.count + $1.body.count + ChunkTable.rowBytes }
            }
            let total = bytes
            let folds = total > 0 ? await packer.folds() : []
            try await pool.write { db in
                try Self.finishClosing(span, end: end, bytes: total, folds: folds, db)
            }
            closedUpTo = end
            status.isWritable = true
            return true
        } catch {
            failed(error, now: now)
            return false
        }
    }

    /// Whether everything before `end` is in the file. What is not would be counted again after a crash, by its chunk
    /// and by the next scrape. Newer records may wait: in a large mesh there are always some.
    private func isCommitted(upTo end: UnixTime) -> Bool {
        guard podsWantingBase.isEmpty, !pending.contains(where: { $0.bucketMin < end }) else { return false }
        return keys.unsavedIDs.allSatisfy { id in
            guard id < hot.count, let oldest = hot[id].oldest(from: closedUpTo) else { return true }
            return oldest >= end
        }
    }

    /// The first span not yet closed that has anything; `limit` when none has.
    private func firstSpanWithData(before limit: UnixTime) -> UnixTime {
        var first = limit
        for series in hot {
            guard let oldest = series.oldest(from: closedUpTo) else { continue }
            first = min(first, oldest)
        }
        return max(closedUpTo, first.floored(to: Tier.tenSeconds.spanMilliseconds))
    }

    private static func finishClosing(
        _ span: UnixTime, end: UnixTime, bytes: Int, folds: [SpanPacker.Fold], _ db: Database
    ) throws {
        guard bytes > 0 else { return try writeMark(closedUpTo: end, db) }
        try ChunkTable.account(bytes, tier: .tenSeconds, span: span, isReplacing: true, db)
        let hourSpan = span.floored(to: Tier.minute.spanMilliseconds)
        let daySpan = span.floored(to: Tier.hour.spanMilliseconds)
        let hourIndex = Int(span.since(daySpan) / Tier.hour.bucketMilliseconds)
        var minuteBytes = 0
        var hourBytes = 0
        for fold in folds {
            minuteBytes += try ChunkTable.add(
                fold.minutes, tier: .minute, span: hourSpan, family: fold.family, keyID: fold.keyID,
                isSibling: false, db)
            hourBytes += try ChunkTable.add(
                [(hourIndex, fold.hour)], tier: .hour, span: daySpan, family: fold.family, keyID: fold.keyID,
                isSibling: false, db)
        }
        try ChunkTable.account(minuteBytes, tier: .minute, span: hourSpan, isReplacing: false, db)
        try ChunkTable.account(hourBytes, tier: .hour, span: daySpan, isReplacing: false, db)
        try KeyTable.touch(folds.map { ($0.keyID, $0.family) }, seen: end, db)
        try writeMark(closedUpTo: end, db)
        try db.execute(
            sql: "DELETE FROM journal WHERE bucket_max_ms < ? AND pod NOT IN (SELECT pod FROM cursor)",
            arguments: [end.milliseconds])
    }

    static func writeMark(closedUpTo: UnixTime, _ db: Database) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO mark VALUES ('closed_up_to_ms', ?)",
            arguments: [closedUpTo.milliseconds])
    }

    private func trimMemory(now: UnixTime) {
        var limit = now.advanced(by: -Self.hotMilliseconds).floored(to: Tier.tenSeconds.bucketMilliseconds)
        // What is not on disk yet stays, unless the disk is not to be had.
        if status.isWritable { limit = min(limit, closedUpTo) }
        // Trimming costs a copy per key, so it is done a minute at a time.
        guard limit.since(hotFrom) >= 60_000 else { return }
        hotFrom = limit
        for id in hot.indices where !hot[id].isEmpty { hot[id].trim(before: limit) }
    }
}
