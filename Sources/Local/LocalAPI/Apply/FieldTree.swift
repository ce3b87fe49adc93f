// Sets of fields, as server-side apply keeps them: a tree whose keys are `f:<field>`, `k:<key of a list's element>`
// and `v:<element of a set>`. Which fields a document has depends on its kind's schema: lists that merge by key have
// elements of their own, all others are one value.
//
// Source: the form FieldsV1 of `metadata.managedFields`.

import MeshModel

/// A set of fields.
struct FieldTree: Sendable, Equatable {
    /// Whether this very field is in the set, apart from what is below it.
    var isMember = false
    var children: [String: FieldTree] = [:]

    static let leaf = FieldTree(isMember: true)

    var isEmpty: Bool { !isMember && children.isEmpty }

    /// Reads FieldsV1.
    init(fields: JSONValue) {
        let members = fields.objectValue ?? [:]
        isMember = members.isEmpty || members["."] != nil
        for (key, value) in members where key != "." { children[key] = FieldTree(fields: value) }
    }

    init(isMember: Bool = false, children: [String: FieldTree] = [:]) {
        self.isMember = isMember
        self.children = children
    }

    /// FieldsV1. An empty set is never written, since there it would mean a leaf.
    var fields: JSONValue {
        var members = children.mapValues(\.fields)
        if isMember, !children.isEmpty { members["."] = [:] }
        return .object(members)
    }

    func union(_ other: FieldTree) -> FieldTree {
        FieldTree(
            isMember: isMember || other.isMember, children: children.merging(other.children) { $0.union($1) })
    }

    /// What of this set is not in another.
    func subtracting(_ other: FieldTree) -> FieldTree {
        var result = FieldTree(isMember: isMember && !other.isMember)
        for (key, child) in children {
            let rest = other.children[key].map(child.subtracting) ?? child
            if !rest.isEmpty { result.children[key] = rest }
        }
        return result
    }

    /// What is in both sets.
    func intersection(_ other: FieldTree) -> FieldTree {
        var result = FieldTree(isMember: isMember && other.isMember)
        for (key, child) in children {
            guard let both = other.children[key].map(child.intersection), !both.isEmpty else { continue }
            result.children[key] = both
        }
        return result
    }

    /// The members as people write them, such as `.spec.template.spec.containers[name="app"].image`.
    func paths(under prefix: String = "") -> [String] {
        let own = isMember && children.isEmpty ? [prefix.isEmpty ? "." : prefix] : []
        return own
            + children.sorted { $0.key < $1.key }.flatMap { key, child in
                child.paths(under: prefix + Self.text(key))
            }
    }

    private static func text(_ key: String) -> String {
        let rest = String(key.dropFirst(2))
        switch key.prefix(2) {
        case "f:": return "." + rest
        case "k:":
            let members = (try? JSONValue(parsing: rest))?.objectValue ?? [:]  // Our own text always parses.
            return "[" + members.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.jsonText)" }.joined(separator: ",") + "]"
        default: return "[=\(rest)]"
        }
    }
}

/// Documents by their fields.
struct FieldReader {
    let library: SchemaLibrary

    /// Fields that belong to the server, or name the object.
    private static let systemMetadata: Set = [
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields",
        "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generateName",
    ]

    /// A document without what nobody can own.
    static func owned(_ object: JSONValue) -> JSONValue {
        var owned = object
        for field in ["apiVersion", "kind", "status"] { owned[field] = nil }
        if var metadata = owned["metadata"] {
            for field in systemMetadata { metadata[field] = nil }
            owned["metadata"] = metadata == [:] ? Optional.none : metadata
        }
        return owned
    }

    func type(of kind: KindDescription) -> FieldType { kind.schema.map { .object($0, retainKeys: false) } ?? .any }

    /// The fields of a value. `other` leaves out those that it has with an equal value.
    func tree(_ value: JSONValue, _ type: FieldType, unlike other: JSONValue? = nil) -> FieldTree {
        switch value {
        case .object(let members) where !members.isEmpty && isOpen(type):
            var tree = FieldTree()
            for (key, member) in members {
                let child = self.tree(member, self.type(of: key, in: type), unlike: other?[key])
                if !child.isEmpty { tree.children["f:" + key] = child }
            }
            return tree
        case .array(let elements):
            guard case .list(let element, let rule) = type, rule != .replace else { break }
            var tree = FieldTree()
            for item in elements {
                guard let name = Self.name(of: item, rule) else { return value == other ? FieldTree() : .leaf }
                let twin = other?.arrayValue?.first { Self.name(of: $0, rule) == name }
                if case .asSet = rule {
                    if twin == nil { tree.children[name] = .leaf }
                    continue
                }
                var child = self.tree(item, element, unlike: twin)
                child.isMember = twin == nil
                if !child.isEmpty { tree.children[name] = child }
            }
            return tree
        default: break
        }
        return value == other ? FieldTree() : .leaf
    }

    /// The key of a list's element in a tree; `nil` when it lacks what tells it apart.
    static func name(of element: JSONValue, _ rule: ListMerge) -> String? {
        switch rule {
        case .byKey(let key):
            guard let value = element[key], !value.isNull else { return nil }
            return "k:" + JSONValue.object([key: value]).jsonText
        case .asSet: return "v:" + element.jsonText
        case .replace: return nil
        }
    }

    /// Whether an object's members are fields of their own.
    private func isOpen(_ type: FieldType) -> Bool {
        switch type {
        case .object, .map, .any: true
        default: false
        }
    }

    func type(of member: String, in type: FieldType) -> FieldType {
        switch type {
        case .object(let name, _): library[name]?.fields[member]?.type ?? .any
        case .map(let element): element
        default: .any
        }
    }
}
