import Foundation
import GRDB
public import MeshRollup

/// What can be done with a store's file while metrics-api writes to it, or without it: look, check, copy.
public enum StoreTools {
    /// What a file holds.
    public struct Summary: Sendable, Equatable {
        /// Bytes of the file and its write-ahead log.
        public var fileBytes: Int64 = 0
        /// Names of the migrations that ran.
        public var migrations: [String] = []
        /// Chunks, by tier.
        public var chunks: [Tier: Int] = [:]
        /// Bytes of chunks, by tier.
        public var chunkBytes: [Tier: Int64] = [:]
        /// Start of the oldest span, by tier.
        public var oldest: [Tier: UnixTime] = [:]
        /// Objects, edges and so on that have a number.
        public var keys = 0
        /// Pods with a cursor.
        public var cursors = 0
        /// Chunks that do not decode or do not add up; filled by `check`.
        public var damagedChunks = 0
        /// What SQLite found first; empty when the structure is sound. Filled by `check`.
        public var finding = ""

        /// Whether `check` found nothing.
        public var isSound: Bool { finding.isEmpty && damagedChunks == 0 }
    }

    /// Tells what the file holds.
    ///
    /// - Throws: `StoreError` when there is no such file, `DatabaseError` when it cannot be read.
    public static func summary(of path: String) throws -> Summary {
        try open(path).read { db in try summarize(path, db) }
    }

    /// Reads every page and unpacks every chunk: structure, checksums, and totals against buckets.
    public static func check(_ path: String) throws -> Summary {
        try open(path).read { db in
            let findings = try String.fetchAll(db, sql: "PRAGMA quick_check(1)")
            guard findings == ["ok"] else {
                var summary = Summary()
                summary.fileBytes = StoreFile.size(path)
                summary.finding = findings.first ?? "quick_check said nothing"
                return summary
            }
            var summary = try summarize(path, db)
            summary.damagedChunks = try damagedChunks(db)
            return summary
        }
    }

    /// Copies the file as it is at one moment, without disturbing its writer, and checks the copy.
    ///
    /// - Throws: `StoreError` when there is no such file, when the target exists, or when the copy is not sound.
    public static func backUp(_ path: String, to target: String) throws -> Summary {
        guard !FileManager.default.fileExists(atPath: target) else {
            throw StoreError(.badCopy, path: target, "\(target) exists: give a new name, or remove it first")
        }
        try open(path).writeWithoutTransaction { db in
            try db.execute(sql: "VACUUM INTO ?", arguments: [target])
        }
        let summary = try check(target)
        guard summary.isSound else {
            throw StoreError(.badCopy, path: target, "the copy is damaged (\(summary.finding)): check \(path) too")
        }
        return summary
    }

    /// A connection that leaves the write-ahead log to the writer.
    private static func open(_ path: String) throws -> DatabaseQueue {
        guard FileManager.default.fileExists(atPath: path) else {
            throw StoreError(.missing, path: path, "there is no \(path): name the store's file with --store")
        }
        var configuration = Configuration()
        configuration.label = "rollups-tool"
        configuration.busyMode = .timeout(10)
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    private static func summarize(_ path: String, _ db: Database) throws -> Summary {
        var summary = Summary()
        summary.fileBytes = StoreFile.size(path) + StoreFile.size(path + "-wal")
        summary.migrations = try String.fetchAll(db, sql: "SELECT identifier FROM grdb_migrations ORDER BY rowid")
        for tier in Tier.allCases {
            summary.chunks[tier] = try Int.fetchOne(
                db, sql: "SELECT count(*) FROM chunk WHERE tier = ?", arguments: [tier.rawValue])
            summary.chunkBytes[tier] = try Int64.fetchOne(
                db, sql: "SELECT coalesce(sum(bytes), 0) FROM span WHERE tier = ?", arguments: [tier.rawValue])
            let oldest = try Int64.fetchOne(
                db, sql: "SELECT min(span_ms) FROM span WHERE tier = ?", arguments: [tier.rawValue])
            summary.oldest[tier] = oldest.map { UnixTime(milliseconds: $0) }
        }
        let tables = try String.fetchAll(db, sql: "SELECT name FROM sqlite_master WHERE name LIKE '%_key'")
        for table in tables { summary.keys += try Int.fetchOne(db, sql: "SELECT count(*) FROM \(table)") ?? 0 }
        summary.cursors = try Int.fetchOne(db, sql: "SELECT count(*) FROM cursor") ?? 0
        return summary
    }

    private static func damagedChunks(_ db: Database) throws -> Int {
        var damaged = 0
        let rows = try Row.fetchCursor(db, sql: "SELECT tier, totals, body FROM chunk")
        while let row = try rows.next() {
            let tier = Tier(rawValue: row[0])
            let isSound =
                (try? Chunk(
                    body: [UInt8](row[2] as Data), totals: [UInt8](row[1] as Data),
                    bucketsMax: tier?.bucketsPerSpan ?? 0)) != nil  // The count is the answer.
            if !isSound { damaged += 1 }
        }
        return damaged
    }
}
