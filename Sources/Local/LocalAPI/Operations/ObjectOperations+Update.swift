import Foundation
import MeshModel

/// Kinds of patch by media type.
enum PatchKind: Sendable { case merge, json, strategic }

extension ObjectOperations {
    /// Times a change is shown to webhooks when the object keeps changing under it.
    private static let webhookRoundsMax = 5

    /// Replaces an object, or one sub-resource of it.
    ///
    /// - Throws: `StatusError` 404 when absent, 409 when the given resourceVersion is stale, 422 for broken rules.
    func update(
        _ body: JSONValue, kind: KindDescription, namespace: String, name: String,
        subresource: KindDescription.Subresource?, options: WriteOptions
    ) async throws -> WriteOutcome {
        let (object, warnings) = try decode(body, kind: kind, validation: options.validation)
        guard object.name == name else {
            throw StatusError.badRequest(
                "the name of the object (\(object.name)) does not match the name on the URL (\(name))")
        }
        return try await change(kind, namespace, name, subresource, options, warnings: warnings) { _ in
            (object, [])
        }
    }

    /// Patches an object, or one sub-resource of it.
    func patch(
        _ patch: JSONValue, type: PatchKind, kind: KindDescription, namespace: String, name: String,
        subresource: KindDescription.Subresource?, options: WriteOptions
    ) async throws -> WriteOutcome {
        if type == .strategic, !kind.isBuiltIn {
            throw StatusError.unsupportedMediaType(
                "the body of the request was in an unknown format - accepted media types include: "
                    + "application/json-patch+json, application/merge-patch+json")
        }
        return try await change(kind, namespace, name, subresource, options, warnings: []) { current in
            let patched = try Self.patched(current, with: patch, type: type, kind: kind)
            let (object, warnings) = try decode(patched, kind: kind, validation: options.validation)
            return (object, warnings)
        }
    }

    static func patched(
        _ current: JSONValue, with patch: JSONValue, type: PatchKind, kind: KindDescription
    ) throws(StatusError) -> JSONValue {
        switch type {
        case .merge: current.applyingMergePatch(patch)
        case .json: try current.applyingJSONPatch(patch)
        case .strategic: try StrategicMerge(library: library).apply(patch, to: current, type: kind.schema)
        }
    }

    /// Runs one change of an existing object in a transaction.
    ///
    /// - Parameter propose: Gives the wanted object and warnings from the present one.
    func change(
        _ kind: KindDescription, _ namespace: String, _ name: String,
        _ subresource: KindDescription.Subresource?,
        _ options: WriteOptions, warnings: [String],
        propose: @Sendable (JSONValue) throws -> (JSONValue, [String])
    ) async throws -> WriteOutcome {
        let address = address(kind, namespace, name)
        let policy = cluster.policy
        @Sendable func run(_ writer: StoreWriter) throws -> (current: JSONValue, outcome: WriteOutcome) {
            guard let current = try writer.get(address)?.object() else { throw StatusError.notFound(kind, name) }
            let (proposed, more) = try propose(current)
            if proposed["rules"] != current["rules"] || proposed["roleRef"] != nil {
                try EscalationGuard(policy: policy, user: options.user).check(
                    proposed, kind: kind, namespace: namespace)
            }
            let stored = try replace(
                current, with: proposed, kind: kind, subresource: subresource, options: options, writer: writer)
            return (current, WriteOutcome(object: stored, warnings: warnings + more))
        }
        let outcome: WriteOutcome
        if cluster.webhooks.concern(kind, subresource: subresource?.rawValue ?? "", operation: .update) {
            outcome = try await changeWithWebhooks(kind, namespace, name, subresource, options, run)
        } else {
            outcome = try await cluster.store.write(isDryRun: options.isDryRun) { try run($0).outcome }
        }
        if !options.isDryRun { try await cluster.didChange(kind) }
        return outcome
    }

    /// Tries a change without keeping it, shows the result to the webhooks, and makes the change with what they made
    /// of it; begins anew when the object has changed meanwhile.
    private func changeWithWebhooks(
        _ kind: KindDescription, _ namespace: String, _ name: String, _ subresource: KindDescription.Subresource?,
        _ options: WriteOptions, _ run: @Sendable (StoreWriter) throws -> (current: JSONValue, outcome: WriteOutcome)
    ) async throws -> WriteOutcome {
        let address = address(kind, namespace, name)
        for _ in 0..<Self.webhookRoundsMax {
            let (current, trial) = try await cluster.store.write(isDryRun: true) { try run($0) }
            var object = trial.object
            object.set(current.value(at: ["metadata", "resourceVersion"]), at: ["metadata", "resourceVersion"])
            let admitted = try await WebhookAdmission(operations: self).admit(
                AdmissionCall(
                    kind: kind, subresource: subresource?.rawValue ?? "", operation: .update,
                    namespace: address.namespace, name: name, object: object, old: current, user: options.user,
                    isDryRun: options.isDryRun))
            let wanted = admitted.object ?? object
            let warnings = trial.warnings + admitted.warnings
            let outcome = try await cluster.store.write(isDryRun: options.isDryRun) { writer -> WriteOutcome? in
                guard let now = try writer.get(address)?.object() else { throw StatusError.notFound(kind, name) }
                guard now.resourceVersion == current.resourceVersion else { return nil }
                let stored = try replace(
                    now, with: wanted, kind: kind, subresource: subresource, options: options, writer: writer)
                return WriteOutcome(object: stored, warnings: warnings)
            }
            if let outcome { return outcome }
        }
        throw StatusError.conflict(kind, name)
    }

    /// Replaces an object inside a transaction. Changing nothing writes nothing, so that controllers that
    /// repeat themselves do not wake one another.
    func replace(
        _ current: JSONValue, with proposed: JSONValue, kind: KindDescription,
        subresource: KindDescription.Subresource?, options: WriteOptions = WriteOptions(), writer: StoreWriter
    ) throws -> JSONValue {
        try checkPreconditions(proposed, against: current, kind: kind)
        var object = try combine(current, proposed, kind: kind, subresource: subresource)
        let owners = (options.bringsOwners ? proposed : current).value(at: ["metadata", "managedFields"])
        if subresource == nil {
            object = fillDefaults(object, kind: kind)
            let admission = Admission(operations: self, writer: writer)
            object = try admission.admitUpdate(object, current: current, kind: kind)
            let frozen = KindRules.immutableChanges(from: current, to: object, kind: kind)
            if !frozen.isEmpty { throw StatusError.invalid(kind, current.name, frozen) }
            try validate(object, kind: kind)
            object.set(owners, at: ["metadata", "managedFields"])
            if owners != nil, !options.bringsOwners {
                let apply = ServerSideApply(kind: kind, manager: options.manager, force: true, now: cluster.now())
                object = apply.follow(from: current, to: object)
            }
        }
        let address = address(kind, current.namespace, current.name)
        if object.isTerminating, Self.mayVanish(object, kind: kind) {
            return try finish(object, at: address, kind: kind, writer: writer)
        }
        if object == current { return current }
        if Self.specChanged(current, object),
            let generation = current.value(at: ["metadata", "generation"])?.intValue
        {
            object.set(.int(Int64(generation + 1)), at: ["metadata", "generation"])
        }
        return try settled(
            writer.update(object, at: address, previous: current), at: address, writer: writer)
    }

    private func checkPreconditions(
        _ proposed: JSONValue, against current: JSONValue, kind: KindDescription
    ) throws(StatusError) {
        if !proposed.uid.isEmpty, proposed.uid != current.uid {
            throw .conflict(
                kind, current.name,
                "Precondition failed: UID in precondition: \(proposed.uid), UID in object meta: \(current.uid)"
            )
        }
        let version = proposed.resourceVersion
        if !version.isEmpty, version != "0", version != current.resourceVersion {
            throw .conflict(kind, current.name)
        }
    }

    /// The wanted object with what a client may not change taken from the present one.
    private func combine(
        _ current: JSONValue, _ proposed: JSONValue, kind: KindDescription,
        subresource: KindDescription.Subresource?
    ) throws -> JSONValue {
        switch subresource {
        case .status:
            var object = current
            object["status"] = proposed["status"]
            return object
        case .finalize:
            var object = current
            object.set(proposed.value(at: ["spec", "finalizers"]), at: ["spec", "finalizers"])
            return object
        default:
            var object = proposed
            if kind.hasStatus { object["status"] = current["status"] }
            var metadata = proposed["metadata"] ?? [:]
            for field in [
                "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "generation", "resourceVersion",
            ] {
                metadata[field] = current.value(at: ["metadata", field])
            }
            metadata["managedFields"] = nil
            metadata["selfLink"] = nil
            object["metadata"] = metadata
            return object
        }
    }

    /// Whether anything but metadata and status differs.
    private static func specChanged(_ old: JSONValue, _ new: JSONValue) -> Bool {
        func spec(_ object: JSONValue) -> [String: JSONValue] {
            (object.objectValue ?? [:]).filter { $0.key != "metadata" && $0.key != "status" }
        }
        return spec(old) != spec(new)
    }
}
