import Foundation
import MeshModel

/// Reads and changes objects of any kind; the rules that make a store an API.
struct ObjectOperations: Sendable {
    let cluster: Cluster

    static let library = KindCatalogue.schemas

    func address(_ kind: KindDescription, _ namespace: String, _ name: String) -> ObjectAddress {
        ObjectAddress(resource: kind.qualifiedName, namespace: kind.isNamespaced ? namespace : "", name: name)
    }

    /// One object.
    ///
    /// - Throws: `StatusError` 404 when absent.
    func get(_ kind: KindDescription, _ namespace: String, _ name: String) async throws -> StoredObject {
        let address = address(kind, namespace, name)
        guard let stored = try await cluster.store.read({ try $0.get(address) }) else {
            throw StatusError.notFound(kind, name)
        }
        return stored
    }

    /// The objects that a selector picks, and the resourceVersion of the state they were read from.
    func list(
        _ kind: KindDescription, namespace: String?, selector: ObjectSelector
    ) async throws -> (items: [StoredObject], resourceVersion: Int64) {
        let resource = kind.qualifiedName
        return try await cluster.store.read { reader in
            let all = try reader.list(resource, namespace: namespace)
            let items =
                selector.isEverything
                ? all
                : try all.filter { stored in
                    if let name = selector.fields.name, name != stored.address.name { return false }
                    return selector.matches(try stored.object())
                }
            return (items, try reader.resourceVersion())
        }
    }

    /// Reads a request's document by its kind's schema.
    ///
    /// - Throws: `StatusError` 400 when it is of another kind, has a field of the wrong type, or, with
    ///   `Strict`, an unknown field.
    /// - Returns: The document without what the schema does not know, and warnings about that.
    func decode(
        _ body: JSONValue, kind: KindDescription, validation: FieldValidation
    ) throws(StatusError) -> (object: JSONValue, warnings: [String]) {
        guard case .object = body else { throw .badRequest("the body must be a JSON object") }
        if let given = body["kind"]?.stringValue, !given.isEmpty, given != kind.kind {
            throw .badRequest("\(given) in version \"\(kind.version)\" cannot be handled as a \(kind.kind)")
        }
        if let given = body["apiVersion"]?.stringValue, !given.isEmpty, given != kind.apiVersion {
            throw .badRequest(
                "the API version in the data (\(given)) does not match the expected API version (\(kind.apiVersion))"
            )
        }
        var decoder = SchemaDecoder(library: Self.library)
        var object = decoder.decode(body, kind: kind)
        let prefix = "\(kind.kind) in version \"\(kind.version)\" cannot be handled as a \(kind.kind): "
        if let mistake = decoder.typeErrors.sorted().first { throw .badRequest(prefix + mistake) }
        let unknown = decoder.unknownFields.sorted().map { "unknown field \"\($0)\"" }
        if validation == .strict, !unknown.isEmpty {
            throw .badRequest(prefix + "strict decoding error: " + unknown.joined(separator: ", "))
        }
        object["apiVersion"] = .string(kind.apiVersion)
        object["kind"] = .string(kind.kind)
        return (object, validation == .warn ? unknown : [])
    }

    /// Defaults of the schema and of the kind's own rules.
    func fillDefaults(_ object: JSONValue, kind: KindDescription) -> JSONValue {
        guard let schema = kind.schema else { return object }
        let rules = SchemaRules(library: Self.library)
        let filled = rules.fillingDefaults(object, type: .object(schema, retainKeys: false))
        return KindDefaults.fill(filled, kind: kind)
    }

    /// - Throws: `StatusError` 422 with one cause for each broken rule.
    func validate(_ object: JSONValue, kind: KindDescription) throws(StatusError) {
        var causes: [FieldCause] = []
        if let mistake = ObjectName.mistake(object.name, kind: kind) {
            causes.append(.invalid("metadata.name", object.name, mistake))
        }
        if let schema = kind.schema {
            let rules = SchemaRules(library: Self.library)
            causes += rules.missing(object, type: .object(schema, retainKeys: false), path: "")
            causes += KindRules.broken(object, kind: kind)
        }
        if !causes.isEmpty { throw .invalid(kind, object.name, causes) }
    }
}
