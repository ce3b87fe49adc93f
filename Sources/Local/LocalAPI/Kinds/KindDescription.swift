import MeshModel

/// A kind of object as data; discovery, routing, validation, tables and selectors are derived from it.
struct KindDescription: Sendable, Hashable {
    /// Sub-resources that a kind may have beside itself.
    enum Subresource: String, Sendable, Hashable, CaseIterable {
        case status, scale, log, portforward, proxy, eviction, binding, token, finalize, exec, attach
        case ephemeralcontainers, approval
    }

    let group: String
    let version: String
    let kind: String
    let plural: String
    let singular: String
    let shortNames: [String]
    let categories: [String]
    let isNamespaced: Bool
    /// The type of the schema library that describes it; `nil` accepts any fields (custom resources).
    let schema: String?
    let columns: [TableColumn]
    /// Fields that a field selector may name, beside `metadata.name` and `metadata.namespace`.
    let selectableFields: [String]
    let subresources: [Subresource]
    /// Dotted paths that no update may change once set.
    let immutableFields: [String]

    init(
        _ apiVersion: String, _ kind: String, _ plural: String, short: [String] = [],
        categories: [String] = [],
        namespaced: Bool = true, schema: String? = nil, columns: [TableColumn] = [], select: [String] = [],
        sub: [Subresource] = [], immutable: [String] = [], singular: String? = nil
    ) {
        let parts = apiVersion.split(separator: "/")
        group = parts.count == 2 ? String(parts[0]) : ""
        version = String(parts.last ?? "v1")
        self.kind = kind
        self.plural = plural
        self.singular = singular ?? kind.lowercased()
        shortNames = short
        self.categories = categories
        isNamespaced = namespaced
        self.schema = schema
        self.columns = columns.isEmpty ? TableColumn.nameAndAge : columns
        selectableFields = select
        subresources = sub
        immutableFields = immutable
    }

    /// `v1` or `apps/v1`.
    var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
    /// `pods` or `deployments.apps`, as messages and the store name it.
    var qualifiedName: String { group.isEmpty ? plural : "\(plural).\(group)" }
    /// `Pod` or `Deployment.apps`, as messages about invalid objects name it.
    var qualifiedKind: String { group.isEmpty ? kind : "\(kind).\(group)" }
    var listKind: String { kind + "List" }
    var hasStatus: Bool { subresources.contains(.status) }
    /// Whether the schema knows every field, so that client-side apply sends strategic merge patches.
    var isBuiltIn: Bool { schema != nil }
}

/// One column of a Table, and where its cells come from.
struct TableColumn: Sendable, Hashable {
    /// Where a cell's value comes from.
    enum Source: Sendable, Hashable {
        /// Keys from the root of the object.
        case path([String])
        /// A simple JSONPath of a custom resource's printer column.
        case jsonPath(String)
        /// A computation named here and done in `TableCells`.
        case computed(String)
    }

    let name: String
    let type: String
    let format: String
    let priority: Int
    let source: Source

    /// Reads `Name|type|priority|source`: `.spec.x` is a path, `@x` a computation.
    init(_ text: String) {
        let parts = text.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        name = parts[0]
        type = parts.count > 1 ? parts[1] : "string"
        format = parts[0] == "Name" ? "name" : ""
        priority = parts.count > 2 ? Int(parts[2]) ?? 0 : 0
        let from = parts.count > 3 ? parts[3] : ""
        source =
            from.hasPrefix("@")
            ? .computed(String(from.dropFirst()))
            : .path(from.split(separator: ".").map(String.init))
    }

    init(name: String, type: String, format: String, priority: Int, jsonPath: String) {
        self.name = name
        self.type = type
        self.format = format
        self.priority = priority
        source = .jsonPath(jsonPath)
    }

    static let nameColumn = TableColumn("Name|string|0|.metadata.name")
    static let ageColumn = TableColumn("Age|string|0|@age")
    static let nameAndAge = [nameColumn, ageColumn]

    /// The name, the given columns, then the age at the place of `Age` or at the end of priority 0.
    static func list(_ texts: String...) -> [TableColumn] {
        [nameColumn] + texts.map { $0 == "Age" ? ageColumn : TableColumn($0) }
    }
}
