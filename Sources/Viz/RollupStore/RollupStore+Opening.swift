import Foundation
import GRDB
import Logging
public import MeshRollup

extension RollupStore {
    /// What the file remembers.
    struct Content: Sendable {
        var keys = KeyTable()
        var closedUpTo: UnixTime?
        var nextSequence: Int64 = 1
        var cursors: [String: SeriesCursor] = [:]
        var parts: [JournalCodec.Part] = []
        /// Chunks before it are gone, by tier, because of a byte budget or of age.
        var removedUpTo: [Tier: UnixTime] = [:]
        /// The same for sampled requests alone.
        var removedSamplesUpTo: [Tier: UnixTime] = [:]
        var exemplarMarks = ExemplarMarks()
    }

    struct Opened {
        let pool: DatabasePool
        let content: Content
        let setAside: [String]
    }

    static func openOrReplace(_ path: String, pageCountMax: Int?, logger: Logger) throws -> Opened {
        do {
            let pool = try StoreFile.open(path, pageCountMax: pageCountMax)
            if StoreFile.size(path) <= StoreFile.checkedAtOpenBytesMax { try pool.read(StoreFile.check) }
            return Opened(pool: pool, content: try pool.read { try load($0) }, setAside: [])
        } catch {
            guard StoreFile.isCorruption(error) else { throw error }
            let aside = try StoreFile.setAside(path)
            let pool = try StoreFile.open(path, pageCountMax: pageCountMax)
            let salvaged = StoreSalvage(aside: aside, pool: pool, logger: logger).run()
            logger.warning(
                "Rollup store was corrupt, starting a new one with what could be read",
                metadata: [
                    "file": "\(path)", "kept": "\(aside)", "error": "\(error)", "chunks": "\(salvaged.chunks)",
                    "damaged_spans": "\(salvaged.damagedSpans)", "cursors": "\(salvaged.hasCursors)",
                    "cut_short": "\(salvaged.isCutShort)",
                ])
            return Opened(pool: pool, content: try pool.read { try load($0) }, setAside: [aside])
        }
    }

    private static func load(_ db: Database) throws -> Content {
        var content = Content()
        content.keys = try KeyTable.load(db)
        if let mark = try Int64.fetchOne(db, sql: "SELECT value FROM mark WHERE name = 'closed_up_to_ms'") {
            content.closedUpTo = UnixTime(milliseconds: mark)
        }
        for tier in Tier.allCases {
            func mark(_ name: String) throws -> UnixTime? {
                try Int64.fetchOne(db, sql: "SELECT value FROM mark WHERE name = ?", arguments: [name])
                    .map { UnixTime(milliseconds: $0) }
            }
            content.removedUpTo[tier] = try mark(removedMark(of: tier))
            content.removedSamplesUpTo[tier] = try mark(removedSamplesMark(of: tier))
        }
        content.exemplarMarks = try ExemplarTable.marks(db)
        content.nextSequence = (try Int64.fetchOne(db, sql: "SELECT max(sequence) FROM journal") ?? 0) + 1
        let bases = try Row.fetchCursor(db, sql: "SELECT pod, base FROM cursor")
        while let row = try bases.next() {
            // A cursor that does not decode is a pod seen for the first time.
            if let cursor = try? SeriesCursor(base: [UInt8](row[1] as Data)) {
                content.cursors[row[0]] = cursor
            }
        }
        let closedUpTo = content.closedUpTo ?? UnixTime(milliseconds: 0)
        let journal = try Row.fetchCursor(db, sql: "SELECT pod, step, deltas FROM journal ORDER BY sequence")
        while let row = try journal.next() {
            let pod: String = row[0]
            let step = [UInt8](row[1] as Data)
            if content.cursors[pod] != nil, !step.isEmpty,
                (try? content.cursors[pod]?.apply(step: step)) == nil
            {
                content.cursors[pod] = nil
            }
            // Parts of a row that does not decode are lost; the cursor is beyond them.
            if let parts = try? JournalCodec.decode([UInt8](row[2] as Data)) {
                content.parts += parts.filter { $0.bucket >= closedUpTo }
            }
        }
        return content
    }

    static func removedMark(of tier: Tier) -> String { "removed_up_to_ms_\(tier.rawValue)" }

    static func removedSamplesMark(of tier: Tier) -> String { "removed_samples_up_to_ms_\(tier.rawValue)" }

    /// Checks the whole file beside the work, if opening it did not: seconds for a large one. To be called once,
    /// soon after the start. A corrupt file is set aside, and the store goes on from memory.
    public func verify(now: UnixTime) async {
        guard StoreFile.size(path) > StoreFile.checkedAtOpenBytesMax else {
            status.integrity = .intact
            return
        }
        status.integrity = .checking
        do {
            let pool = pool
            try await pool.read(StoreFile.check)
            status.integrity = .intact
        } catch {
            status.integrity = StoreFile.isCorruption(error) ? .replaced : .unknown
            failed(error, now: now)
        }
    }

    /// Sets the file aside while running, and goes on with a new one from what memory holds.
    func replaceCorruptFile(_ error: any Error) {
        do {
            try pool.close()
        } catch {
            logger.warning("Corrupt rollup store did not close", metadata: ["error": "\(error)"])
        }
        do {
            let aside = try StoreFile.setAside(path)
            logger.error(
                "Rollup store became corrupt, going on with a new one",
                metadata: ["file": "\(path)", "kept": "\(aside)", "error": "\(error)"])
            pool = try StoreFile.open(path, pageCountMax: pageCountMax)
            status.filesSetAside.append(aside)
            status.integrity = .replaced
            removedUpTo = [:]
            removedSamplesUpTo = [:]
            exemplarMarks = ExemplarMarks()
            keys.markAllUnsaved()
            nextSequence = 1
            podsWantingBase = knownPods
            try pool.write { [closedUpTo] db in try Self.writeMark(closedUpTo: closedUpTo, db) }
        } catch {
            logger.error("Corrupt rollup store could not be replaced", metadata: ["error": "\(error)"])
        }
    }
}
