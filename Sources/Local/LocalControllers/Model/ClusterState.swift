package import MeshKubernetes
package import MeshModel

/// What the controllers know of the cluster at one moment: the input of every plan.
package struct ClusterState: Sendable {
    /// Seconds since 1970.
    package let now: Int
    /// The certificate authority that pods trust, PEM; `nil` when unknown.
    package let caPEM: String?
    private let objects: [ControlledKind: [ObjectKey: JSONValue]]
    private let controlled: [ControlledKind: [String: [JSONValue]]]

    /// - Parameter objects: Everything of each kind; a kind that is missing has no objects.
    package init(now: Int, caPEM: String? = nil, objects: [ControlledKind: [ObjectKey: JSONValue]]) {
        self.now = now
        self.caPEM = caPEM
        self.objects = objects
        var controlled: [ControlledKind: [String: [JSONValue]]] = [:]
        for kind in [ControlledKind.pods, .replicaSets] {
            var byOwner: [String: [JSONValue]] = [:]
            for (_, object) in (objects[kind] ?? [:]).sorted(by: { $0.key < $1.key }) {
                if let uid = object.controllerUID { byOwner[uid, default: []].append(object) }
            }
            controlled[kind] = byOwner
        }
        self.controlled = controlled
    }

    /// The state that holds `list`, for tests; kinds are taken from the objects' own.
    package init(now: Int, caPEM: String? = nil, _ list: [JSONValue]) {
        var objects: [ControlledKind: [ObjectKey: JSONValue]] = [:]
        for object in list {
            guard
                let kind = ControlledKind(
                    apiVersion: object["apiVersion"]?.stringValue ?? "",
                    kind: object["kind"]?.stringValue ?? "")
            else { continue }
            objects[kind, default: [:]][object.key] = object
        }
        self.init(now: now, caPEM: caPEM, objects: objects)
    }

    /// Every object of a kind, by namespace and name.
    package func all(_ kind: ControlledKind) -> [JSONValue] {
        (objects[kind] ?? [:]).sorted { $0.key < $1.key }.map(\.value)
    }

    /// Objects of a kind in one namespace, by name.
    func all(_ kind: ControlledKind, in namespace: String) -> [JSONValue] {
        all(kind).filter { $0.namespace == namespace }
    }

    /// One object.
    package subscript(_ kind: ControlledKind, _ key: ObjectKey) -> JSONValue? { objects[kind]?[key] }

    /// Pods or replica sets whose controller has `uid`, by name.
    func controlled(_ kind: ControlledKind, by uid: String) -> [JSONValue] { controlled[kind]?[uid] ?? [] }

    /// Whether a namespace is going away: nothing may be created in it.
    func isTerminating(namespace: String) -> Bool {
        self[.namespaces, ObjectKey(namespace: "", name: namespace)]?.isTerminating ?? false
    }
}

/// One thing to do. Each can be repeated, and each may fail because the world moved on: the next plan sees.
package enum Action: Sendable, Equatable {
    /// Make an object; its namespace is in its metadata.
    case create(ControlledKind, JSONValue)
    /// Merge-patch an object or its `status`.
    case patch(ControlledKind, ObjectKey, subresource: String?, JSONValue)
    /// Delete this very object, not a later one of its name.
    case delete(ControlledKind, ObjectKey, uid: String, graceSeconds: Int?)
    /// Delete an object whose owners are gone, after asking the API server whether they really are.
    case collect(ControlledKind, ObjectKey, uid: String, owners: [JSONValue])
    /// Delete a pod whose node is gone, after asking the API server whether it really is.
    case collectStranded(ObjectKey, uid: String, node: String)
    /// Empty what is left in a namespace and let it go.
    case finalizeNamespace(String)
    /// Tell people.
    case event(on: JSONValue, kind: ControlledKind, reason: String, message: String)
}
