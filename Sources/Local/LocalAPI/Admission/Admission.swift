import Foundation
import MeshModel

/// What happens to an object between its defaults and the store: fields that the server itself decides.
struct Admission {
    /// The ConfigMap of every namespace that holds the authority's certificate.
    static let authorityMap = "kube-root-ca.crt"

    let operations: ObjectOperations
    let writer: StoreWriter

    var cluster: Cluster { operations.cluster }

    /// - Throws: `StatusError` 404 when the namespace is absent, 403 when it is being deleted.
    func requireLiveNamespace(_ namespace: String, kind: KindDescription, name: String) throws {
        guard let namespaces = cluster.kinds.kind(qualifiedName: Resource.namespaces) else { return }
        guard let object = try writer.object(Resource.namespaces, "", namespace) else {
            throw StatusError.notFound(namespaces, namespace)
        }
        if object.isTerminating {
            throw StatusError.forbidden(
                kind, name,
                "unable to create new content in namespace \(namespace) because it is being terminated")
        }
    }

    func admitCreate(_ object: JSONValue, kind: KindDescription) throws -> JSONValue {
        switch kind.qualifiedName {
        case Resource.pods: try PodAdmission(admission: self).admit(object, kind: kind)
        case Resource.services: try ServiceAdmission(admission: self).admit(object, current: nil, kind: kind)
        case Resource.namespaces: namespace(object)
        case Resource.definitions: definition(object)
        case Resource.jobs: job(object)
        case "persistentvolumeclaims": withStatus(object, ["phase": "Pending"])
        case "persistentvolumes": withStatus(object, ["phase": "Available"])
        case "apiservices.apiregistration.k8s.io": object
        default: object
        }
    }

    /// What a webhook sees of a new object: of what the server decides itself, only what Kubernetes decides before
    /// it asks webhooks.
    func preview(_ object: JSONValue, kind: KindDescription) throws -> JSONValue {
        var object = object
        if kind.qualifiedName == Resource.pods { try PodAdmission(admission: self).assignAccount(&object, kind: kind) }
        return object
    }

    func admitUpdate(_ object: JSONValue, current: JSONValue, kind: KindDescription) throws -> JSONValue {
        switch kind.qualifiedName {
        case Resource.services:
            return try ServiceAdmission(admission: self).admit(object, current: current, kind: kind)
        case Resource.namespaces:
            // Only the finalize sub-resource changes these.
            var object = object
            object.set(current.value(at: ["spec", "finalizers"]), at: ["spec", "finalizers"])
            return object
        case Resource.pods: return PodAdmission.keepingAssigned(object, current: current)
        case "persistentvolumeclaims":
            var object = object
            if object.value(at: ["spec", "volumeName"]) == nil {
                object.set(current.value(at: ["spec", "volumeName"]), at: ["spec", "volumeName"])
            }
            return object
        case Resource.definitions:
            var object = definition(object)
            object["status"] = current["status"]
            return object
        default: return object
        }
    }

    /// What exists because something else was made.
    func didCreate(_ object: JSONValue, kind: KindDescription) throws {
        guard kind.qualifiedName == Resource.namespaces else { return }
        // In the same transaction as the namespace, so that a pod applied right behind it finds its account.
        if let accounts = cluster.kinds.kind(qualifiedName: Resource.serviceAccounts) {
            _ = try operations.insert(
                ["metadata": ["name": "default"]], kind: accounts, namespace: object.name, writer: writer)
        }
        if let maps = cluster.kinds.kind(qualifiedName: Resource.configMaps) {
            _ = try operations.insert(
                [
                    "metadata": ["name": .string(Self.authorityMap)],
                    "data": ["ca.crt": .string(cluster.caPEM)],
                ],
                kind: maps,
                namespace: object.name, writer: writer)
        }
    }

    private func withStatus(_ object: JSONValue, _ status: JSONValue) -> JSONValue {
        var object = object
        object["status"] = status
        return object
    }

    private func namespace(_ object: JSONValue) -> JSONValue {
        var object = withStatus(object, ["phase": "Active"])
        object.set(.string(object.name), at: ["metadata", "labels", "kubernetes.io/metadata.name"])
        object.set(["kubernetes"], at: ["spec", "finalizers"])
        return object
    }

    private func definition(_ object: JSONValue) -> JSONValue {
        var object = object
        let kind = object.value(at: ["spec", "names", "kind"])?.stringValue ?? ""
        if object.value(at: ["spec", "names", "listKind"]) == nil {
            object.set(.string(kind + "List"), at: ["spec", "names", "listKind"])
        }
        if object.value(at: ["spec", "names", "singular"]) == nil {
            object.set(.string(kind.lowercased()), at: ["spec", "names", "singular"])
        }
        let now = JSONValue.string(Timestamp.text(cluster.now()))
        func condition(_ type: String, _ reason: String, _ message: String) -> JSONValue {
            [
                "type": .string(type), "status": "True", "reason": .string(reason),
                "message": .string(message),
                "lastTransitionTime": now,
            ]
        }
        let stored = (object.value(at: ["spec", "versions"])?.arrayValue ?? []).filter {
            $0["storage"] == true
        }
        object["status"] = [
            "acceptedNames": object.value(at: ["spec", "names"]) ?? [:],
            "storedVersions": .array(stored.compactMap { $0["name"] }),
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
        ]
        return object
    }

    /// A job tells its pods apart by its own uid unless it brings a selector.
    private func job(_ object: JSONValue) -> JSONValue {
        guard object.value(at: ["spec", "manualSelector"]) != true else { return object }
        var object = object
        let uid = JSONValue.string(object.uid)
        object.set(["batch.kubernetes.io/controller-uid": uid], at: ["spec", "selector", "matchLabels"])
        for prefix in ["", "batch.kubernetes.io/"] {
            object.set(uid, at: ["spec", "template", "metadata", "labels", prefix + "controller-uid"])
            object.set(
                .string(object.name), at: ["spec", "template", "metadata", "labels", prefix + "job-name"])
        }
        return object
    }
}
