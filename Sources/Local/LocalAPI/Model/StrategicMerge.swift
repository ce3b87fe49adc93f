// Strategic merge patch: JSON merge patch that knows, from the schema, which lists are merged by a key
// and which are sets. Directives: `$patch: replace|delete|merge`, `$retainKeys`,
// `$setElementOrder/<list>`, `$deleteFromPrimitiveList/<list>`.
// Source: the strategic merge patch page of the Kubernetes community's API conventions.

import MeshModel

/// Applies strategic merge patches by the types of a schema library.
struct StrategicMerge {
    let library: SchemaLibrary

    /// The object with the patch applied; `type` names its type in the library.
    ///
    /// - Throws: `StatusError` 400 for a malformed directive or a list element without its merge key.
    func apply(_ patch: JSONValue, to object: JSONValue, type: String?) throws(StatusError) -> JSONValue {
        try merge(patch, into: object, type: type.map { .object($0, retainKeys: false) } ?? .any)
            ?? .object([:])
    }

    /// Merges any value; `nil` when the patch deletes it.
    private func merge(_ patch: JSONValue, into original: JSONValue?, type: FieldType) throws(StatusError)
        -> JSONValue?
    {
        switch patch {
        case .null: return nil
        case .object(let changes): return try mergeObject(changes, into: original, type: type)
        case .array(let changes):
            guard case .list(let element, let rule) = type, rule != .replace else {
                return .array(changes.filter { $0["$patch"] == nil }.map(Self.withoutDirectives))
            }
            return .array(
                try mergeList(changes, into: original?.arrayValue ?? [], element: element, rule: rule))
        default: return patch
        }
    }

    private func mergeObject(
        _ changes: [String: JSONValue], into original: JSONValue?, type: FieldType
    ) throws(StatusError) -> JSONValue? {
        var changes = changes
        if let directive = changes.removeValue(forKey: "$patch") {
            switch directive.stringValue {
            case "replace": return Self.withoutDirectives(.object(changes))
            case "delete": return nil
            case "merge": break
            default: throw .badRequest("unknown $patch directive in a strategic merge patch")
            }
        }
        var result = original?.objectValue ?? [:]
        if let retained = changes.removeValue(forKey: "$retainKeys") {
            let names = Set((retained.arrayValue ?? []).compactMap(\.stringValue))
            result = result.filter { names.contains($0.key) }
        }
        try removePrimitives(&changes, from: &result)
        let orders = Self.orders(&changes)
        for (key, change) in changes {
            result[key] = try merge(change, into: result[key], type: fieldType(key, of: type))
        }
        for (key, order) in orders {
            guard let elements = result[key]?.arrayValue else { continue }
            result[key] = .array(Self.sort(elements, by: order, rule: rule(of: fieldType(key, of: type))))
        }
        return .object(result)
    }

    private func removePrimitives(
        _ changes: inout [String: JSONValue], from result: inout [String: JSONValue]
    ) throws(StatusError) {
        let prefix = "$deleteFromPrimitiveList/"
        for key in changes.keys where key.hasPrefix(prefix) {
            guard let removed = changes.removeValue(forKey: key)?.arrayValue else {
                throw .badRequest("\(key) must be a list")
            }
            let name = String(key.dropFirst(prefix.count))
            result[name] = result[name]?.arrayValue.map { .array($0.filter { !removed.contains($0) }) }
        }
    }

    private static func orders(_ changes: inout [String: JSONValue]) -> [String: [JSONValue]] {
        let prefix = "$setElementOrder/"
        var orders: [String: [JSONValue]] = [:]
        for key in changes.keys where key.hasPrefix(prefix) {
            orders[String(key.dropFirst(prefix.count))] = changes.removeValue(forKey: key)?.arrayValue ?? []
        }
        return orders
    }

    private func fieldType(_ key: String, of type: FieldType) -> FieldType {
        switch type {
        case .object(let name, _): library[name]?.fields[key]?.type ?? .any
        case .map(let element): element
        default: .any
        }
    }

    private func rule(of type: FieldType) -> ListMerge {
        if case .list(_, let rule) = type { rule } else { .replace }
    }

    private func mergeList(
        _ changes: [JSONValue], into original: [JSONValue], element: FieldType, rule: ListMerge
    ) throws(StatusError) -> [JSONValue] {
        if changes.contains(where: { $0["$patch"]?.stringValue == "replace" }) {
            return changes.filter { $0["$patch"]?.stringValue != "replace" }.map(Self.withoutDirectives)
        }
        guard case .byKey(let mergeKey) = rule else {
            return original + changes.filter { !original.contains($0) }
        }
        var result = original
        for change in changes {
            guard let identity = change[mergeKey] else {
                throw .badRequest("map: does not contain declared merge key: \(mergeKey)")
            }
            let index = result.firstIndex { $0[mergeKey] == identity }
            if change["$patch"]?.stringValue == "delete" {
                if let index { result.remove(at: index) }
                continue
            }
            let merged = try merge(change, into: index.map { result[$0] }, type: element)
            guard let merged else { continue }
            if let index { result[index] = merged } else { result.append(merged) }
        }
        return result
    }

    /// Elements named by the order come in it; each of the others stays behind the element it followed.
    private static func sort(_ elements: [JSONValue], by order: [JSONValue], rule: ListMerge) -> [JSONValue] {
        func identity(_ value: JSONValue) -> JSONValue {
            if case .byKey(let key) = rule { value[key] ?? value } else { value }
        }
        let ranks = Dictionary(
            order.enumerated().map { (identity($1), $0) }, uniquingKeysWith: { first, _ in first })
        var anchored: [(rank: Int, position: Int, value: JSONValue)] = []
        var rank = -1
        for (position, element) in elements.enumerated() {
            if let own = ranks[identity(element)] { rank = own }
            anchored.append((rank, ranks[identity(element)] == nil ? position + 1 : 0, element))
        }
        return anchored.sorted { ($0.rank, $0.position) < ($1.rank, $1.position) }.map(\.value)
    }

    /// A value that replaces rather than merges still must not keep directives or nulls.
    private static func withoutDirectives(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members):
            .object(
                members.filter { !$0.key.hasPrefix("$") && !$0.value.isNull }.mapValues(withoutDirectives))
        case .array(let elements): .array(elements.map(withoutDirectives))
        default: value
        }
    }
}
