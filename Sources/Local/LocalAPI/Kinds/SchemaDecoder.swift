import MeshModel

/// How unknown and duplicate fields of a request are treated (the `fieldValidation` parameter).
enum FieldValidation: String, Sendable {
    case ignore = "Ignore"
    case warn = "Warn"
    case strict = "Strict"
}

/// Reads an object by its schema: drops nulls and unknown fields, reports them, and checks types.
struct SchemaDecoder {
    let library: SchemaLibrary
    /// Paths of fields that the schema does not know.
    private(set) var unknownFields: [String] = []
    /// What is of the wrong type: path and sentence.
    private(set) var typeErrors: [String] = []

    init(library: SchemaLibrary) { self.library = library }

    /// The object with only what its kind knows. Custom kinds keep everything outside `metadata`.
    mutating func decode(_ object: JSONValue, kind: KindDescription) -> JSONValue {
        if let schema = kind.schema {
            return value(object, type: .object(schema, retainKeys: false), path: "")
        }
        var result = object
        if let metadata = object["metadata"] {
            result["metadata"] = value(
                metadata, type: .object("ObjectMeta", retainKeys: false), path: "metadata")
        }
        return result
    }

    private mutating func value(_ value: JSONValue, type: FieldType, path: String) -> JSONValue {
        switch (type, value) {
        case (.any, _): return value
        case (.object(let name, _), .object(let members)): return object(members, type: name, path: path)
        case (.list(let element, _), .array(let elements)):
            return .array(
                elements.enumerated().map { index, item in
                    self.value(item, type: element, path: "\(path)[\(index)]")
                })
        case (.map(let element), .object(let members)):
            var result: [String: JSONValue] = [:]
            for (key, member) in members {
                let isEmptyText = member.isNull && element == .string
                result[key] = isEmptyText ? "" : self.value(member, type: element, path: "\(path).\(key)")
            }
            return .object(result)
        default: return scalar(value, type: type, path: path)
        }
    }

    private mutating func object(_ members: [String: JSONValue], type name: String, path: String) -> JSONValue
    {
        guard let type = library[name] else { return .object(members) }
        var result: [String: JSONValue] = [:]
        for (key, member) in members {
            let fieldPath = path.isEmpty ? key : "\(path).\(key)"
            guard let field = type.fields[key] else {
                unknownFields.append(fieldPath)
                continue
            }
            if member.isNull { continue }
            result[key] = value(member, type: field.type, path: fieldPath)
        }
        return .object(result)
    }

    private mutating func scalar(_ value: JSONValue, type: FieldType, path: String) -> JSONValue {
        switch (type, value) {
        case (.string, .string), (.boolean, .bool), (.integer, .int), (.intOrString, .int),
            (.intOrString, .string), (.quantity, .string), (.time, .string), (.number, .int),
            (.number, .double):
            return value
        case (.quantity, .int(let number)): return .string(String(number))
        case (.quantity, .double(let number)): return .string(String(number))
        case (.integer, .double), (.intOrString, .double):
            if let whole = value.intValue { return .int(Int64(whole)) }
        case (.bytes, .string(let text)):
            if Self.isBase64(text) { return value }
            typeErrors.append("\(path): illegal base64 data")
            return value
        default: break
        }
        typeErrors.append("\(path): expected \(Self.name(of: type)), got \(Self.name(of: value))")
        return value
    }

    private static func isBase64(_ text: String) -> Bool {
        var count = 0
        var padding = 0
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                if padding > 0 { return false }
                count += 1
            case UInt8(ascii: "="): padding += 1
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"): continue
            default: return false
            }
        }
        return padding <= 2 && (count + padding) % 4 == 0
    }

    private static func name(of type: FieldType) -> String {
        switch type {
        case .string: "string"
        case .integer: "integer"
        case .boolean: "boolean"
        case .number: "number"
        case .quantity: "quantity"
        case .intOrString: "integer or string"
        case .bytes: "base64 string"
        case .time: "time"
        case .any: "anything"
        case .object(let name, _): name
        case .list: "array"
        case .map: "object"
        }
    }

    private static func name(of value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .int, .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}
