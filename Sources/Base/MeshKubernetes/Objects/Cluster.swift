// Namespaces, nodes, configuration, accounts and events.

public import MeshModel

/// A scope for names.
public struct Namespace: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "", version: "v1", plural: "namespaces", kind: "Namespace", isNamespaced: false)

    public var metadata: ObjectMeta = ObjectMeta(), spec: NamespaceSpec?, status: NamespaceStatus?

    public init() {}

    public init(
        metadata: ObjectMeta = ObjectMeta(), spec: NamespaceSpec? = nil,
        status: NamespaceStatus? =
            nil
    ) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }
}

/// What must happen before a namespace is gone.
public struct NamespaceSpec: KubernetesValue {
    public var finalizers: [String]?

    public init() {}

    public init(finalizers: [String]? = nil) {
        self.finalizers = finalizers
    }
}

/// `Active` or `Terminating`.
public struct NamespaceStatus: KubernetesValue {
    public var phase: String?, conditions: [Condition]?

    public init() {}

    public init(phase: String? = nil, conditions: [Condition]? = nil) {
        self.phase = phase
        self.conditions = conditions
    }
}

/// A machine that runs pods.
public struct Node: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "", version: "v1", plural: "nodes", kind: "Node", isNamespaced: false)

    public var metadata: ObjectMeta = ObjectMeta(), spec: NodeSpec?, status: NodeStatus?

    public init() {}

    public init(metadata: ObjectMeta = ObjectMeta(), spec: NodeSpec? = nil, status: NodeStatus? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }
}

/// Settings of a node.
public struct NodeSpec: KubernetesValue {
    public var podCIDR: String?, podCIDRs: [String]?, providerID: String?, unschedulable: Bool?,
        taints: [Taint]?

    public init() {}

    public init(
        podCIDR: String? = nil, podCIDRs: [String]? = nil, providerID: String? = nil,
        unschedulable:
            Bool? = nil, taints: [Taint]? = nil
    ) {
        self.podCIDR = podCIDR
        self.podCIDRs = podCIDRs
        self.providerID = providerID
        self.unschedulable = unschedulable
        self.taints = taints
    }
}

/// Keeps pods away that do not tolerate it.
public struct Taint: KubernetesValue {
    public var key: String = "", value: String?, effect: String = "", timeAdded: String?

    public init() {}

    public init(key: String, value: String? = nil, effect: String, timeAdded: String? = nil) {
        self.key = key
        self.value = value
        self.effect = effect
        self.timeAdded = timeAdded
    }
}

/// The observed state of a node.
public struct NodeStatus: KubernetesValue {
    public var capacity: [String: IntOrString]?, allocatable: [String: IntOrString]?, conditions: [Condition]?
    public var addresses: [NodeAddress]?, nodeInfo: JSONValue?, images: JSONValue?,
        daemonEndpoints: JSONValue?

    public init() {}
}

/// One address of a node, `InternalIP` or `Hostname` among others.
public struct NodeAddress: KubernetesValue {
    public var type: String = "", address: String = ""

    public init() {}

    public init(type: String, address: String) {
        self.type = type
        self.address = address
    }
}

/// Configuration as text.
public struct ConfigMap: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "", version: "v1", plural: "configmaps", kind: "ConfigMap", isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), data: [String: String]?, binaryData: [String: String]?
    public var immutable: Bool?

    public init() {}

    public init(
        metadata: ObjectMeta = ObjectMeta(), data: [String: String]? = nil,
        binaryData: [String:
            String]? = nil, immutable: Bool? = nil
    ) {
        self.metadata = metadata
        self.data = data
        self.binaryData = binaryData
        self.immutable = immutable
    }
}

/// Confidential values; `data` is base64.
public struct Secret: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "", version: "v1", plural: "secrets", kind: "Secret", isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), type: String?, data: [String: String]?
    public var stringData: [String: String]?, immutable: Bool?

    public init() {}

    public init(
        metadata: ObjectMeta = ObjectMeta(), type: String? = nil, data: [String: String]? = nil,
        stringData: [String: String]? = nil, immutable: Bool? = nil
    ) {
        self.metadata = metadata
        self.type = type
        self.data = data
        self.stringData = stringData
        self.immutable = immutable
    }
}

/// What pods act as towards the API.
public struct ServiceAccount: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "", version: "v1", plural: "serviceaccounts", kind: "ServiceAccount", isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), secrets: [ObjectReference]?
    public var imagePullSecrets: [LocalObjectReference]?, automountServiceAccountToken: Bool?

    public init() {}

    public init(
        metadata: ObjectMeta = ObjectMeta(), secrets: [ObjectReference]? = nil,
        imagePullSecrets:
            [LocalObjectReference]? = nil, automountServiceAccountToken: Bool? = nil
    ) {
        self.metadata = metadata
        self.secrets = secrets
        self.imagePullSecrets = imagePullSecrets
        self.automountServiceAccountToken = automountServiceAccountToken
    }
}

/// Something that happened to an object.
public struct Event: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "", version: "v1", plural: "events", kind: "Event", isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), involvedObject: ObjectReference?, reason: String?
    public var message: String?, type: String?, count: Int?, firstTimestamp: String?, lastTimestamp: String?
    public var eventTime: String?, source: EventSource?, reportingComponent: String?,
        reportingInstance: String?
    public var action: String?, related: ObjectReference?

    public init() {}
}

/// Which component reported an event.
public struct EventSource: KubernetesValue {
    public var component: String?, host: String?

    public init() {}

    public init(component: String? = nil, host: String? = nil) {
        self.component = component
        self.host = host
    }
}
