import Foundation
import MeshModel

/// Objects as the rows of a Table (`meta.k8s.io`), which is what `kubectl get` prints.
struct Table {
    /// What each row carries of its object.
    enum Inclusion: String {
        case none = "None"
        case metadata = "Metadata"
        case object = "Object"
    }

    let kind: KindDescription
    let version: String
    let now: Date
    let includes: Inclusion

    func document(_ objects: [JSONValue], resourceVersion: String) -> JSONValue {
        [
            "kind": "Table", "apiVersion": .string("meta.k8s.io/\(version)"),
            "metadata": ["resourceVersion": .string(resourceVersion)],
            "columnDefinitions": .array(kind.columns.map(Self.definition)),
            "rows": .array(objects.map(row)),
        ]
    }

    /// An object without anything but its metadata.
    static func partial(_ object: JSONValue, version: String = "v1") -> JSONValue {
        [
            "kind": "PartialObjectMetadata", "apiVersion": .string("meta.k8s.io/\(version)"),
            "metadata": object["metadata"] ?? [:],
        ]
    }

    private static func definition(_ column: TableColumn) -> JSONValue {
        [
            "name": .string(column.name), "type": .string(column.type), "format": .string(column.format),
            "description": .string(column.name), "priority": .int(Int64(column.priority)),
        ]
    }

    private func row(_ object: JSONValue) -> JSONValue {
        let cells = TableCells(object: object, now: now)
        var row: JSONValue = ["cells": .array(kind.columns.map { cells.cell($0) })]
        switch includes {
        case .none: break
        case .metadata: row["object"] = Self.partial(object, version: version)
        case .object: row["object"] = object
        }
        return row
    }
}
