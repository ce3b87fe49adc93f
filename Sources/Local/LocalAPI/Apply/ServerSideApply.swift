// Server-side apply: a manager states the fields it cares about, and the server merges them, remembers whose they
// are, takes away what the manager no longer states, and refuses to overwrite what is another's unless forced.
//
// Other writers are followed once an object has been applied to: what they change becomes theirs. Objects that nobody
// applies to carry no record, so that nothing changes for those who do not use this.
//
// Source: the Kubernetes documentation on server-side apply.

import Foundation
import MeshModel

/// One entry of `metadata.managedFields`.
struct FieldOwner: Sendable, Equatable {
    enum Operation: String, Sendable { case apply = "Apply", update = "Update" }

    let manager: String
    let operation: Operation
    var apiVersion: String
    var time: String
    var fields: FieldTree

    init(manager: String, operation: Operation, apiVersion: String, time: String, fields: FieldTree) {
        self.manager = manager
        self.operation = operation
        self.apiVersion = apiVersion
        self.time = time
        self.fields = fields
    }

    init(_ document: JSONValue) {
        func text(_ field: String) -> String { document[field]?.stringValue ?? "" }
        manager = text("manager")
        operation = Operation(rawValue: text("operation")) ?? .update
        apiVersion = text("apiVersion")
        time = text("time")
        fields = FieldTree(fields: document["fieldsV1"] ?? [:])
    }

    var document: JSONValue {
        [
            "manager": .string(manager), "operation": .string(operation.rawValue), "apiVersion": .string(apiVersion),
            "time": .string(time), "fieldsType": "FieldsV1", "fieldsV1": fields.fields,
        ]
    }

    /// All owners of an object's fields.
    static func all(of object: JSONValue) -> [FieldOwner] {
        (object.value(at: ["metadata", "managedFields"])?.arrayValue ?? []).map(FieldOwner.init)
    }
}

extension JSONValue {
    /// Writes the owners of this object's fields; none removes the record.
    mutating func setOwners(_ owners: [FieldOwner]) {
        let kept = owners.filter { !$0.fields.isEmpty }
        let documents: JSONValue? = kept.isEmpty ? Optional.none : .array(kept.map(\.document))
        set(documents, at: ["metadata", "managedFields"])
    }
}

/// Applies one configuration, and follows other writers.
struct ServerSideApply {
    let kind: KindDescription
    let manager: String
    let force: Bool
    let now: Date

    private var reader: FieldReader { FieldReader(library: KindCatalogue.schemas) }

    /// The object that results, its record included.
    ///
    /// - Parameter live: `nil` when there is none yet.
    /// - Throws: `StatusError` 409 when a field that would change is another manager's.
    func apply(_ configuration: JSONValue, to live: JSONValue?) throws(StatusError) -> JSONValue {
        let type = reader.type(of: kind)
        let wanted = FieldReader.owned(configuration)
        let fields = reader.tree(wanted, type)
        guard let live else {
            var object = configuration
            object.setOwners([owner(.apply, fields)])
            return object
        }
        var owners = FieldOwner.all(of: live)
        let isMine = { (owner: FieldOwner) in owner.manager == manager && owner.operation == .apply }
        let changed = reader.tree(wanted, type, unlike: FieldReader.owned(live))
        for index in owners.indices where !isMine(owners[index]) {
            let contested = owners[index].fields.intersection(changed)
            if contested.isEmpty { continue }
            guard force else { throw conflict(with: owners, changed, isMine) }
            owners[index].fields = owners[index].fields.subtracting(contested)
        }
        let others = owners.filter { !isMine($0) }.reduce(FieldTree()) { $0.union($1.fields) }
        let before = owners.first(where: isMine)
        let dropped = (before?.fields ?? FieldTree()).subtracting(fields).subtracting(others)
        let merge = AppliedMerge(reader: reader)
        let kept = others.union(fields)
        var object = merge.removing(dropped, keeping: kept, from: merge.merge(wanted, into: live, type), type) ?? [:]
        object["apiVersion"] = .string(kind.apiVersion)
        object["kind"] = .string(kind.kind)
        let mine = before?.fields == fields ? before : nil
        object.setOwners(owners.filter { !isMine($0) } + [mine ?? owner(.apply, fields)])
        return object
    }

    /// An object that somebody changed by other means, with the record of that.
    func follow(from old: JSONValue, to new: JSONValue) -> JSONValue {
        var owners = FieldOwner.all(of: old)
        guard !owners.isEmpty else { return new }
        let type = reader.type(of: kind)
        let (before, after) = (FieldReader.owned(old), FieldReader.owned(new))
        let changed = reader.tree(after, type, unlike: before)
        let gone = reader.tree(before, type).subtracting(reader.tree(after, type))
        for index in owners.indices {
            owners[index].fields = owners[index].fields.subtracting(changed).subtracting(gone)
        }
        if !changed.isEmpty {
            if let index = owners.firstIndex(where: { $0.manager == manager && $0.operation == .update }) {
                owners[index].fields = owners[index].fields.union(changed)
                owners[index].time = Timestamp.text(now)
            } else {
                owners.append(owner(.update, changed))
            }
        }
        var object = new
        object.setOwners(owners)
        return object
    }

    private func owner(_ operation: FieldOwner.Operation, _ fields: FieldTree) -> FieldOwner {
        FieldOwner(
            manager: manager, operation: operation, apiVersion: kind.apiVersion, time: Timestamp.text(now), fields: fields)
    }

    private func conflict(
        with owners: [FieldOwner], _ changed: FieldTree, _ isMine: (FieldOwner) -> Bool
    ) -> StatusError {
        let found = owners.filter { !isMine($0) }.flatMap { owner in
            owner.fields.intersection(changed).paths().map { (owner: owner, path: $0) }
        }
        func words(_ owner: FieldOwner) -> String {
            "conflict with \"\(owner.manager)\"\(owner.operation == .update ? " using \(owner.apiVersion)" : "")"
        }
        let texts = found.map { "\(words($0.owner)): \($0.path)" }
        let count = found.count == 1 ? "1 conflict" : "\(found.count) conflicts"
        let causes = found.map { item -> JSONValue in
            [
                "reason": "FieldManagerConflict", "message": .string(words(item.owner)), "field": .string(item.path),
            ]
        }
        return StatusError(
            code: 409, reason: "Conflict", message: "Apply failed with \(count): \(texts.joined(separator: ", "))",
            details: ["causes": .array(causes)])
    }
}

/// Merges a configuration into an object, and takes fields out of it.
struct AppliedMerge {
    let reader: FieldReader

    /// Members merge, elements of lists with keys merge one by one, everything else is replaced.
    func merge(_ wanted: JSONValue, into live: JSONValue, _ type: FieldType) -> JSONValue {
        switch (wanted, live) {
        case (.object(let changes), .object(var members)):
            for (key, value) in changes {
                members[key] = members[key].map { merge(value, into: $0, reader.type(of: key, in: type)) } ?? value
            }
            return .object(members)
        case (.array(let items), .array(var elements)):
            guard case .list(let element, let rule) = type, rule != .replace else { return wanted }
            for item in items {
                guard let name = FieldReader.name(of: item, rule) else { return wanted }
                if let index = elements.firstIndex(where: { FieldReader.name(of: $0, rule) == name }) {
                    elements[index] = merge(item, into: elements[index], element)
                } else {
                    elements.append(item)
                }
            }
            return .array(elements)
        default: return wanted
        }
    }

    /// A value without fields; `nil` when nothing is left of it.
    ///
    /// - Parameter owned: Fields that somebody still states: an element with one of them stays.
    func removing(
        _ fields: FieldTree, keeping owned: FieldTree, from value: JSONValue, _ type: FieldType
    ) -> JSONValue? {
        if fields.isEmpty { return value }
        if fields.isMember, fields.children.isEmpty { return Optional.none }
        switch value {
        case .object(var members):
            for (key, child) in fields.children where key.hasPrefix("f:") {
                let name = String(key.dropFirst(2))
                members[name] = members[name].flatMap {
                    removing(
                        child, keeping: owned.children[key] ?? FieldTree(), from: $0, reader.type(of: name, in: type))
                }
            }
            return members.isEmpty ? Optional.none : .object(members)
        case .array(let elements):
            guard case .list(let element, let rule) = type else { return value }
            let kept = elements.compactMap { item -> JSONValue? in
                guard let name = FieldReader.name(of: item, rule), let child = fields.children[name] else { return item }
                let rest = owned.children[name] ?? FieldTree()
                // An element that nobody states any more goes as a whole, with what was filled in.
                if child.isMember, rest.isEmpty { return Optional.none }
                return removing(FieldTree(children: child.children), keeping: rest, from: item, element)
            }
            return kept.isEmpty ? Optional.none : .array(kept)
        default: return value
        }
    }
}
