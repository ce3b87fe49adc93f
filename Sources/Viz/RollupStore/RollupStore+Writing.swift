import Foundation
import GRDB
import Logging
public import MeshRollup

extension RollupStore {
    /// One transaction's worth of records, with keys turned into numbers.
    struct Batch: Sendable {
        struct Late: Sendable {
            let family: KeyFamily
            let keyID: Int
            let rolledUpID: Int
            let bucket: UnixTime
            let rollup: Rollup
        }
        struct Entry: Sendable {
            let record: PendingRecord
            let bucketMax: UnixTime
            let deltas: [UInt8]
        }

        var newKeys: [(id: Int, key: RollupKey)] = []
        var entries: [Entry] = []
        var late: [Late] = []
        var forgotten: [String] = []
        var sequence: Int64
        let closedUpTo: UnixTime
        let now: UnixTime
    }

    /// Commits everything pending in one transaction; on failure it stays pending.
    public func flush(now: UnixTime) async {
        guard !isWriting, !(pending.isEmpty && forgottenPods.isEmpty) else { return }
        isWriting = true
        defer { isWriting = false }
        let records = pending
        let bytes = pendingBytes
        let forgotten = forgottenPods
        pending = []
        pendingBytes = 0
        forgottenPods = []
        let batch = makeBatch(records, forgotten: forgotten, now: now)
        do {
            try await pool.write { db in try Self.write(batch, db) }
            nextSequence = batch.sequence + Int64(batch.entries.count)
            keys.markSaved(Set(batch.newKeys.map(\.id)))
            if !status.isWritable {
                logger.info("Rollup store is writable again", metadata: ["file": "\(path)"])
            }
            status.isWritable = true
        } catch {
            pending = records + pending
            pendingBytes += bytes
            forgottenPods = forgotten + forgottenPods
            failed(error, now: now)
        }
    }

    /// Counts and reports a failed transaction; a corrupt file is replaced.
    func failed(_ error: any Error, now: UnixTime) {
        status.failedCommits += 1
        status.isWritable = false
        if StoreFile.isCorruption(error) {
            replaceCorruptFile(error)
        } else if StoreFile.isFull(error) {
            warn("Disk is full: rollups are kept in memory only", error, now: now)
        } else {
            warn("Rollups could not be written and stay in memory", error, now: now)
        }
    }

    private func makeBatch(_ records: [PendingRecord], forgotten: [String], now: UnixTime) -> Batch {
        var batch = Batch(sequence: nextSequence, closedUpTo: closedUpTo, now: now)
        batch.forgotten = forgotten
        for record in records {
            var parts: [JournalCodec.Part] = []
            var bucketMax = UnixTime(milliseconds: 0)
            for part in record.parts {
                bucketMax = max(bucketMax, part.bucket)
                if part.bucket >= closedUpTo {
                    parts.append(part)
                } else if let key = keys.keys[part.keyID] {
                    batch.late.append(
                        Batch.Late(
                            family: key.family, keyID: part.keyID, rolledUpID: keys.rolledUpIDs[part.keyID],
                            bucket: part.bucket, rollup: part.rollup))
                }
            }
            batch.entries.append(
                Batch.Entry(record: record, bucketMax: bucketMax, deltas: JournalCodec.encode(parts)))
        }
        batch.newKeys = keys.unsavedIDs.compactMap { id in keys.keys[id].map { (id, $0) } }
        return batch
    }

    private static func write(_ batch: Batch, _ db: Database) throws {
        try KeyTable.save(batch.newKeys, seen: batch.now, db)
        var sequence = batch.sequence
        for entry in batch.entries {
            try db.cachedStatement(sql: "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)")
                .execute(arguments: [
                    sequence, entry.record.pod, entry.record.at.milliseconds, entry.bucketMax.milliseconds,
                    Data(entry.record.base == nil ? entry.record.step : []), Data(entry.deltas),
                ])
            sequence += 1
            guard let base = entry.record.base else { continue }
            try db.cachedStatement(sql: "INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)")
                .execute(arguments: [entry.record.pod, entry.record.at.milliseconds, Data(base)])
            try db.cachedStatement(
                sql: "DELETE FROM journal WHERE pod = ? AND at_ms <= ? AND bucket_max_ms < ?"
            )
            .execute(arguments: [
                entry.record.pod, entry.record.at.milliseconds, batch.closedUpTo.milliseconds,
            ])
            // The base holds what these steps did; only their counts are still needed.
            try db.cachedStatement(sql: "UPDATE journal SET step = x'' WHERE pod = ? AND at_ms < ? AND step <> x''")
                .execute(arguments: [entry.record.pod, entry.record.at.milliseconds])
        }
        for pod in batch.forgotten {
            try db.cachedStatement(sql: "DELETE FROM cursor WHERE pod = ?").execute(arguments: [pod])
        }
        try writeLate(batch.late, db)
    }

    /// Adds counts of closed spans to the chunks of every tier.
    private static func writeLate(_ late: [Batch.Late], _ db: Database) throws {
        for part in late {
            for tier in Tier.allCases {
                var rollup = part.rollup
                // The gauge of one pod says nothing about its workload at that time.
                if !tier.keepsPods { rollup.openConnections = nil }
                guard !rollup.isEmpty else { continue }
                let span = part.bucket.floored(to: tier.spanMilliseconds)
                let index = Int(part.bucket.since(span) / tier.bucketMilliseconds)
                let grown = try ChunkTable.add(
                    [(index, rollup)], tier: tier, span: span, family: part.family,
                    keyID: tier.keepsPods ? part.keyID : part.rolledUpID, isSibling: false, db)
                try ChunkTable.account(grown, tier: tier, span: span, isReplacing: false, db)
            }
        }
    }
}
