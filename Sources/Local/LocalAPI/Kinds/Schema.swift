// The fields of each kind as data. A schema library is parsed once from a small text language; strict
// validation, defaults, strategic merge and the OpenAPI documents are all derived from it.
//
//   Container name:string! image:string ports:[]ContainerPort/containerPort env:{}string
//     terminationMessagePolicy:string=File
//
// A line that starts in the first column opens a type, indented lines continue it. A field is
// `name:type`, with `[]` for a list, `{}` for a map, `/key` for a list merged by that member (`/+` for
// a list of scalars merged as a set), `~` for an object whose patch keeps only `$retainKeys`, `!` for
// required, `=value` for the default (JSON when it opens with `{`, `[`, a digit or is true or false).

import MeshModel

/// What a field may hold.
indirect enum FieldType: Sendable, Hashable {
    case string, integer, boolean, number, quantity, intOrString, bytes, time
    /// Anything at all: neither validated nor merged by key.
    case any
    /// A type of the library, by name.
    case object(String, retainKeys: Bool)
    case list(FieldType, ListMerge)
    case map(FieldType)
}

/// How a strategic merge patch treats a list.
enum ListMerge: Sendable, Hashable {
    case replace
    /// Elements are objects told apart by this member.
    case byKey(String)
    /// Elements are scalars, and the list is a set.
    case asSet
}

/// One field of a type.
struct SchemaField: Sendable, Hashable {
    let name: String
    let type: FieldType
    let isRequired: Bool
    let defaultValue: JSONValue?
}

/// A named type: its fields by name.
struct SchemaType: Sendable, Hashable {
    let name: String
    var fields: [String: SchemaField]
}

/// All types by name.
struct SchemaLibrary: Sendable {
    private(set) var types: [String: SchemaType] = [:]
    /// Mistakes in the text, for a test to find none.
    private(set) var mistakes: [String] = []

    /// Parses texts of the language above; later texts may add types, never change one.
    init(texts: [String]) {
        for text in texts { add(text) }
        for type in types.values {
            for field in type.fields.values {
                if let missing = missingReference(field.type) {
                    mistakes.append("\(type.name).\(field.name): \(missing)")
                }
            }
        }
    }

    /// The type with a name, `nil` when unknown or when `name` is `nil`.
    subscript(name: String?) -> SchemaType? { name.flatMap { types[$0] } }

    private mutating func add(_ text: String) {
        var current: SchemaType?
        for line in text.split(separator: "\n") where !line.allSatisfy(\.isWhitespace) {
            var tokens = line.split(separator: " ")[...]
            if !line.hasPrefix(" ") {
                if let current { store(current) }
                current = SchemaType(name: String(tokens.removeFirst()), fields: [:])
            }
            for token in tokens {
                guard let field = Self.field(token) else {
                    mistakes.append("\(current?.name ?? "?"): \(token)")
                    continue
                }
                current?.fields[field.name] = field
            }
        }
        if let current { store(current) }
    }

    private mutating func store(_ type: SchemaType) {
        if types.updateValue(type, forKey: type.name) != nil {
            mistakes.append("\(type.name): defined twice")
        }
    }

    private static func field(_ token: Substring) -> SchemaField? {
        guard let colon = token.firstIndex(of: ":") else { return nil }
        let name = String(token[..<colon])
        var rest = token[token.index(after: colon)...]
        var defaultValue: JSONValue?
        if let equals = rest.firstIndex(of: "=") {
            defaultValue = literal(String(rest[rest.index(after: equals)...]))
            rest = rest[..<equals]
        }
        let isRequired = rest.hasSuffix("!")
        if isRequired { rest = rest.dropLast() }
        return SchemaField(
            name: name, type: fieldType(rest), isRequired: isRequired, defaultValue: defaultValue)
    }

    private static func literal(_ text: String) -> JSONValue {
        let isJSON =
            text == "true" || text == "false" || text.first.map { "{[".contains($0) } == true
            || Int(text) != nil
        if isJSON, let value = try? JSONValue(parsing: text) { return value }  // Anything else is a string.
        return .string(text)
    }

    private static func fieldType(_ text: Substring) -> FieldType {
        if text.hasPrefix("[]") {
            let parts = text.dropFirst(2).split(separator: "/", maxSplits: 1)
            let merge: ListMerge =
                parts.count < 2 ? .replace : parts[1] == "+" ? .asSet : .byKey(String(parts[1]))
            return .list(fieldType(parts[0]), merge)
        }
        if text.hasPrefix("{}") { return .map(fieldType(text.dropFirst(2))) }
        switch text {
        case "string": return .string
        case "int": return .integer
        case "bool": return .boolean
        case "num": return .number
        case "quantity": return .quantity
        case "intstr": return .intOrString
        case "bytes": return .bytes
        case "time": return .time
        case "any": return .any
        default:
            let retains = text.hasSuffix("~")
            return .object(String(retains ? text.dropLast() : text), retainKeys: retains)
        }
    }

    private func missingReference(_ type: FieldType) -> String? {
        switch type {
        case .object(let name, _): types[name] == nil ? "unknown type \(name)" : nil
        case .list(let element, _), .map(let element): missingReference(element)
        default: nil
        }
    }
}
