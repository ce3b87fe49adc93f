import MeshModel

extension ObjectOperations {
    /// Times an apply begins anew because the object has come or gone meanwhile.
    private static let applyRoundsMax = 3

    /// Server-side apply: creates the object, or merges the configuration into it.
    ///
    /// - Throws: `StatusError` 400 and 422 for a configuration that is none, 409 with every field that is another
    ///   manager's.
    func apply(
        _ configuration: JSONValue, kind: KindDescription, namespace: String, name: String, force: Bool,
        options: WriteOptions
    ) async throws -> WriteOutcome {
        let (decoded, warnings) = try decode(configuration, kind: kind, validation: options.validation)
        try check(decoded, name: name, namespace: namespace, kind: kind, options: options)
        var options = options
        options.bringsOwners = true
        let chosen = options
        let apply = ServerSideApply(kind: kind, manager: options.manager, force: force, now: cluster.now())
        for _ in 0..<Self.applyRoundsMax {
            do {
                return try await change(kind, namespace, name, nil, chosen, warnings: warnings) { current in
                    (try apply.apply(decoded, to: current), [])
                }
            } catch let error as StatusError where error == .notFound(kind, name) {
                var object = try apply.apply(decoded, to: nil)
                object.set(.string(name), at: ["metadata", "name"])
                do {
                    var outcome = try await create(object, kind: kind, namespace: namespace, options: chosen)
                    outcome.warnings = warnings
                    return outcome
                } catch let error as StatusError where error == .alreadyExists(kind, name) { continue }
            }
        }
        throw StatusError.conflict(kind, name)
    }

    private func check(
        _ configuration: JSONValue, name: String, namespace: String, kind: KindDescription, options: WriteOptions
    ) throws(StatusError) {
        if options.manager.isEmpty {
            throw StatusError(
                code: 422, reason: "Invalid",
                message: "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch")
        }
        if configuration.value(at: ["metadata", "managedFields"])?.arrayValue?.isEmpty == false {
            throw .badRequest("metadata.managedFields must be nil")
        }
        if !configuration.name.isEmpty, configuration.name != name {
            throw .badRequest(
                "the name of the object (\(configuration.name)) does not match the name on the URL (\(name))")
        }
        let given = configuration.namespace
        if kind.isNamespaced, !given.isEmpty, given != namespace {
            throw .badRequest(
                "the namespace of the provided object does not match the namespace sent on the request")
        }
    }
}
