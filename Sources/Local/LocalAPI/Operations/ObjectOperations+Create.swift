import Foundation
import MeshModel

extension ObjectOperations {
    /// Times a generated name is drawn again when it is taken.
    private static let generateAttemptsMax = 8

    /// Creates an object.
    ///
    /// - Throws: `StatusError`: 400, 403, 404 (namespace), 409 and 422 as Kubernetes gives them.
    func create(
        _ body: JSONValue, kind: KindDescription, namespace: String, options: WriteOptions
    ) async throws -> WriteOutcome {
        let (decoded, warnings) = try decode(body, kind: kind, validation: options.validation)
        let given = decoded.namespace
        if kind.isNamespaced, !given.isEmpty, given != namespace {
            throw StatusError.badRequest(
                "the namespace of the provided object does not match the namespace sent on the request")
        }
        try EscalationGuard(policy: cluster.policy, user: options.user).check(decoded, kind: kind, namespace: namespace)
        let admitted = try await webhooksOnCreate(decoded, kind: kind, namespace: namespace, options: options)
        let object = admitted.object ?? decoded
        let owners = options.bringsOwners ? decoded.value(at: ["metadata", "managedFields"]) : nil
        let stored = try await cluster.store.write(isDryRun: options.isDryRun) { writer in
            try insert(object, kind: kind, namespace: namespace, owners: owners, writer: writer)
        }
        if !options.isDryRun { try await cluster.didChange(kind) }
        return WriteOutcome(code: 201, object: stored, warnings: warnings + admitted.warnings)
    }

    /// What webhooks make of a new object. They see it with its defaults and, a pod, with its account's token, but
    /// before it has an identity.
    private func webhooksOnCreate(
        _ decoded: JSONValue, kind: KindDescription, namespace: String, options: WriteOptions
    ) async throws -> WebhookAdmission.Outcome {
        guard cluster.webhooks.concern(kind, subresource: "", operation: .create) else { return .init(warnings: []) }
        var preview = decoded
        if kind.isNamespaced { preview.set(.string(namespace), at: ["metadata", "namespace"]) }
        preview = fillDefaults(preview, kind: kind)
        let given = preview
        let object = try await cluster.store.write(isDryRun: true) { writer in
            let admission = Admission(operations: self, writer: writer)
            if kind.isNamespaced { try admission.requireLiveNamespace(namespace, kind: kind, name: given.name) }
            return try admission.preview(given, kind: kind)
        }
        return try await WebhookAdmission(operations: self).admit(
            AdmissionCall(
                kind: kind, subresource: "", operation: .create, namespace: kind.isNamespaced ? namespace : "",
                name: object.name, object: object, old: nil, user: options.user, isDryRun: options.isDryRun))
    }

    /// Creates an object inside a transaction: identity, defaults, admission, rules.
    ///
    /// - Parameter owners: The record of whose its fields are, if there is one.
    func insert(
        _ decoded: JSONValue, kind: KindDescription, namespace: String, owners: JSONValue? = nil, writer: StoreWriter
    ) throws -> JSONValue {
        var object = decoded
        let name = try chooseName(object, kind: kind, namespace: namespace, writer: writer)
        object["metadata"] = identity(object["metadata"], kind: kind, namespace: namespace, name: name)
        if let owners { object.set(owners, at: ["metadata", "managedFields"]) }
        object["apiVersion"] = .string(kind.apiVersion)
        object["kind"] = .string(kind.kind)
        if kind.hasStatus, kind.isBuiltIn { object["status"] = [:] }
        object = fillDefaults(object, kind: kind)
        let admission = Admission(operations: self, writer: writer)
        if kind.isNamespaced { try admission.requireLiveNamespace(namespace, kind: kind, name: name) }
        object = try admission.admitCreate(object, kind: kind)
        try validate(object, kind: kind)
        let address = address(kind, namespace, name)
        guard try writer.get(address) == nil else { throw StatusError.alreadyExists(kind, name) }
        let stored = try writer.insert(object, at: address)
        try admission.didCreate(stored, kind: kind)
        return try settled(stored, at: address, writer: writer)
    }

    /// The object once whatever follows from its change has been done in the same transaction.
    func settled(_ object: JSONValue, at address: ObjectAddress, writer: StoreWriter) throws -> JSONValue {
        guard address.resource == AggregatedRoles.resource else { return object }
        try AggregatedRoles(writer: writer).settle()
        return try writer.get(address)?.object() ?? object
    }

    private func chooseName(
        _ object: JSONValue, kind: KindDescription, namespace: String, writer: StoreWriter
    ) throws -> String {
        if !object.name.isEmpty { return object.name }
        guard let prefix = object.value(at: ["metadata", "generateName"])?.stringValue, !prefix.isEmpty else {
            throw StatusError.invalid(
                kind, "",
                [
                    FieldCause(
                        field: "metadata.name", reason: .required,
                        message: "Required value: name or generateName is required")
                ])
        }
        for _ in 0..<Self.generateAttemptsMax {
            let name = prefix + RandomName.suffix()
            if try writer.get(address(kind, namespace, name)) == nil { return name }
        }
        throw StatusError.alreadyExists(kind, prefix)
    }

    private func identity(
        _ metadata: JSONValue?, kind: KindDescription, namespace: String, name: String
    ) -> JSONValue {
        var metadata = metadata ?? [:]
        for field in [
            "resourceVersion", "managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds",
        ] {
            metadata[field] = nil
        }
        metadata["name"] = .string(name)
        metadata["namespace"] = kind.isNamespaced ? .string(namespace) : nil
        metadata["uid"] = .string(UUID().uuidString.lowercased())
        metadata["creationTimestamp"] = .string(Timestamp.text(cluster.now()))
        metadata["generation"] = kind.hasStatus || !kind.isBuiltIn ? 1 : nil
        return metadata
    }
}

/// Names drawn at random.
enum RandomName {
    /// Letters without vowels and digits that look like none, so that no word appears by chance.
    private static let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")

    /// Five characters, as appended to `generateName`.
    static func suffix() -> String {
        String((0..<5).map { _ in alphabet[Int.random(in: alphabet.indices)] })
    }
}
