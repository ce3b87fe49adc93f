import GRDB
public import MeshRollup

// Exemplars: rows of their own beside the chunks, written once and thinned out as they age. Each destination keeps its
// slowest and its newest failures of every minute, and after some hours of every hour.

extension RollupStore {
    /// Slowest, and failed, requests kept of one destination in one minute or hour.
    static let exemplarsPerWindow = 5
    /// How long each minute keeps its own.
    static let exemplarMinutesMilliseconds: Int64 = 6 * 3_600_000
    /// Exemplars that wait for the file; beyond, the oldest are dropped.
    static let pendingExemplarsMax = 10_000

    /// How far exemplars were thinned out.
    struct ExemplarMarks: Sendable {
        var minute = UnixTime(milliseconds: 0)
        var hour = UnixTime(milliseconds: 0)
    }

    /// Takes in exemplars: visible at once, durable with the next `maintain`.
    public func ingest(_ exemplars: [RequestExemplar]) {
        pendingExemplars += exemplars
        let excess = pendingExemplars.count - Self.pendingExemplarsMax
        if excess > 0 { pendingExemplars.removeFirst(excess) }
    }

    /// The slowest and the failed requests of a window.
    ///
    /// - Throws: `DatabaseError` when the file cannot be read.
    public func exemplars(_ filter: ExemplarFilter, in window: Window) async throws -> ExemplarLists {
        let waiting = (pendingExemplars + writingExemplars).filter {
            window.contains($0.at) && filter.src.matches($0.src) && filter.dst.matches($0.dst)
        }
        let (condition, arguments) = ExemplarTable.condition(filter, window)
        let stored = try await pool.read { db in
            try ExemplarTable.rows(db, "\(condition) ORDER BY latency_us DESC LIMIT \(filter.limit)", arguments)
                + ExemplarTable.rows(db, "\(condition) AND is_failure ORDER BY at_ms DESC LIMIT \(filter.limit)", arguments)
        }
        return ExemplarLists(choosing: Array(Set(stored + waiting)), limit: filter.limit)
    }

    /// Writes what waits, thins out minutes that are over, and removes what is too old or too much.
    func maintainExemplars(now: UnixTime) async {
        guard !isWriting else { return }
        isWriting = true
        defer { isWriting = false }
        writingExemplars = pendingExemplars
        pendingExemplars = []
        defer { writingExemplars = [] }
        do {
            if !writingExemplars.isEmpty {
                try await pool.write { [writingExemplars] db in try ExemplarTable.insert(writingExemplars, db) }
            }
            try await thinExemplars(now: now)
        } catch {
            ingestAgain()
            failed(error, now: now)
        }
    }

    private func ingestAgain() {
        let later = pendingExemplars
        pendingExemplars = []
        ingest(writingExemplars + later)
    }

    private func thinExemplars(now: UnixTime) async throws {
        // A minute is over when batches of it cannot come any more.
        let minute = now.advanced(by: -60_000).floored(to: 60_000)
        let hour = now.advanced(by: -Self.exemplarMinutesMilliseconds).floored(to: 3_600_000)
        guard minute > exemplarMarks.minute else { return }
        let (marks, limits) = (exemplarMarks, limits)
        try await pool.write { db in
            try ExemplarTable.thin(from: marks.minute, to: minute, width: 60_000, db)
            if hour > marks.hour { try ExemplarTable.thin(from: marks.hour, to: hour, width: 3_600_000, db) }
            try ExemplarTable.remove(limits, now: now, db)
            try ExemplarTable.writeMarks(ExemplarMarks(minute: minute, hour: hour), db)
        }
        exemplarMarks = ExemplarMarks(minute: minute, hour: max(hour, marks.hour))
    }
}

/// The rows of `exemplar`. All functions run inside a transaction of the caller.
enum ExemplarTable {
    private static let columns = """
        at_ms, src_namespace, src_kind, src_name, src_pod, dst_namespace, dst_kind, dst_name, dst_pod, method, path, \
        http_status, grpc_status, is_reset, latency_us, is_failure, trace_id
        """
    /// Bytes that a row takes besides its texts: numbers, header, and its place in two trees.
    static let rowBytes: Int64 = 64

    static func insert(_ exemplars: [RequestExemplar], _ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: "INSERT INTO exemplar (\(columns), bytes) VALUES (\(Array(repeating: "?", count: 18).joined(separator: ", ")))")
        for exemplar in exemplars {
            let texts = [
                exemplar.src.namespace, exemplar.src.kind, exemplar.src.name, exemplar.srcPod, exemplar.dst.namespace,
                exemplar.dst.kind, exemplar.dst.name, exemplar.dstPod, exemplar.method, exemplar.path, exemplar.traceID,
            ]
            try statement.execute(arguments: [
                exemplar.at.milliseconds, texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], texts[6], texts[7],
                texts[8], texts[9], Int64(exemplar.httpStatus), exemplar.grpcStatus.map { Int64($0) }, exemplar.isReset,
                Int64(clamping: exemplar.latencyMicroseconds), exemplar.isFailure, texts[10],
                texts.reduce(rowBytes) { $0 + Int64($1.utf8.count) },
            ])
        }
    }

    /// A condition for `WHERE`, and what its marks stand for.
    static func condition(_ filter: ExemplarFilter, _ window: Window) -> (String, StatementArguments) {
        var parts = ["at_ms >= ? AND at_ms < ?"]
        var values: [any DatabaseValueConvertible] = [window.from.milliseconds, window.to.milliseconds]
        for (side, end) in [("src", filter.src), ("dst", filter.dst)] {
            for (column, value) in [("namespace", end.namespace), ("kind", end.kind), ("name", end.name)] where !value.isEmpty {
                parts.append("\(side)_\(column) = ?")
                values.append(value)
            }
        }
        return (parts.joined(separator: " AND "), StatementArguments(values))
    }

    static func rows(_ db: Database, _ rest: String, _ arguments: StatementArguments) throws -> [RequestExemplar] {
        try Row.fetchAll(db, sql: "SELECT \(columns) FROM exemplar WHERE \(rest)", arguments: arguments).map { row in
            var exemplar = RequestExemplar(
                at: UnixTime(milliseconds: row[0]), src: WorkloadKey(namespace: row[1], kind: row[2], name: row[3]),
                dst: WorkloadKey(namespace: row[5], kind: row[6], name: row[7]), method: row[9], path: row[10])
            exemplar.srcPod = row[4]
            exemplar.dstPod = row[8]
            exemplar.httpStatus = UInt32(clamping: row[11] as Int64)
            exemplar.grpcStatus = (row[12] as Int64?).map { UInt32(clamping: $0) }
            exemplar.isReset = row[13]
            exemplar.latencyMicroseconds = UInt64(clamping: row[14] as Int64)
            exemplar.isFailure = row[15]
            exemplar.traceID = row[16]
            return exemplar
        }
    }

    /// Leaves of each destination and window of `width` milliseconds the slowest and the newest failures.
    static func thin(from: UnixTime, to: UnixTime, width: Int64, _ db: Database) throws {
        let destination = "dst_namespace, dst_kind, dst_name, at_ms / \(width)"
        try db.execute(
            sql: """
                DELETE FROM exemplar WHERE at_ms >= :from AND at_ms < :to AND sequence NOT IN (
                    SELECT sequence FROM (
                        SELECT sequence, is_failure,
                            row_number() OVER (PARTITION BY \(destination) ORDER BY latency_us DESC) AS slowness,
                            row_number() OVER (PARTITION BY \(destination), is_failure ORDER BY at_ms DESC) AS age
                        FROM exemplar WHERE at_ms >= :from AND at_ms < :to)
                    WHERE slowness <= :count OR is_failure AND age <= :count)
                """,
            arguments: ["from": from.milliseconds, "to": to.milliseconds, "count": RollupStore.exemplarsPerWindow])
    }

    /// Removes what is too old, and the oldest hours while there is too much.
    static func remove(_ limits: StoreLimits, now: UnixTime, _ db: Database) throws {
        try db.execute(
            sql: "DELETE FROM exemplar WHERE at_ms < ?",
            arguments: [now.advanced(by: -limits.exemplarRetentionMilliseconds).milliseconds])
        while let bytes = try Int64.fetchOne(db, sql: "SELECT sum(bytes) FROM exemplar"), bytes > limits.exemplarBytesMax,
            let oldest = try Int64.fetchOne(db, sql: "SELECT min(at_ms) FROM exemplar")
        {
            let end = UnixTime(milliseconds: oldest).floored(to: 3_600_000).advanced(by: 3_600_000)
            try db.execute(sql: "DELETE FROM exemplar WHERE at_ms < ?", arguments: [end.milliseconds])
        }
    }

    static func writeMarks(_ marks: RollupStore.ExemplarMarks, _ db: Database) throws {
        for (name, time) in [("exemplar_minutes_up_to_ms", marks.minute), ("exemplar_hours_up_to_ms", marks.hour)] {
            try db.execute(
                sql: """
                    INSERT INTO mark VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)
                    """, arguments: [name, time.milliseconds])
        }
    }

    static func marks(_ db: Database) throws -> RollupStore.ExemplarMarks {
        func mark(_ name: String) throws -> UnixTime {
            UnixTime(milliseconds: try Int64.fetchOne(db, sql: "SELECT value FROM mark WHERE name = ?", arguments: [name]) ?? 0)
        }
        return RollupStore.ExemplarMarks(
            minute: try mark("exemplar_minutes_up_to_ms"), hour: try mark("exemplar_hours_up_to_ms"))
    }
}
