import Foundation
import GRDB
import Logging

/// Opens the SQLite file, and sets a corrupt one aside.
enum StoreFile {
    /// Opens and migrates the file at `path`.
    ///
    /// - Throws: `DatabaseError`; `isCorruption` tells whether setting the file aside would help.
    static func open(_ path: String, pageCountMax: Int?) throws -> DatabasePool {
        var configuration = Configuration()
        configuration.label = "rollups"
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            if !db.configuration.readonly {
                try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
                if let pageCountMax { try db.execute(sql: "PRAGMA max_page_count = \(pageCountMax)") }
            }
        }
        let pool = try DatabasePool(path: path, configuration: configuration)
        try Schema.migrator.migrate(pool)
        return pool
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
        return aside
    }
}
