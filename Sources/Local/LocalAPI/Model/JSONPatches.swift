// JSON Merge Patch (RFC 7396) and JSON Patch (RFC 6902) on trees.

import MeshModel

extension JSONValue {
    /// This value with a merge patch applied: members set to null are removed, objects merge, all else replaces.
    func applyingMergePatch(_ patch: JSONValue) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        var result: [String: JSONValue] = objectValue ?? [:]
        for (key, change) in changes {
            if change.isNull {
                result.removeValue(forKey: key)
            } else {
                result[key] = (result[key] ?? .null).applyingMergePatch(change)
            }
        }
        return .object(result)
    }

    /// This value with the operations of a JSON patch applied in order, or none at all.
    ///
    /// - Throws: `StatusError` 422 naming the operation that failed, 400 when the patch is malformed.
    func applyingJSONPatch(_ patch: JSONValue) throws(StatusError) -> JSONValue {
        guard let operations = patch.arrayValue else { throw .badRequest("a JSON patch must be an array") }
        guard operations.count <= JSONPatchLimits.operationsMax else {
            throw StatusError(
                code: 413, reason: "RequestEntityTooLarge",
                message: "the patch has more than \(JSONPatchLimits.operationsMax) operations")
        }
        var result = self
        for operation in operations { result = try result.applying(operation: operation) }
        return result
    }

    private func applying(operation: JSONValue) throws(StatusError) -> JSONValue {
        guard let name = operation["op"]?.stringValue, let path = operation["path"]?.stringValue else {
            throw .badRequest("each operation of a JSON patch needs \"op\" and \"path\"")
        }
        var result = self
        switch name {
        case "add": try result.patch(pointer(path), with: .add(value(of: operation)))
        case "replace": try result.patch(pointer(path), with: .replace(value(of: operation)))
        case "remove": try result.patch(pointer(path), with: .remove)
        case "copy", "move":
            guard let from = operation["from"]?.stringValue else {
                throw .badRequest("\(name) needs \"from\"")
            }
            guard let moved = result.at(try pointer(from)) else { throw patchFailure(name, from) }
            if name == "move" { try result.patch(pointer(from), with: .remove) }
            try result.patch(pointer(path), with: .add(moved))
        case "test":
            guard result.at(try pointer(path)) == (operation["value"] ?? .null) else {
                throw patchFailure(name, path)
            }
        default: throw .badRequest("unexpected kind of JSON patch operation: \(name)")
        }
        return result
    }

    private enum Edit {
        case add(JSONValue)
        case replace(JSONValue)
        case remove
    }

    private func value(of operation: JSONValue) throws(StatusError) -> JSONValue {
        guard let value = operation["value"] else {
            throw .badRequest("a JSON patch operation lacks \"value\"")
        }
        return value
    }

    private func pointer(_ text: String) throws(StatusError) -> [String] {
        if text.isEmpty { return [] }
        guard text.hasPrefix("/") else { throw .badRequest("\"\(text)\" is not a JSON pointer") }
        return text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map {
            String($0.replacing("~1", with: "/").replacing("~0", with: "~"))
        }
    }

    private func at(_ path: [String]) -> JSONValue? {
        path.reduce(Optional(self)) { value, key in
            switch value {
            case .object(let members): members[key]
            case .array: Int(key).flatMap { value?[$0] }
            default: nil
            }
        }
    }

    private mutating func patch(_ path: [String], with edit: Edit) throws(StatusError) {
        guard let key = path.first else {
            switch edit {
            case .add(let value), .replace(let value): self = value
            case .remove: self = .null
            }
            return
        }
        let rest = Array(path.dropFirst())
        switch self {
        case .object(var members):
            if rest.isEmpty {
                try Self.edit(&members, key, edit)
            } else {
                guard var child = members[key] else {
                    throw patchFailure("the path", path.joined(separator: "/"))
                }
                try child.patch(rest, with: edit)
                members[key] = child
            }
            self = .object(members)
        case .array(var elements):
            if rest.isEmpty {
                try Self.edit(&elements, key, edit)
            } else {
                guard let index = Int(key), elements.indices.contains(index) else {
                    throw patchFailure("the path", path.joined(separator: "/"))
                }
                try elements[index].patch(rest, with: edit)
            }
            self = .array(elements)
        default: throw patchFailure("the path", path.joined(separator: "/"))
        }
    }

    private static func edit(
        _ members: inout [String: JSONValue], _ key: String, _ edit: Edit
    ) throws(StatusError) {
        switch edit {
        case .add(let value): members[key] = value
        case .replace(let value):
            guard members[key] != nil else { throw patchFailure("replace", key) }
            members[key] = value
        case .remove: if members.removeValue(forKey: key) == nil { throw patchFailure("remove", key) }
        }
    }

    private static func edit(_ elements: inout [JSONValue], _ key: String, _ edit: Edit) throws(StatusError) {
        if case .add(let value) = edit, key == "-" {
            elements.append(value)
            return
        }
        guard let index = Int(key), index >= 0 else { throw patchFailure("the path", key) }
        switch edit {
        case .add(let value):
            guard index <= elements.count else { throw patchFailure("add", key) }
            elements.insert(value, at: index)
        case .replace(let value):
            guard index < elements.count else { throw patchFailure("replace", key) }
            elements[index] = value
        case .remove:
            guard index < elements.count else { throw patchFailure("remove", key) }
            elements.remove(at: index)
        }
    }
}

/// Bounds of JSON patches.
enum JSONPatchLimits {
    /// Operations that one patch may hold, as in Kubernetes; more are refused with 413.
    static let operationsMax = 10_000
}

private func patchFailure(_ operation: String, _ path: String) -> StatusError {
    StatusError(
        code: 422, reason: "Invalid",
        message:
            "the server rejected our request: \(operation) operation does not apply: doc is missing path: \(path)"
    )
}
