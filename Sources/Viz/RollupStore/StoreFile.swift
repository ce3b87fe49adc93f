import Foundation
import GRDB
import Logging

/// Opens the SQLite file, checks it, and sets a corrupt one aside.
enum StoreFile {
    /// Files up to this size are checked before they are used; larger ones meanwhile.
    static let checkedAtOpenBytesMax: Int64 = 64 << 20

    /// A chunk of an hour takes some 1,300 bytes. In pages of 4 KiB the trees of tables without rowids keep a quarter of
    /// a page at most in one place, and give each such row a page of its own besides: three times the file.
    static let pageBytes = 16 << 10
    /// Files up to this size get pages of that size when they are opened: seconds, once.
    private static let repagedBytesMax: Int64 = 1 << 30

    /// Rewrites a file of an earlier version, which has pages of 4 KiB. One that cannot be (no room, damage) is used as
    /// it is: everything works, in more bytes.
    private static func repage(_ path: String) {
        guard size(path) > 0, size(path) <= repagedBytesMax else { return }
        do {
            let queue = try DatabaseQueue(path: path)
            try queue.writeWithoutTransaction { db in
                guard try Int.fetchOne(db, sql: "PRAGMA page_size") != pageBytes else { return }
                try db.execute(sql: "PRAGMA journal_mode = DELETE")
                try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
                try db.execute(sql: "PRAGMA page_size = \(pageBytes)")
                try db.execute(sql: "VACUUM")
            }
            try queue.close()
        } catch {
            // Whatever is wrong with the file is found, and told, by what opens it next.
            return
        }
    }

    /// Opens and migrates the file at `path`.
    ///
    /// - Throws: `DatabaseError`; `isCorruption` tells whether setting the file aside would help.
    static func open(_ path: String, pageCountMax: Int?) throws -> DatabasePool {
        repage(path)
        var configuration = Configuration()
        configuration.label = "rollups"
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase { db in
            // Heeded by an empty file only, and before it turns to its write-ahead log.
            try db.execute(sql: "PRAGMA page_size = \(pageBytes)")
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            try db.execute(sql: "PRAGMA journal_size_limit = 33554432")
            if !db.configuration.readonly {
                try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
                if let pageCountMax { try db.execute(sql: "PRAGMA max_page_count = \(pageCountMax)") }
            }
        }
        let pool = try DatabasePool(path: path, configuration: configuration)
        try Schema.migrator.migrate(pool)
        return pool
    }

    /// Reads every page and checks the structure.
    ///
    /// - Throws: `DatabaseError` that `isCorruption` recognises, with what SQLite found first.
    static func check(_ db: Database) throws {
        let findings = try String.fetchAll(db, sql: "PRAGMA quick_check(1)")
        guard findings == ["ok"] else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: findings.first ?? "quick_check said nothing")
        }
    }

    /// Bytes of the file at `path`; 0 when there is none.
    static func size(_ path: String) -> Int64 {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)  // No file is no bytes.
        return (attributes?[.size] as? NSNumber)?.int64Value ?? 0
    }

    /// Whether `error` says that the file's content, not its surroundings, is broken.
    static func isCorruption(_ error: any Error) -> Bool {
        guard let error = error as? DatabaseError else { return false }
        return error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB
    }

    /// Whether `error` says that there is no room to write.
    static func isFull(_ error: any Error) -> Bool {
        guard let error = error as? DatabaseError else { return false }
        return error.resultCode == .SQLITE_FULL
    }

    /// Renames the file and its WAL to the first free `<name>.corrupt-<n>`.
    ///
    /// - Returns: The new path.
    static func setAside(_ path: String) throws -> String {
        let files = FileManager.default
        var number = 1
        while files.fileExists(atPath: "\(path).corrupt-\(number)") { number += 1 }
        let aside = "\(path).corrupt-\(number)"
        try files.moveItem(atPath: path, toPath: aside)
        for suffix in ["-wal", "-shm"] where files.fileExists(atPath: path + suffix) {
            try files.moveItem(atPath: path + suffix, toPath: aside + suffix)
        }
        try removeOldAsides(path, upTo: number - asidesMax)
        return aside
    }

    /// Corrupt files kept for whoever wants to look; a broken disk must not fill itself with them.
    static let asidesMax = 2

    private static func removeOldAsides(_ path: String, upTo last: Int) throws {
        guard last > 0 else { return }
        for number in 1...last {
            for suffix in ["", "-wal", "-shm"] {
                let old = "\(path).corrupt-\(number)\(suffix)"
                if FileManager.default.fileExists(atPath: old) { try FileManager.default.removeItem(atPath: old) }
            }
        }
    }
}
