// The JSON patch (RFC 6902) that turns one document into another. Made for injection: members are added, changed
// and removed one by one; a list that has only grown at its ends is added to, and any other is replaced.

import MeshModel

/// Writes patches.
enum JSONPatchWriter {
    /// The operations, in an order that applies; empty when the documents are equal.
    static func operations(from old: JSONValue, to new: JSONValue) -> [JSONValue] {
        var operations: [JSONValue] = []
        compare(old, new, path: "", &operations)
        return operations
    }

    private static func compare(_ old: JSONValue, _ new: JSONValue, path: String, _ operations: inout [JSONValue]) {
        switch (old, new) {
        case _ where old == new: return
        case (.object(let before), .object(let after)):
            for key in before.keys.sorted() where after[key] == nil {
                operations.append(["op": "remove", "path": .string(path + "/" + escaped(key))])
            }
            for key in after.keys.sorted() {
                let member = path + "/" + escaped(key)
                guard let value = after[key] else { continue }
                if let present = before[key] {
                    compare(present, value, path: member, &operations)
                } else {
                    operations.append(["op": "add", "path": .string(member), "value": value])
                }
            }
        case (.array(let before), .array(let after)): grow(before, after, path: path, &operations)
        default: operations.append(["op": "replace", "path": .string(path), "value": new])
        }
    }

    private static func grow(
        _ before: [JSONValue], _ after: [JSONValue], path: String, _ operations: inout [JSONValue]
    ) {
        if after.count > before.count, Array(after.prefix(before.count)) == before {
            for element in after.dropFirst(before.count) {
                operations.append(["op": "add", "path": .string(path + "/-"), "value": element])
            }
        } else if after.count > before.count, Array(after.suffix(before.count)) == before {
            for (index, element) in after.dropLast(before.count).enumerated() {
                operations.append(["op": "add", "path": .string("\(path)/\(index)"), "value": element])
            }
        } else {
            operations.append(["op": "replace", "path": .string(path), "value": .array(after)])
        }
    }

    private static func escaped(_ key: String) -> String {
        key.replacing("~", with: "~0").replacing("/", with: "~1")
    }
}
