// Where the fields of a type stand in its protobuf form.

/// The wire fields of every type that is read from protobuf.
struct WireTable: Sendable {
    /// What a field number, or a path of nested ones, stands for.
    enum Entry: Sendable, Equatable {
        case field(name: String, keepsZero: Bool)
        /// A message that JSON inlines into its parent.
        case inlined
        case ignored
    }

    static let shared = WireTable(text: SchemaText.wire)

    private let types: [String: [[Int]: Entry]]

    /// Parses the language of `SchemaText.wire`.
    init(text: String) {
        var types: [String: [[Int]: Entry]] = [:]
        var current = ""
        for line in text.split(separator: "\n") {
            var tokens = line.split(separator: " ")[...]
            if !line.hasPrefix(" ") { current = String(tokens.removeFirst()) }
            for token in tokens {
                let parts = token.split(separator: "=")
                guard parts.count == 2 else { continue }
                let path = parts[1].split { "*-".contains($0) }.joined().split(separator: ".").compactMap {
                    Int($0)
                }
                let isIgnored = parts[1].hasSuffix("-")
                types[current, default: [:]][path] =
                    isIgnored ? .ignored : .field(name: String(parts[0]), keepsZero: parts[1].hasSuffix("*"))
                for length in 1..<max(path.count, 1) {
                    types[current]?[Array(path.prefix(length))] = .inlined
                }
            }
        }
        self.types = types
    }

    /// Whether a type can be read.
    func contains(_ type: String) -> Bool { types[type] != nil }

    /// Types and fields that the schema does not know.
    func mistakes(library: SchemaLibrary) -> [String] {
        types.flatMap { type, entries in
            entries.values.compactMap { entry in
                guard case .field(let name, _) = entry, library[type]?.fields[name] == nil else { return nil }
                return "\(type).\(name): on the wire only"
            }
        }
    }

    func entry(_ type: String, _ path: [Int]) -> Entry? { types[type]?[path] }
}
