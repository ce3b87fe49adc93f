/// What a test asks of the kinds described as data.
package enum CatalogueCheck {
    /// Mistakes in the schema texts, kinds whose schema is missing, and wire fields without a schema field.
    package static var mistakes: [String] {
        let library = KindCatalogue.schemas
        let missing = KindCatalogue.builtIn.kinds.filter { library[$0.schema] == nil }.map {
            "\($0.kind): no schema"
        }
        return library.mistakes + missing + WireTable.shared.mistakes(library: library)
    }

    /// The qualified names of all built-in kinds, e.g. `deployments.apps`.
    package static var resources: [String] { KindCatalogue.builtIn.kinds.map(\.qualifiedName) }

    /// Computed columns that nothing computes.
    package static var unknownColumns: [String] {
        KindCatalogue.builtIn.kinds.flatMap(\.columns).compactMap { column in
            guard case .computed(let name) = column.source, !TableCells.isKnown(name) else { return nil }
            return name
        }
    }
}
