// The tables of `state.db`. Migrations are numbered and frozen.
//
//   counter  one row: the last resourceVersion given out, and the newest one that the log has lost
//   objects  the present state; `object` is the JSON document, resourceVersion included
//   log      one row a change; `previous` lets a watch with a selector see objects enter and leave it

import GRDB

enum StoreSchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 objects and log") { db in
            try db.execute(
                sql: """
                    CREATE TABLE counter (
                        id INTEGER PRIMARY KEY CHECK (id = 1),
                        last INTEGER NOT NULL,
                        compacted INTEGER NOT NULL
                    ) STRICT;
                    INSERT INTO counter VALUES (1, 0, 0);
                    CREATE TABLE objects (
                        resource TEXT NOT NULL,
                        namespace TEXT NOT NULL,
                        name TEXT NOT NULL,
                        version INTEGER NOT NULL,
                        object BLOB NOT NULL,
                        PRIMARY KEY (resource, namespace, name)
                    ) STRICT;
                    CREATE TABLE log (
                        version INTEGER PRIMARY KEY,
                        resource TEXT NOT NULL,
                        namespace TEXT NOT NULL,
                        name TEXT NOT NULL,
                        change INTEGER NOT NULL,
                        object BLOB NOT NULL,
                        previous BLOB
                    ) STRICT;
                    CREATE INDEX log_by_resource ON log (resource, version);
                    """)
        }
        return migrator
    }
}
