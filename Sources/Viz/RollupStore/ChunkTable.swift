import Foundation
import GRDB
import MeshRollup

/// Reads and writes rows of `chunk` and `span`. All functions run inside a transaction of the caller.
enum ChunkTable {
    /// All families for an `IN`: the key of the table begins with tier and family.
    static let familyList = KeyFamily.allCases.map { String($0.rawValue) }.joined(separator: ", ")
    /// Bytes that SQLite needs for a row besides the two blobs: header, key and cell pointer.
    static let rowBytes = 24

    struct Encoded: Sendable {
        let family: KeyFamily
        let keyID: Int
        let totals: [UInt8]
        let body: [UInt8]
    }

    /// Writes chunks of one span, replacing what is there.
    static func replace(_ chunks: [Encoded], tier: Tier, span: UnixTime, _ db: Database) throws {
        for chunk in chunks { try put(chunk, tier, span, db) }
    }

    /// Adds `buckets` (by index within the span) to a chunk, which is made when there is none.
    ///
    /// - Returns: How many bytes the chunk grew by.
    static func add(
        _ buckets: [(index: Int, rollup: Rollup)], tier: Tier, span: UnixTime, family: KeyFamily, keyID: Int,
        isSibling: Bool, _ db: Database
    ) throws -> Int {
        let existing = try Row.fetchOne(
            db.cachedStatement(
                sql:
                    "SELECT totals, body FROM chunk WHERE tier = ? AND family = ? AND span_ms = ? AND key_id = ?"
            ),
            arguments: [tier.rawValue, family.rawValue, span.milliseconds, keyID])
        var chunk = Chunk()
        var oldBytes = -rowBytes
        if let existing {
            let totals = [UInt8](existing[0] as Data)
            let body = [UInt8](existing[1] as Data)
            oldBytes = totals.count + body.count
            // A chunk that does not decode is replaced by what is known now.
            if let kept = try? Chunk(body: body, totals: totals, bucketsMax: tier.bucketsPerSpan) {
                chunk = kept
            }
        }
        for bucket in buckets {
            if isSibling {
                chunk.combine(bucket.rollup, at: bucket.index)
            } else {
                chunk.append(bucket.rollup, at: bucket.index)
            }
        }
        let encoded = Encoded(
            family: family, keyID: keyID, totals: chunk.totals.encoded(), body: chunk.encodedBody())
        try put(encoded, tier, span, db)
        return encoded.totals.count + encoded.body.count - oldBytes
    }

    /// Sets or grows the bytes of a span.
    static func account(_ bytes: Int, tier: Tier, span: UnixTime, isReplacing: Bool, _ db: Database) throws {
        let update = isReplacing ? "bytes = excluded.bytes" : "bytes = bytes + excluded.bytes"
        try db.cachedStatement(
            sql: "INSERT INTO span VALUES (?, ?, ?) ON CONFLICT (tier, span_ms) DO UPDATE SET \(update)"
        ).execute(arguments: [tier.rawValue, span.milliseconds, bytes])
    }

    private static func put(_ chunk: Encoded, _ tier: Tier, _ span: UnixTime, _ db: Database) throws {
        try db.cachedStatement(sql: "INSERT OR REPLACE INTO chunk VALUES (?, ?, ?, ?, ?, ?)")
            .execute(arguments: [
                tier.rawValue, chunk.family.rawValue, span.milliseconds, chunk.keyID, Data(chunk.totals),
                Data(chunk.body),
            ])
    }
}
