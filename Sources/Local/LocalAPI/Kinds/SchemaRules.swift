import MeshModel

/// What the schema adds to an object, and what it misses in one.
struct SchemaRules {
    let library: SchemaLibrary

    /// The object with the defaults of its type filled in, at every depth.
    func fillingDefaults(_ value: JSONValue, type: FieldType) -> JSONValue {
        switch (type, value) {
        case (.object(let name, _), .object(var members)):
            guard let type = library[name] else { return value }
            for field in type.fields.values {
                if let present = members[field.name] ?? field.defaultValue {
                    members[field.name] = fillingDefaults(present, type: field.type)
                }
            }
            return .object(members)
        case (.list(let element, _), .array(let elements)):
            return .array(elements.map { fillingDefaults($0, type: element) })
        case (.map(let element), .object(let members)):
            return .object(members.mapValues { fillingDefaults($0, type: element) })
        default: return value
        }
    }

    /// One cause for each required field that is absent or empty.
    func missing(_ value: JSONValue, type: FieldType, path: String) -> [FieldCause] {
        switch (type, value) {
        case (.object(let name, _), .object(let members)):
            guard let type = library[name] else { return [] }
            return type.fields.values.sorted { $0.name < $1.name }.flatMap { field -> [FieldCause] in
                let fieldPath = path.isEmpty ? field.name : "\(path).\(field.name)"
                guard let member = members[field.name] else {
                    return field.isRequired ? [.required(fieldPath)] : []
                }
                if field.isRequired, Self.isEmpty(member) { return [.required(fieldPath)] }
                return missing(member, type: field.type, path: fieldPath)
            }
        case (.list(let element, let rule), .array(let elements)):
            let inner = elements.enumerated().flatMap { missing($1, type: element, path: "\(path)[\($0)]") }
            return inner + Self.duplicates(elements, rule: rule, path: path)
        case (.map(let element), .object(let members)):
            return members.sorted { $0.key < $1.key }.flatMap {
                missing($0.value, type: element, path: "\(path)[\($0.key)]")
            }
        default: return []
        }
    }

    private static func isEmpty(_ value: JSONValue) -> Bool {
        switch value {
        case .string(let text): text.isEmpty
        case .array(let elements): elements.isEmpty
        default: false
        }
    }

    /// Elements told apart by their name may not share it. Other merge keys may repeat (ports by protocol).
    private static func duplicates(_ elements: [JSONValue], rule: ListMerge, path: String) -> [FieldCause] {
        guard rule == .byKey("name") else { return [] }
        // Services and environments may legally repeat or omit the name.
        guard path.hasSuffix("ontainers") || path.hasSuffix("volumes") else { return [] }
        var seen: Set<JSONValue> = []
        return elements.enumerated().compactMap { index, element in
            guard let name = element["name"], !seen.insert(name).inserted else { return nil }
            return FieldCause(
                field: "\(path)[\(index)].name", reason: .duplicate,
                message: "Duplicate value: \"\(name.stringValue ?? "")\"")
        }
    }
}

/// Names that objects may have (RFC 1123 and RFC 1035, as Kubernetes reads them).
enum ObjectName {
    static let subdomainBytesMax = 253
    static let labelBytesMax = 63

    /// Why `name` cannot name an object of a kind; `nil` when it can.
    static func mistake(_ name: String, kind: KindDescription) -> String? {
        switch kind.qualifiedName {
        case "namespaces", "services":
            isLabel(name)
                ? nil
                : "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start"
                    + " and end with an alphanumeric character"
        case let name where name.hasSuffix("rbac.authorization.k8s.io"): nil
        default:
            isSubdomain(name)
                ? nil
                : "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and"
                    + " must start and end with an alphanumeric character"
        }
    }

    static func isLabel(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard (1...labelBytesMax).contains(bytes.count), let first = bytes.first, let last = bytes.last else {
            return false
        }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && bytes.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }

    static func isSubdomain(_ text: String) -> Bool {
        guard (1...subdomainBytesMax).contains(text.utf8.count) else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
            let bytes = Array(part.utf8)
            guard let first = bytes.first, let last = bytes.last else { return false }
            return isAlphanumeric(first) && isAlphanumeric(last)
                && bytes.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
