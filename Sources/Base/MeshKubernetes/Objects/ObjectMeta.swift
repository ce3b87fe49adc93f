// What every object carries. Field names and meanings are those of the Kubernetes API reference; times are
// RFC 3339 text.

/// Name, labels, ownership and life cycle of an object.
public struct ObjectMeta: KubernetesValue {
    public var name: String?, generateName: String?, namespace: String?, uid: String?,
        resourceVersion: String?
    public var generation: Int?, creationTimestamp: String?, deletionTimestamp: String?
    public var deletionGracePeriodSeconds: Int?, labels: [String: String]?, annotations: [String: String]?
    public var ownerReferences: [OwnerReference]?, finalizers: [String]?

    public init() {}
}

/// Who owns an object; when the owner goes, so does the object.
public struct OwnerReference: KubernetesValue {
    public var apiVersion: String = "", kind: String = "", name: String = "", uid: String = "",
        controller: Bool?
    public var blockOwnerDeletion: Bool?

    public init() {}

    public init(
        apiVersion: String, kind: String, name: String, uid: String, controller: Bool? = nil,
        blockOwnerDeletion: Bool? = nil
    ) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.name = name
        self.uid = uid
        self.controller = controller
        self.blockOwnerDeletion = blockOwnerDeletion
    }
}

/// Chooses objects by label: every pair and every expression must hold.
public struct LabelSelector: KubernetesValue {
    public var matchLabels: [String: String]?, matchExpressions: [LabelSelectorRequirement]?

    public init() {}

    public init(matchLabels: [String: String]? = nil, matchExpressions: [LabelSelectorRequirement]? = nil) {
        self.matchLabels = matchLabels
        self.matchExpressions = matchExpressions
    }
}

/// One expression; the operator is `In`, `NotIn`, `Exists` or `DoesNotExist`.
public struct LabelSelectorRequirement: KubernetesValue {
    public var key: String = "", `operator`: String = "", values: [String]?

    public init() {}

    public init(key: String, operator: String, values: [String]? = nil) {
        self.key = key
        self.operator = `operator`
        self.values = values
    }
}

/// Names another object, possibly a field inside it.
public struct ObjectReference: KubernetesValue {
    public var apiVersion: String?, kind: String?, namespace: String?, name: String?, uid: String?
    public var resourceVersion: String?, fieldPath: String?

    public init() {}
}

/// Names an object in the same namespace.
public struct LocalObjectReference: KubernetesValue {
    public var name: String?

    public init() {}

    public init(name: String? = nil) {
        self.name = name
    }
}

/// One observed aspect of an object's state; status is `True`, `False` or `Unknown`.
public struct Condition: KubernetesValue {
    public var type: String = "", status: String = "", reason: String?, message: String?
    public var lastTransitionTime: String?, lastProbeTime: String?, lastUpdateTime: String?
    public var observedGeneration: Int?

    public init() {}
}
