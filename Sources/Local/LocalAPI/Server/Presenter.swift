import Foundation
import MeshModel
import NIOCore

/// Puts objects into the form that a request's `Accept` asks for.
struct Presenter {
    let request: APIRequest
    let kind: KindDescription
    let now: Date

    /// One stored object.
    func one(_ stored: StoredObject) throws -> APIResponse {
        guard needsTree else { return .bytes(ByteBuffer(bytes: stored.bytes)) }
        return .json(form(try stored.object()))
    }

    /// What a change of state answers.
    func written(_ outcome: WriteOutcome) throws -> APIResponse {
        .json(form(outcome.object), status: outcome.code, warnings: outcome.warnings)
    }

    /// A list; stored bytes are passed on unread unless another form is asked for.
    func list(_ items: [StoredObject], resourceVersion: Int64) throws -> APIResponse {
        let version = String(resourceVersion)
        if let tableVersion = request.tableVersion {
            let table = Table(kind: kind, version: tableVersion, now: now, includes: includes)
            return .json(table.document(try items.map { try $0.object() }, resourceVersion: version))
        }
        if request.wantsPartialMetadata {
            let partial = try items.map { Table.partial(try $0.object()) }
            return .json([
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                "metadata": ["resourceVersion": .string(version)], "items": .array(partial),
            ])
        }
        var buffer = ByteBuffer()
        buffer.reserveCapacity(items.reduce(200) { $0 + $1.bytes.count + 1 })
        buffer.writeString(
            "{\"kind\":\"\(kind.listKind)\",\"apiVersion\":\"\(kind.apiVersion)\","
                + "\"metadata\":{\"resourceVersion\":\"\(version)\"},\"items\":[")
        for (index, item) in items.enumerated() {
            if index > 0 { buffer.writeString(",") }
            buffer.writeBytes(item.bytes)
        }
        buffer.writeString("]}")
        return .bytes(buffer)
    }

    /// Whether an object must be read to be shown.
    var needsTree: Bool { request.tableVersion != nil || request.wantsPartialMetadata }

    /// One object in the form asked for.
    func form(_ object: JSONValue) -> JSONValue {
        if let tableVersion = request.tableVersion {
            let table = Table(kind: kind, version: tableVersion, now: now, includes: includes)
            return table.document([object], resourceVersion: object.resourceVersion)
        }
        return request.wantsPartialMetadata ? Table.partial(object) : object
    }

    private var includes: Table.Inclusion {
        Table.Inclusion(rawValue: request.parameter("includeObject") ?? "") ?? .metadata
    }
}
