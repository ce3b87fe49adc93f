import GRDB

/// The store's tables, as numbered migrations that never change once released; `SCHEMA.md` explains them.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 chunks, keys, cursors") { db in
            try createKeys(db)
            try createChunks(db)
            try createCursors(db)
        }
        migrator.registerMigration("2 routes") { db in try createRouteKeys(db) }
        migrator.registerMigration("3 arrivals") { db in try createArrivalKeys(db) }
        migrator.registerMigration("4 requests") { db in
            try createRequestKeys(db)
            try createExemplars(db)
        }
        return migrator
    }

    private static func createRouteKeys(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE route_key (
                    id INTEGER PRIMARY KEY,
                    direction INTEGER NOT NULL,
                    namespace TEXT NOT NULL,
                    kind TEXT NOT NULL,
                    name TEXT NOT NULL,
                    pod TEXT NOT NULL,
                    dst TEXT NOT NULL,
                    route TEXT NOT NULL,
                    counts_attempts INTEGER NOT NULL,
                    seen_ms INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                """)
    }

    private static func createArrivalKeys(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE arrival_key (
                    id INTEGER PRIMARY KEY,
                    namespace TEXT NOT NULL,
                    kind TEXT NOT NULL,
                    name TEXT NOT NULL,
                    pod TEXT NOT NULL,
                    authority TEXT NOT NULL,
                    tls TEXT NOT NULL,
                    tls_detail TEXT NOT NULL,
                    seen_ms INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                """)
    }

    private static func createRequestKeys(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE request_key (
                    id INTEGER PRIMARY KEY,
                    src_namespace TEXT NOT NULL,
                    src_kind TEXT NOT NULL,
                    src_name TEXT NOT NULL,
                    dst_namespace TEXT NOT NULL,
                    dst_kind TEXT NOT NULL,
                    dst_name TEXT NOT NULL,
                    method TEXT NOT NULL,
                    path TEXT NOT NULL,
                    seen_ms INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                """)
    }

    private static func createExemplars(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE exemplar (
                    sequence INTEGER PRIMARY KEY,
                    at_ms INTEGER NOT NULL,
                    src_namespace TEXT NOT NULL,
                    src_kind TEXT NOT NULL,
                    src_name TEXT NOT NULL,
                    src_pod TEXT NOT NULL,
                    dst_namespace TEXT NOT NULL,
                    dst_kind TEXT NOT NULL,
                    dst_name TEXT NOT NULL,
                    dst_pod TEXT NOT NULL,
                    method TEXT NOT NULL,
                    path TEXT NOT NULL,
                    http_status INTEGER NOT NULL,
                    grpc_status INTEGER,
                    is_reset INTEGER NOT NULL,
                    latency_us INTEGER NOT NULL,
                    is_failure INTEGER NOT NULL,
                    trace_id TEXT NOT NULL,
                    bytes INTEGER NOT NULL
                ) STRICT;
                CREATE INDEX exemplar_at ON exemplar (at_ms);
                """)
    }

    private static func createKeys(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE object_key (
                    id INTEGER PRIMARY KEY,
                    direction INTEGER NOT NULL,
                    namespace TEXT NOT NULL,
                    kind TEXT NOT NULL,
                    name TEXT NOT NULL,
                    pod TEXT NOT NULL,
                    seen_ms INTEGER NOT NULL,
                    UNIQUE (direction, namespace, kind, name, pod)
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE edge_key (
                    id INTEGER PRIMARY KEY,
                    src_namespace TEXT NOT NULL,
                    src_kind TEXT NOT NULL,
                    src_name TEXT NOT NULL,
                    src_pod TEXT NOT NULL,
                    dst_namespace TEXT NOT NULL,
                    dst_kind TEXT NOT NULL,
                    dst_name TEXT NOT NULL,
                    dst_pod TEXT NOT NULL,
                    service TEXT NOT NULL,
                    authority TEXT NOT NULL,
                    tls TEXT NOT NULL,
                    tls_detail TEXT NOT NULL,
                    seen_ms INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                """)
    }

    private static func createChunks(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE chunk (
                    tier INTEGER NOT NULL,
                    family INTEGER NOT NULL,
                    span_ms INTEGER NOT NULL,
                    key_id INTEGER NOT NULL,
                    totals BLOB NOT NULL,
                    body BLOB NOT NULL,
                    PRIMARY KEY (tier, family, span_ms, key_id)
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE span (
                    tier INTEGER NOT NULL,
                    span_ms INTEGER NOT NULL,
                    bytes INTEGER NOT NULL,
                    PRIMARY KEY (tier, span_ms)
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE mark (
                    name TEXT PRIMARY KEY,
                    value INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                """)
    }

    private static func createCursors(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE cursor (
                    pod TEXT PRIMARY KEY,
                    at_ms INTEGER NOT NULL,
                    base BLOB NOT NULL
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE journal (
                    sequence INTEGER PRIMARY KEY,
                    pod TEXT NOT NULL,
                    at_ms INTEGER NOT NULL,
                    bucket_max_ms INTEGER NOT NULL,
                    step BLOB NOT NULL,
                    deltas BLOB NOT NULL
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX journal_pod ON journal (pod, at_ms);
                """)
    }
}
