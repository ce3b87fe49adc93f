// Services and the endpoints behind them.

public import MeshModel

/// A stable name and address for a set of pods.
public struct Service: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "", version: "v1", plural: "services", kind: "Service", isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), spec: ServiceSpec?, status: ServiceStatus?

    public init() {}

    public init(
        metadata: ObjectMeta = ObjectMeta(), spec: ServiceSpec? = nil, status: ServiceStatus? = nil
    ) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }
}

/// How a service is reached and what it selects.
public struct ServiceSpec: KubernetesValue {
    public var type: String?, clusterIP: String?, clusterIPs: [String]?, externalName: String?
    public var externalIPs: [String]?, ports: [ServicePort]?, selector: [String: String]?,
        sessionAffinity: String?
    public var publishNotReadyAddresses: Bool?, internalTrafficPolicy: String?, externalTrafficPolicy: String?
    public var ipFamilies: [String]?, ipFamilyPolicy: String?, loadBalancerIP: String?
    public var allocateLoadBalancerNodePorts: Bool?, healthCheckNodePort: Int?

    public init() {}
}

/// One port of a service; `targetPort` is a number or the name of a container port.
public struct ServicePort: KubernetesValue {
    public var name: String?, `protocol`: String?, appProtocol: String?, port: Int = 0,
        targetPort: IntOrString?
    public var nodePort: Int?

    public init() {}

    public init(
        name: String? = nil, protocol: String? = nil, appProtocol: String? = nil, port: Int,
        targetPort: IntOrString? = nil, nodePort: Int? = nil
    ) {
        self.name = name
        self.protocol = `protocol`
        self.appProtocol = appProtocol
        self.port = port
        self.targetPort = targetPort
        self.nodePort = nodePort
    }
}

/// What a load balancer reported.
public struct ServiceStatus: KubernetesValue {
    public var loadBalancer: JSONValue?, conditions: [Condition]?

    public init() {}

    public init(loadBalancer: JSONValue? = nil, conditions: [Condition]? = nil) {
        self.loadBalancer = loadBalancer
        self.conditions = conditions
    }
}

/// The addresses behind a service, in the older form.
public struct Endpoints: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "", version: "v1", plural: "endpoints", kind: "Endpoints", isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), subsets: [EndpointSubset]?

    public init() {}

    public init(metadata: ObjectMeta = ObjectMeta(), subsets: [EndpointSubset]? = nil) {
        self.metadata = metadata
        self.subsets = subsets
    }
}

/// Addresses that share the same ports.
public struct EndpointSubset: KubernetesValue {
    public var addresses: [EndpointAddress]?, notReadyAddresses: [EndpointAddress]?, ports: [EndpointPort]?

    public init() {}

    public init(
        addresses: [EndpointAddress]? = nil, notReadyAddresses: [EndpointAddress]? = nil,
        ports:
            [EndpointPort]? = nil
    ) {
        self.addresses = addresses
        self.notReadyAddresses = notReadyAddresses
        self.ports = ports
    }
}

/// One address.
public struct EndpointAddress: KubernetesValue {
    public var ip: String = "", hostname: String?, nodeName: String?, targetRef: ObjectReference?

    public init() {}

    public init(
        ip: String, hostname: String? = nil, nodeName: String? = nil,
        targetRef: ObjectReference? =
            nil
    ) {
        self.ip = ip
        self.hostname = hostname
        self.nodeName = nodeName
        self.targetRef = targetRef
    }
}

/// One port of a subset or slice.
public struct EndpointPort: KubernetesValue {
    public var name: String?, port: Int?, `protocol`: String?, appProtocol: String?

    public init() {}

    public init(
        name: String? = nil, port: Int? = nil, protocol: String? = nil, appProtocol: String? = nil
    ) {
        self.name = name
        self.port = port
        self.protocol = `protocol`
        self.appProtocol = appProtocol
    }
}

/// Part of the addresses behind a service.
public struct EndpointSlice: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "discovery.k8s.io", version: "v1", plural: "endpointslices", kind: "EndpointSlice",
        isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), addressType: String?, endpoints: [SliceEndpoint]?
    public var ports: [EndpointPort]?

    public init() {}

    public init(
        metadata: ObjectMeta = ObjectMeta(), addressType: String? = nil, endpoints: [SliceEndpoint]? = nil,
        ports: [EndpointPort]? = nil
    ) {
        self.metadata = metadata
        self.addressType = addressType
        self.endpoints = endpoints
        self.ports = ports
    }
}

/// One endpoint of a slice; all its addresses mean the same peer.
public struct SliceEndpoint: KubernetesValue {
    public var addresses: [String] = [], conditions: EndpointConditions?, hostname: String?, nodeName: String?
    public var zone: String?, targetRef: ObjectReference?, deprecatedTopology: [String: String]?
    public var hints: EndpointHints?

    public init() {}
}

/// Unset `ready` counts as ready.
public struct EndpointConditions: KubernetesValue {
    public var ready: Bool?, serving: Bool?, terminating: Bool?

    public init() {}

    public init(ready: Bool? = nil, serving: Bool? = nil, terminating: Bool? = nil) {
        self.ready = ready
        self.serving = serving
        self.terminating = terminating
    }
}

/// Zones whose clients should use an endpoint.
public struct EndpointHints: KubernetesValue {
    public var forZones: [EndpointZone]?

    public init() {}

    public init(forZones: [EndpointZone]? = nil) {
        self.forZones = forZones
    }
}

/// One zone of a hint.
public struct EndpointZone: KubernetesValue {
    public var name: String = ""

    public init() {}

    public init(name: String) {
        self.name = name
    }
}
