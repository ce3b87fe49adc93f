// The state of the cluster: one table of objects and one log of their changes, numbered by one counter,
// the resourceVersion. A list is a query on the first; a watch is a query on the second and then what the
// hub hands out. The log is bounded: a watch that asks for older changes is told to list again (410).

import Foundation
import GRDB
import Logging
import MeshModel
import Synchronization

/// SQLite file in WAL mode with one writer; schema in `StoreSchema.swift`.
final class ObjectStore: Sendable {
    /// Changes the log keeps at least; older ones are compacted away.
    static let logEventsMin: Int64 = 4_096
    /// Changes after which the log is compacted; it never holds more than the sum of both.
    static let compactionStep: Int64 = 1_024

    let hub = WatchHub()
    private let pool: DatabasePool
    private let logger: Logger

    /// Opens, or makes, the file. A damaged file is set aside as `<path>.corrupt-<n>` and reported.
    ///
    /// - Parameter bytesMax: What the file may grow to.
    init(path: String, bytesMax: Int, logger: Logger) throws {
        self.logger = logger
        do {
            pool = try Self.open(path, bytesMax: bytesMax)
        } catch let error as DatabaseError where Self.isCorruption(error) {
            let aside = try Self.setAside(path)
            logger.error(
                "State file was damaged and set aside", metadata: ["path": "\(aside)", "cause": "\(error)"])
            pool = try Self.open(path, bytesMax: bytesMax)
        }
    }

    /// SQLite's default page, in bytes.
    private static let pageBytes = 4_096

    private static func open(_ path: String, bytesMax: Int) throws -> DatabasePool {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        configuration.maximumReaderCount = 4
        configuration.label = "cluster-state"
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            try db.execute(sql: "PRAGMA max_page_count = \(max(1, bytesMax / pageBytes))")
        }
        let pool = try DatabasePool(path: path, configuration: configuration)
        try pool.write { db in
            let verdict = try String.fetchOne(db, sql: "PRAGMA quick_check(1)")
            guard verdict == "ok" else { throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: verdict) }
        }
        try StoreSchema.migrator.migrate(pool)
        return pool
    }

    private static func isCorruption(_ error: DatabaseError) -> Bool {
        error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB
    }

    /// Renames the file and what belongs to it; gives the new path.
    private static func setAside(_ path: String) throws -> String {
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

    /// Reads one consistent state.
    ///
    /// - Throws: what `body` throws; the database's failures as `StatusError` 500 or 507.
    func read<T: Sendable>(_ body: @Sendable (StoreReader) throws -> T) async throws -> T {
        try await Self.mappingFailures { try await self.pool.read { db in try body(StoreReader(db: db)) } }
    }

    /// Changes state in one transaction; watchers hear of it once it is committed, in commit order.
    ///
    /// - Parameter isDryRun: Runs everything and keeps nothing.
    func write<T: Sendable>(isDryRun: Bool = false, _ body: @Sendable (StoreWriter) throws -> T) async throws
        -> T
    {
        try await Self.mappingFailures {
            try await self.pool.writeWithoutTransaction { db in
                var result: T?
                try db.inTransaction(.immediate) {
                    let writer = StoreWriter(db: db)
                    result = try body(writer)
                    if isDryRun { return .rollback }
                    let events = writer.events
                    guard !events.isEmpty else { return .commit }
                    try writer.compactIfDue()
                    db.afterNextTransaction { [hub = self.hub] _ in hub.publish(events) }
                    return .commit
                }
                guard let result else { throw StatusError.internalError("the transaction gave no result") }
                return result
            }
        }
    }

    /// Ends all watches.
    func close() { hub.close() }

    private static func mappingFailures<T>(_ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as DatabaseError {
            switch error.resultCode {
            case .SQLITE_FULL:
                throw StatusError(
                    code: 507, reason: "InsufficientStorage",
                    message: "the disk that holds the cluster's state is full; nothing was changed")
            case .SQLITE_BUSY: throw StatusError.unavailable("the cluster's state is busy; try again")
            default:
                throw StatusError.internalError("cluster state: \(error.resultCode) \(error.message ?? "")")
            }
        }
    }
}
