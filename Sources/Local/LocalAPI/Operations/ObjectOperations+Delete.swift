// Deletion. An object goes at once unless something holds it: finalizers, a pod's grace period (the node
// agent ends it by deleting with grace 0), or a namespace's own finalizer. With `Foreground` it waits
// until its dependents are gone; with `Orphan` its dependents lose their reference to it.

import Foundation
import MeshModel

/// `DeleteOptions` of a request.
struct DeleteOptions: Sendable {
    enum Propagation: String, Sendable {
        case background = "Background"
        case foreground = "Foreground"
        case orphan = "Orphan"
    }

    /// Who asks; the server itself unless a request says otherwise.
    var user = WriteOptions().user
    var gracePeriodSeconds: Int?
    var propagation = Propagation.background
    var uid: String?
    var resourceVersion: String?
    var isDryRun = false
}

extension ObjectOperations {
    private static let foregroundFinalizer = "foregroundDeletion"

    /// Deletes one object: its last state when something holds it, else what was removed.
    ///
    /// - Returns: The object, and whether it is gone.
    func delete(
        _ kind: KindDescription, _ namespace: String, _ name: String, options: DeleteOptions
    ) async throws -> (object: JSONValue, isGone: Bool) {
        let address = address(kind, namespace, name)
        var options = options
        if cluster.webhooks.concern(kind, subresource: "", operation: .delete) {
            options.uid = try await webhooksOnDelete(kind, address, options)
        }
        let chosen = options
        let result = try await cluster.store.write(isDryRun: options.isDryRun) { writer in
            try delete(at: address, kind: kind, options: chosen, writer: writer)
        }
        if !options.isDryRun { try await cluster.didChange(kind) }
        return result
    }

    /// Deletes every object that a selector picks; gives what was deleted, in one transaction.
    func deleteCollection(
        _ kind: KindDescription, namespace: String?, selector: ObjectSelector, options: DeleteOptions
    ) async throws -> [JSONValue] {
        if cluster.webhooks.concern(kind, subresource: "", operation: .delete) {
            // Webhooks are asked about each, and none of them waits inside a transaction.
            var deleted: [JSONValue] = []
            for stored in try await list(kind, namespace: namespace, selector: selector).items {
                let address = stored.address
                deleted.append(
                    try await delete(kind, address.namespace, address.name, options: options).object)
            }
            return deleted
        }
        let deleted = try await cluster.store.write(isDryRun: options.isDryRun) { writer in
            var deleted: [JSONValue] = []
            for stored in try writer.list(kind.qualifiedName, namespace: namespace) {
                guard selector.matches(try stored.object()) else { continue }
                deleted.append(
                    try delete(at: stored.address, kind: kind, options: options, writer: writer).object)
            }
            return deleted
        }
        if !options.isDryRun { try await cluster.didChange(kind) }
        return deleted
    }

    /// Asks the webhooks about a deletion; gives the uid of the object that they agreed on.
    private func webhooksOnDelete(
        _ kind: KindDescription, _ address: ObjectAddress, _ options: DeleteOptions
    ) async throws -> String {
        let current = try await get(kind, address.namespace, address.name).object()
        if let uid = options.uid, uid != current.uid { return uid }  // Refused below, with the reason.
        _ = try await WebhookAdmission(operations: self).admit(
            AdmissionCall(
                kind: kind, subresource: "", operation: .delete, namespace: address.namespace, name: address.name,
                object: nil, old: current, user: options.user, isDryRun: options.isDryRun))
        return current.uid
    }

    private func delete(
        at address: ObjectAddress, kind: KindDescription, options: DeleteOptions, writer: StoreWriter
    ) throws -> (object: JSONValue, isGone: Bool) {
        guard let current = try writer.get(address)?.object() else {
            throw StatusError.notFound(kind, address.name)
        }
        if let uid = options.uid, uid != current.uid {
            throw StatusError.conflict(
                kind, address.name,
                "Precondition failed: UID in precondition: \(uid), UID in object meta: \(current.uid)")
        }
        if let version = options.resourceVersion, version != current.resourceVersion {
            throw StatusError.conflict(kind, address.name)
        }
        if kind.qualifiedName == Resource.namespaces, Bootstrap.namespaces.contains(address.name) {
            throw StatusError.forbidden(kind, address.name, "this namespace may not be deleted")
        }
        var object = current
        let grace = graceSeconds(current, kind: kind, options: options)
        let ends = cluster.now().addingTimeInterval(TimeInterval(grace))
        let isShorter =
            grace < current.value(at: ["metadata", "deletionGracePeriodSeconds"])?.intValue ?? Int.max
        if !current.isTerminating || isShorter {
            object.set(.string(Timestamp.text(ends)), at: ["metadata", "deletionTimestamp"])
            object.set(.int(Int64(grace)), at: ["metadata", "deletionGracePeriodSeconds"])
        }
        if kind.qualifiedName == Resource.namespaces { object.set("Terminating", at: ["status", "phase"]) }
        try propagate(&object, kind: kind, options: options, writer: writer)
        if Self.mayVanish(object, kind: kind) {
            return (try finish(object, at: address, kind: kind, writer: writer), true)
        }
        if object == current { return (current, false) }
        return (try writer.update(object, at: address, previous: current), false)
    }

    /// Only pods that run somewhere have a grace period; a repeated delete can only shorten it.
    private func graceSeconds(_ object: JSONValue, kind: KindDescription, options: DeleteOptions) -> Int {
        guard kind.qualifiedName == Resource.pods else { return 0 }
        let phase = object.value(at: ["status", "phase"])?.stringValue
        let isAssigned = object.value(at: ["spec", "nodeName"])?.stringValue?.isEmpty == false
        if phase == "Succeeded" || phase == "Failed" || !isAssigned { return 0 }
        let wanted =
            options.gracePeriodSeconds
            ?? object.value(at: ["spec", "terminationGracePeriodSeconds"])?.intValue ?? 30
        return max(0, wanted)
    }

    /// Whether nothing holds an object that is being deleted.
    static func mayVanish(_ object: JSONValue, kind: KindDescription) -> Bool {
        guard object.finalizers.isEmpty else { return false }
        switch kind.qualifiedName {
        case Resource.pods:
            return object.value(at: ["metadata", "deletionGracePeriodSeconds"])?.intValue ?? 0 == 0
        case Resource.namespaces:
            return object.value(at: ["spec", "finalizers"])?.arrayValue?.isEmpty ?? true
        default: return true
        }
    }

    /// Removes an object for good, and whatever waited for that.
    func finish(
        _ object: JSONValue, at address: ObjectAddress, kind: KindDescription, writer: StoreWriter
    ) throws -> JSONValue {
        if kind.qualifiedName == Resource.definitions { try removeInstances(of: object, writer: writer) }
        let removed = try writer.remove(address, last: object)
        _ = try settled(removed, at: address, writer: writer)
        try releaseOwners(of: removed, writer: writer)
        return removed
    }

    private func removeInstances(of definition: JSONValue, writer: StoreWriter) throws {
        guard let kind = CustomKinds.kinds(of: definition).first else { return }
        for stored in try writer.list(kind.qualifiedName, namespace: nil) {
            _ = try writer.remove(stored.address, last: stored.object())
        }
    }

    private func propagate(
        _ object: inout JSONValue, kind: KindDescription, options: DeleteOptions, writer: StoreWriter
    ) throws {
        guard options.propagation != .background else { return }
        let dependents = try dependents(of: object, writer: writer)
        if options.propagation == .orphan {
            for stored in dependents { try disown(stored, owner: object.uid, writer: writer) }
            return
        }
        guard !dependents.isEmpty else { return }
        if !object.finalizers.contains(Self.foregroundFinalizer) {
            object.set(
                .array((object.finalizers + [Self.foregroundFinalizer]).map { .string($0) }),
                at: ["metadata", "finalizers"])
        }
        for stored in dependents {
            guard let kind = cluster.kinds.kind(qualifiedName: stored.address.resource) else { continue }
            var inner = DeleteOptions()
            inner.propagation = .foreground
            if try stored.object().isTerminating { continue }
            // A dependent that goes at once must not release an owner that is not yet marked.
            _ = try delete(at: stored.address, kind: kind, options: inner, writer: writer)
        }
        if try self.dependents(of: object, writer: writer).isEmpty {
            let rest = object.finalizers.filter { $0 != Self.foregroundFinalizer }
            object.set(.array(rest.map { .string($0) }), at: ["metadata", "finalizers"])
        }
    }

    private func dependents(of owner: JSONValue, writer: StoreWriter) throws -> [StoredObject] {
        let needle = Array(owner.uid.utf8)
        guard !needle.isEmpty else { return [] }
        return try writer.everything(in: owner.namespace.isEmpty ? nil : owner.namespace).filter { stored in
            guard stored.bytes.firstRange(of: needle) != nil else { return false }  // Cheap, and nearly always the answer.
            return try stored.object().ownerReferences.contains { $0["uid"]?.stringValue == owner.uid }
        }
    }

    private func disown(_ stored: StoredObject, owner: String, writer: StoreWriter) throws {
        let current = try stored.object()
        var object = current
        let rest = current.ownerReferences.filter { $0["uid"]?.stringValue != owner }
        object.set(rest.isEmpty ? Optional.none : .array(rest), at: ["metadata", "ownerReferences"])
        _ = try writer.update(object, at: stored.address, previous: current)
    }

    /// Owners that wait in foreground deletion go once their last dependent is gone.
    private func releaseOwners(of removed: JSONValue, writer: StoreWriter) throws {
        for reference in removed.ownerReferences {
            guard let apiVersion = reference["apiVersion"]?.stringValue,
                let name = reference["name"]?.stringValue,
                let kind = cluster.kinds.kinds.first(where: {
                    $0.apiVersion == apiVersion && $0.kind == reference["kind"]?.stringValue
                })
            else { continue }
            let address = address(kind, removed.namespace, name)
            guard let owner = try writer.get(address)?.object(), owner.uid == reference["uid"]?.stringValue,
                owner.isTerminating, owner.finalizers.contains(Self.foregroundFinalizer),
                try dependents(of: owner, writer: writer).isEmpty
            else { continue }
            var object = owner
            let rest = owner.finalizers.filter { $0 != Self.foregroundFinalizer }
            object.set(
                rest.isEmpty ? Optional.none : .array(rest.map { .string($0) }),
                at: ["metadata", "finalizers"])
            if Self.mayVanish(object, kind: kind) {
                _ = try finish(object, at: address, kind: kind, writer: writer)
            } else {
                _ = try writer.update(object, at: address, previous: owner)
            }
        }
    }
}
