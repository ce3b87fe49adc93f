import Foundation
import GRDB
import MeshModel

/// An object as it is stored: its bytes, read into a tree when asked.
struct StoredObject: Sendable {
    let address: ObjectAddress
    let resourceVersion: Int64
    let bytes: [UInt8]

    /// The tree.
    ///
    /// - Throws: `StatusError` 500 when the stored bytes are damaged.
    func object() throws -> JSONValue {
        do { return try JSONValue(parsing: bytes) } catch {
            throw StatusError.internalError(
                "stored \(address.resource) \(address.namespace)/\(address.name): \(error)")
        }
    }
}

/// Queries on one consistent state. Must not leave the closure it was given to.
class StoreReader {
    fileprivate let db: Database

    init(db: Database) { self.db = db }

    /// The last resourceVersion given out.
    func resourceVersion() throws -> Int64 {
        try Int64.fetchOne(db, sql: "SELECT last FROM counter") ?? 0
    }

    /// The newest resourceVersion whose change the log no longer has.
    func compactedVersion() throws -> Int64 {
        try Int64.fetchOne(db, sql: "SELECT compacted FROM counter") ?? 0
    }

    /// One object, `nil` when absent.
    func get(_ address: ObjectAddress) throws -> StoredObject? {
        let row = try Row.fetchOne(
            db.cachedStatement(
                sql: "SELECT * FROM objects WHERE resource = ? AND namespace = ? AND name = ?"),
            arguments: [address.resource, address.namespace, address.name])
        return row.map(Self.stored)
    }

    /// The tree of one object, `nil` when absent.
    func object(_ resource: String, _ namespace: String, _ name: String) throws -> JSONValue? {
        try get(ObjectAddress(resource: resource, namespace: namespace, name: name))?.object()
    }

    /// All objects of a resource, of one namespace or of all, ordered by namespace and name.
    func list(_ resource: String, namespace: String?) throws -> [StoredObject] {
        let rows: [Row]
        if let namespace {
            rows = try Row.fetchAll(
                db.cachedStatement(
                    sql: "SELECT * FROM objects WHERE resource = ? AND namespace = ? ORDER BY name"),
                arguments: [resource, namespace])
        } else {
            rows = try Row.fetchAll(
                db.cachedStatement(sql: "SELECT * FROM objects WHERE resource = ? ORDER BY namespace, name"),
                arguments: [resource])
        }
        return rows.map(Self.stored)
    }

    /// The resources, by qualified name, that have objects in a namespace.
    func resources(in namespace: String) throws -> [String] {
        try String.fetchAll(
            db, sql: "SELECT DISTINCT resource FROM objects WHERE namespace = ? ORDER BY resource",
            arguments: [namespace])
    }

    /// All objects of a namespace, or of the cluster when `nil`, whatever their kind.
    func everything(in namespace: String?) throws -> [StoredObject] {
        let rows =
            try namespace.map {
                try Row.fetchAll(db, sql: "SELECT * FROM objects WHERE namespace = ?", arguments: [$0])
            } ?? Row.fetchAll(db, sql: "SELECT * FROM objects")
        return rows.map(Self.stored)
    }

    /// The changes of a resource after a version, in order.
    func changes(_ resource: String, namespace: String?, after version: Int64) throws -> [StoredEvent] {
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT * FROM log WHERE resource = :resource AND version > :version
                AND (:namespace IS NULL OR namespace = :namespace) ORDER BY version
                """,
            arguments: ["resource": resource, "version": version, "namespace": namespace])
        return try rows.map { row in
            let bytes = [UInt8](row["object"] as Data)
            let previous = try (row["previous"] as Data?).map { try JSONValue(parsing: $0) }
            return StoredEvent(
                resourceVersion: row["version"], change: .init(rawValue: row["change"]) ?? .modified,
                address: ObjectAddress(
                    resource: row["resource"], namespace: row["namespace"], name: row["name"]),
                object: try JSONValue(parsing: bytes), previous: previous, objectBytes: bytes)
        }
    }

    private static func stored(_ row: Row) -> StoredObject {
        StoredObject(
            address: ObjectAddress(resource: row["resource"], namespace: row["namespace"], name: row["name"]),
            resourceVersion: row["version"], bytes: [UInt8](row["object"] as Data))
    }
}

/// Changes inside one transaction. Must not leave the closure it was given to.
final class StoreWriter: StoreReader {
    /// What has changed so far, for the watchers.
    private(set) var events: [StoredEvent] = []

    /// Adds an object that must not exist; gives it back with its resourceVersion.
    func insert(_ object: JSONValue, at address: ObjectAddress) throws -> JSONValue {
        let (stored, version, bytes) = try stamp(object)
        try db.execute(
            sql: "INSERT INTO objects VALUES (?, ?, ?, ?, ?)",
            arguments: [address.resource, address.namespace, address.name, version, Data(bytes)])
        try log(.added, version, address, stored, bytes, previous: nil)
        return stored
    }

    /// Replaces an object; gives it back with its new resourceVersion.
    func update(_ object: JSONValue, at address: ObjectAddress, previous: JSONValue) throws -> JSONValue {
        let (stored, version, bytes) = try stamp(object)
        try db.execute(
            sql:
                "UPDATE objects SET version = ?, object = ? WHERE resource = ? AND namespace = ? AND name = ?",
            arguments: [version, Data(bytes), address.resource, address.namespace, address.name])
        try log(.modified, version, address, stored, bytes, previous: previous)
        return stored
    }

    /// Removes an object; gives back its last state with the resourceVersion of the removal.
    func remove(_ address: ObjectAddress, last: JSONValue) throws -> JSONValue {
        let (stored, version, bytes) = try stamp(last)
        try db.execute(
            sql: "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
            arguments: [address.resource, address.namespace, address.name])
        try log(.deleted, version, address, stored, bytes, previous: last)
        return stored
    }

    /// Drops changes that nobody needs any more, when enough have gathered.
    func compactIfDue() throws {
        let last = try resourceVersion()
        let keepAfter = last - ObjectStore.logEventsMin
        guard keepAfter - (try compactedVersion()) >= ObjectStore.compactionStep else { return }
        try compact(upTo: keepAfter)
    }

    /// Drops the changes up to and including a version.
    func compact(upTo version: Int64) throws {
        try db.execute(sql: "DELETE FROM log WHERE version <= ?", arguments: [version])
        try db.execute(sql: "UPDATE counter SET compacted = ?", arguments: [version])
    }

    private func stamp(_ object: JSONValue) throws -> (JSONValue, Int64, [UInt8]) {
        try db.execute(sql: "UPDATE counter SET last = last + 1")
        let version = try resourceVersion()
        var stored = object
        stored.set(.string(String(version)), at: ["metadata", "resourceVersion"])
        return (stored, version, stored.serialized())
    }

    private func log(
        _ change: StoredEvent.Change, _ version: Int64, _ address: ObjectAddress, _ object: JSONValue,
        _ bytes: [UInt8], previous: JSONValue?
    ) throws {
        try db.execute(
            sql: "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                version, address.resource, address.namespace, address.name, change.rawValue, Data(bytes),
                previous.map { Data($0.serialized()) },
            ])
        events.append(
            StoredEvent(
                resourceVersion: version, change: change, address: address, object: object,
                previous: previous,
                objectBytes: bytes))
    }
}
