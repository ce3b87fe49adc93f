import Foundation
import GRDB
import Logging
import MeshRollup

/// Rebuilds what can be read of a corrupt file in a new one: keys first, then history from the coarsest tier and
/// the newest span on. Cursors and journal come only whole: half a chain of steps would miscount.
struct StoreSalvage {
    /// What was brought over.
    struct Result: Sendable, Equatable {
        var chunks = 0
        var damagedSpans = 0
        var hasCursors = false
        /// Whether time ran out before the oldest span.
        var isCutShort = false
    }

    /// Time for it: pods are not ready meanwhile.
    static let timeout: Duration = .seconds(20)

    let aside: String
    let pool: DatabasePool
    let logger: Logger

    /// Copies; never throws, since the new file is good without it too.
    func run() -> Result {
        var result = Result()
        do {
            try pool.writeWithoutTransaction { db in
                try db.execute(sql: "ATTACH DATABASE ? AS old", arguments: [aside])
                defer { detach(db) }
                try copy(db, &result)
            }
        } catch {
            logger.warning("Corrupt rollup store could not be read", metadata: ["file": "\(aside)", "error": "\(error)"])
        }
        return result
    }

    private func detach(_ db: Database) {
        do {
            try db.execute(sql: "DETACH DATABASE old")
        } catch {
            logger.debug("Corrupt rollup store stays attached", metadata: ["error": "\(error)"])
        }
    }

    private func copy(_ db: Database, _ result: inout Result) throws {
        let tables = try String.fetchAll(db, sql: "SELECT name FROM old.sqlite_master WHERE name LIKE '%_key'")
        for table in tables {
            let columns = try String.fetchAll(db, sql: "SELECT name FROM old.pragma_table_info(?)", arguments: [table])
            let list = columns.joined(separator: ", ")
            // Without all the keys, rows of chunks could be taken for somebody else's later.
            try db.execute(sql: "INSERT OR REPLACE INTO main.\(table) (\(list)) SELECT \(list) FROM old.\(table)")
        }
        let deadline = ContinuousClock.now + Self.timeout
        for tier in Tier.allCases.reversed() {
            let spans = try Int64.fetchAll(
                db, sql: "SELECT span_ms FROM old.span WHERE tier = ? ORDER BY span_ms DESC", arguments: [tier.rawValue])
            for span in spans {
                guard ContinuousClock.now < deadline else {
                    result.isCutShort = true
                    break
                }
                copySpan(db, tier, span, &result)
            }
        }
        copyCursors(db, &result)
        copyExemplars(db)
    }

    /// Files of earlier schemas have none.
    private func copyExemplars(_ db: Database) {
        do {
            try db.execute(sql: "INSERT OR REPLACE INTO main.exemplar SELECT * FROM old.exemplar")
        } catch {
            logger.info("Exemplars could not be salvaged", metadata: ["error": "\(error)"])
        }
    }

    private func copySpan(_ db: Database, _ tier: Tier, _ span: Int64, _ result: inout Result) {
        do {
            try db.inSavepoint {
                try db.execute(
                    sql: """
                        INSERT OR REPLACE INTO main.chunk SELECT * FROM old.chunk
                        WHERE tier = ? AND family IN (\(ChunkTable.familyList)) AND span_ms = ?
                        """, arguments: [tier.rawValue, span])
                result.chunks += db.changesCount
                try db.execute(
                    sql: "INSERT OR REPLACE INTO main.span SELECT * FROM old.span WHERE tier = ? AND span_ms = ?",
                    arguments: [tier.rawValue, span])
                return .commit
            }
        } catch {
            result.damagedSpans += 1
        }
    }

    private func copyCursors(_ db: Database, _ result: inout Result) {
        do {
            try db.inSavepoint {
                for table in ["cursor", "journal", "mark"] {
                    try db.execute(sql: "INSERT OR REPLACE INTO main.\(table) SELECT * FROM old.\(table)")
                }
                return .commit
            }
            result.hasCursors = true
        } catch {
            logger.info("Cursors could not be salvaged: pods are seen anew", metadata: ["error": "\(error)"])
        }
    }
}
