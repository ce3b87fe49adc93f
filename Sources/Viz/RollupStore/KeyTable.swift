import GRDB
import MeshRollup

/// Keys by small numbers: memory and rows hold the number, the text is kept once.
struct KeyTable {
    private(set) var keys: [RollupKey?] = [nil]
    /// The family of each key, beside it: a question looks for its own among all of a big mesh.
    private var families: [KeyFamily?] = [nil]
    /// The number of each key's workload-level twin, itself when it is one.
    private(set) var rolledUpIDs: [Int] = [0]
    private var ids: [RollupKey: Int] = [:]
    private var freeIDs: [Int] = []
    /// Keys no transaction has written yet.
    private(set) var unsavedIDs: Set<Int> = []

    /// Keys known.
    var count: Int { ids.count }
    /// One more than the highest number in use.
    var idCount: Int { keys.count }

    /// The numbers of one family's keys.
    func ids(of family: KeyFamily) -> [Int] {
        families.indices.filter { families[$0] == family }
    }

    /// Keys held at most. A mesh of 5,000 pods has some 200,000; only forged labels get beyond, and are counted
    /// under `other` of their workload then.
    static let countMax = 1_000_000

    /// The number to count `key` under: its own, or that of its fold when the table is full.
    mutating func countingID(for key: RollupKey) -> Int {
        if let id = ids[key] { return id }
        return id(for: count < Self.countMax ? key : key.folded.rolledUp)
    }

    /// The number of `key`, given out now if it is new.
    mutating func id(for key: RollupKey) -> Int {
        if let id = ids[key] { return id }
        let id = place(key, at: freeIDs.popLast() ?? keys.count)
        unsavedIDs.insert(id)
        rolledUpIDs[id] = key.namesPod ? self.id(for: key.rolledUp) : id
        return id
    }

    /// Puts back a key read from the file.
    mutating func restore(_ key: RollupKey, id: Int) { _ = place(key, at: id) }

    /// To be called once all keys were restored.
    mutating func finishRestoring() {
        freeIDs = keys.indices.dropFirst().filter { keys[$0] == nil }
        for id in keys.indices {
            guard let key = keys[id] else { continue }
            rolledUpIDs[id] = key.namesPod ? self.id(for: key.rolledUp) : id
        }
    }

    mutating func markSaved(_ saved: Set<Int>) { unsavedIDs.subtract(saved) }

    /// After the file was replaced: every key has to be written again.
    mutating func markAllUnsaved() { unsavedIDs = Set(ids.values) }

    /// Rows of these keys are gone from the file although they are in use.
    mutating func markUnsaved(_ ids: [Int]) { unsavedIDs.formUnion(ids) }

    /// Forgets keys; their numbers are given out again.
    mutating func remove(_ gone: [Int]) {
        for id in gone {
            guard let key = keys[id] else { continue }
            ids[key] = nil
            keys[id] = nil
            families[id] = nil
            unsavedIDs.remove(id)
            freeIDs.append(id)
        }
    }

    private mutating func place(_ key: RollupKey, at id: Int) -> Int {
        while keys.count <= id {
            keys.append(nil)
            families.append(nil)
            rolledUpIDs.append(0)
        }
        keys[id] = key
        families[id] = key.family
        ids[key] = id
        return id
    }
}

extension KeyTable {
    static let idMax = 1 << 24

    static func load(_ db: Database) throws -> KeyTable {
        var table = KeyTable()
        let objects = try Row.fetchCursor(
            db, sql: "SELECT id, direction, namespace, kind, name, pod FROM object_key")
        while let row = try objects.next() {
            let id: Int = row[0]
            guard id > 0, id < idMax, let direction = Direction(rawValue: row[1]) else { continue }
            let workload = WorkloadKey(namespace: row[2], kind: row[3], name: row[4])
            table.restore(.object(TrafficKey(direction: direction, workload: workload, pod: row[5])), id: id)
        }
        let edges = try Row.fetchCursor(
            db,
            sql: """
                SELECT id, src_namespace, src_kind, src_name, src_pod, dst_namespace, dst_kind, dst_name, dst_pod,
                    service, authority, tls, tls_detail FROM edge_key
                """)
        while let row = try edges.next() {
            let id: Int = row[0]
            guard id > 0, id < idMax else { continue }
            let key = EdgeKey(
                src: WorkloadKey(namespace: row[1], kind: row[2], name: row[3]), srcPod: row[4],
                dst: WorkloadKey(namespace: row[5], kind: row[6], name: row[7]), dstPod: row[8],
                service: row[9], authority: row[10], tls: row[11], tlsDetail: row[12])
            table.restore(.edge(key), id: id)
        }
        try table.loadRoutes(db)
        try table.loadArrivals(db)
        try table.loadRequests(db)
        table.finishRestoring()
        return table
    }

    private mutating func loadRoutes(_ db: Database) throws {
        let routes = try Row.fetchCursor(
            db,
            sql: """
                SELECT id, direction, namespace, kind, name, pod, dst, route, counts_attempts FROM route_key
                """)
        while let row = try routes.next() {
            let id: Int = row[0]
            guard id > 0, id < Self.idMax, let direction = Direction(rawValue: row[1]) else { continue }
            let key = RouteKey(
                direction: direction, workload: WorkloadKey(namespace: row[2], kind: row[3], name: row[4]),
                pod: row[5], dst: row[6], route: row[7], countsAttempts: row[8])
            restore(.route(key), id: id)
        }
    }

    private mutating func loadArrivals(_ db: Database) throws {
        let arrivals = try Row.fetchCursor(
            db, sql: "SELECT id, namespace, kind, name, pod, authority, tls, tls_detail FROM arrival_key")
        while let row = try arrivals.next() {
            let id: Int = row[0]
            guard id > 0, id < Self.idMax else { continue }
            let key = ArrivalKey(
                workload: WorkloadKey(namespace: row[1], kind: row[2], name: row[3]), pod: row[4], authority: row[5],
                tls: row[6], tlsDetail: row[7])
            restore(.arrival(key), id: id)
        }
    }

    private mutating func loadRequests(_ db: Database) throws {
        let requests = try Row.fetchCursor(
            db,
            sql: """
                SELECT id, src_namespace, src_kind, src_name, dst_namespace, dst_kind, dst_name, method, path
                FROM request_key
                """)
        while let row = try requests.next() {
            let id: Int = row[0]
            guard id > 0, id < Self.idMax else { continue }
            let key = RequestKey(
                src: WorkloadKey(namespace: row[1], kind: row[2], name: row[3]),
                dst: WorkloadKey(namespace: row[4], kind: row[5], name: row[6]), method: row[7], path: row[8])
            restore(.request(key), id: id)
        }
    }

    static func save(_ keys: [(id: Int, key: RollupKey)], seen: UnixTime, _ db: Database) throws {
        for (id, key) in keys {
            switch key {
            case .object(let key):
                try db.cachedStatement(sql: "INSERT OR REPLACE INTO object_key VALUES (?, ?, ?, ?, ?, ?, ?)")
                    .execute(arguments: [
                        id, key.direction.rawValue, key.workload.namespace, key.workload.kind,
                        key.workload.name,
                        key.pod, seen.milliseconds,
                    ])
            case .edge(let key):
                try db.cachedStatement(
                    sql: "INSERT OR REPLACE INTO edge_key VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                ).execute(arguments: [
                    id, key.src.namespace, key.src.kind, key.src.name, key.srcPod, key.dst.namespace,
                    key.dst.kind,
                    key.dst.name, key.dstPod, key.service, key.authority, key.tls, key.tlsDetail,
                    seen.milliseconds,
                ])
            case .route(let key):
                try db.cachedStatement(
                    sql: "INSERT OR REPLACE INTO route_key VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                ).execute(arguments: [
                    id, key.direction.rawValue, key.workload.namespace, key.workload.kind, key.workload.name,
                    key.pod, key.dst, key.route, key.countsAttempts, seen.milliseconds,
                ])
            case .arrival(let key):
                try db.cachedStatement(sql: "INSERT OR REPLACE INTO arrival_key VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
                    .execute(arguments: [
                        id, key.workload.namespace, key.workload.kind, key.workload.name, key.pod, key.authority,
                        key.tls, key.tlsDetail, seen.milliseconds,
                    ])
            case .request(let key):
                try db.cachedStatement(sql: "INSERT OR REPLACE INTO request_key VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
                    .execute(arguments: [
                        id, key.src.namespace, key.src.kind, key.src.name, key.dst.namespace, key.dst.kind, key.dst.name,
                        key.method, key.path, seen.milliseconds,
                    ])
            }
        }
    }

    /// Notes that keys had chunks in a span that ended at `seen`.
    static func touch(_ keys: [(id: Int, family: KeyFamily)], seen: UnixTime, _ db: Database) throws {
        for (id, family) in keys {
            let table =
                switch family {
                case .objects: "object_key"
                case .edges: "edge_key"
                case .routes: "route_key"
                case .arrivals: "arrival_key"
                case .requests: "request_key"
                }
            try db.cachedStatement(sql: "UPDATE \(table) SET seen_ms = max(seen_ms, ?) WHERE id = ?")
                .execute(arguments: [seen.milliseconds, id])
        }
    }

    /// Keys last seen longer ago than any tier that has them keeps chunks.
    static func staleIDs(now: UnixTime, _ limits: StoreLimits, _ db: Database) throws -> [Int] {
        func limit(_ tier: Tier, _ family: KeyFamily = .objects) -> Int64 {
            now.milliseconds - limits.retention(of: tier, family) - 2 * tier.spanMilliseconds
        }
        let pods = limit(.tenSeconds)
        let workloads = limit(.hour)
        let samples = Tier.allCases.map { limit($0, .requests) }.min()
        return try Int.fetchAll(
            db,
            sql: """
                SELECT id FROM object_key WHERE seen_ms < CASE pod WHEN '' THEN ? ELSE ? END
                UNION ALL
                SELECT id FROM edge_key WHERE seen_ms < CASE src_pod || dst_pod WHEN '' THEN ? ELSE ? END
                UNION ALL
                SELECT id FROM route_key WHERE seen_ms < CASE pod WHEN '' THEN ? ELSE ? END
                UNION ALL
                SELECT id FROM arrival_key WHERE seen_ms < CASE pod WHEN '' THEN ? ELSE ? END
                UNION ALL
                SELECT id FROM request_key WHERE seen_ms < ?
                """, arguments: [workloads, pods, workloads, pods, workloads, pods, workloads, pods, samples])
    }

    static func delete(_ ids: [Int], _ db: Database) throws {
        for id in ids {
            try db.cachedStatement(sql: "DELETE FROM object_key WHERE id = ?").execute(arguments: [id])
            try db.cachedStatement(sql: "DELETE FROM edge_key WHERE id = ?").execute(arguments: [id])
            try db.cachedStatement(sql: "DELETE FROM route_key WHERE id = ?").execute(arguments: [id])
            try db.cachedStatement(sql: "DELETE FROM arrival_key WHERE id = ?").execute(arguments: [id])
            try db.cachedStatement(sql: "DELETE FROM request_key WHERE id = ?").execute(arguments: [id])
        }
    }
}
