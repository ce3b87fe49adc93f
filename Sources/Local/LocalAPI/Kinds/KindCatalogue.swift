import MeshModel

/// The kinds that are served: the built-in ones and those of stored CustomResourceDefinitions.
struct KindCatalogue: Sendable {
    static let schemas = SchemaLibrary(texts: SchemaText.all)
    static let builtIn = KindCatalogue(kinds: BuiltInKinds.all)

    let kinds: [KindDescription]
    private let byResource: [String: KindDescription]

    init(kinds: [KindDescription]) {
        self.kinds = kinds
        byResource = Dictionary(
            kinds.map { ("\($0.apiVersion)/\($0.plural)", $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The kind served under a group, version and plural; `nil` when there is none.
    func kind(apiVersion: String, plural: String) -> KindDescription? {
        byResource["\(apiVersion)/\(plural)"]
    }

    /// The kind with a qualified name such as `deployments.apps`.
    func kind(qualifiedName: String) -> KindDescription? { kinds.first { $0.qualifiedName == qualifiedName } }

    /// This catalogue with the kinds of custom resource definitions added; built-in ones win.
    func adding(definitions: [JSONValue]) -> KindCatalogue {
        KindCatalogue(kinds: kinds + definitions.flatMap(CustomKinds.kinds))
    }
}

/// Kinds described by CustomResourceDefinition objects: stored without a schema.
enum CustomKinds {
    static func kinds(of definition: JSONValue) -> [KindDescription] {
        guard let spec = definition["spec"], let group = spec["group"]?.stringValue,
            let names = spec["names"],
            let kind = names["kind"]?.stringValue, let plural = names["plural"]?.stringValue
        else { return [] }
        let versions = (spec["versions"]?.arrayValue ?? []).filter { $0["served"]?.boolValue != false }
        return versions.compactMap { version in
            guard let name = version["name"]?.stringValue else { return nil }
            let columns = (version["additionalPrinterColumns"]?.arrayValue ?? []).map(column)
            let hasAge = columns.contains { $0.name == "Age" }
            return KindDescription(
                "\(group)/\(name)", kind, plural,
                short: (names["shortNames"]?.arrayValue ?? []).compactMap(\.stringValue),
                categories: (names["categories"]?.arrayValue ?? []).compactMap(\.stringValue),
                namespaced: spec["scope"]?.stringValue != "Cluster",
                columns: [TableColumn.nameColumn] + columns + (hasAge ? [] : [TableColumn.ageColumn]),
                sub: subresources(version), singular: names["singular"]?.stringValue)
        }
    }

    private static func subresources(_ version: JSONValue) -> [KindDescription.Subresource] {
        let declared = version["subresources"]?.objectValue ?? [:]
        return [.status, .scale].filter { declared[$0.rawValue] != nil }
    }

    private static func column(_ column: JSONValue) -> TableColumn {
        TableColumn(
            name: column["name"]?.stringValue ?? "", type: column["type"]?.stringValue ?? "string",
            format: column["format"]?.stringValue ?? "", priority: column["priority"]?.intValue ?? 0,
            jsonPath: column["jsonPath"]?.stringValue ?? "")
    }
}
