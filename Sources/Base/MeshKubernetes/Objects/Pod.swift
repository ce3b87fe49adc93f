// The pod: what should run (spec) and what does (status).

public import MeshModel

/// A group of containers that share a network address.
public struct Pod: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "", version: "v1", plural: "pods", kind: "Pod", isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), spec: PodSpec?, status: PodStatus?

    public init() {}

    public init(metadata: ObjectMeta = ObjectMeta(), spec: PodSpec? = nil, status: PodStatus? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }
}

/// What a pod should run and how.
public struct PodSpec: KubernetesValue {
    public var containers: [Container] = [], initContainers: [Container]?, volumes: [Volume]?
    public var restartPolicy: String?, terminationGracePeriodSeconds: Int?, activeDeadlineSeconds: Int?
    public var dnsPolicy: String?, nodeName: String?, nodeSelector: [String: String]?,
        serviceAccountName: String?
    public var serviceAccount: String?, automountServiceAccountToken: Bool?, hostNetwork: Bool?,
        hostPID: Bool?
    public var hostIPC: Bool?, shareProcessNamespace: Bool?, enableServiceLinks: Bool?
    public var securityContext: PodSecurityContext?, imagePullSecrets: [LocalObjectReference]?,
        hostname: String?
    public var subdomain: String?, schedulerName: String?, priorityClassName: String?, priority: Int?
    public var tolerations: [Toleration]?, hostAliases: [HostAlias]?, affinity: JSONValue?
    public var topologySpreadConstraints: JSONValue?, dnsConfig: JSONValue?, readinessGates: JSONValue?

    public init() {}
}

/// The pod that a workload makes copies of.
public struct PodTemplateSpec: KubernetesValue {
    public var metadata: ObjectMeta?, spec: PodSpec?

    public init() {}

    public init(metadata: ObjectMeta? = nil, spec: PodSpec? = nil) {
        self.metadata = metadata
        self.spec = spec
    }
}

/// Security settings shared by a pod's containers.
public struct PodSecurityContext: KubernetesValue {
    public var runAsUser: Int?, runAsGroup: Int?, runAsNonRoot: Bool?, fsGroup: Int?,
        fsGroupChangePolicy: String?
    public var supplementalGroups: [Int]?, seccompProfile: JSONValue?, sysctls: JSONValue?

    public init() {}
}

/// Lets a pod run on a node with a matching taint.
public struct Toleration: KubernetesValue {
    public var key: String?, `operator`: String?, value: String?, effect: String?, tolerationSeconds: Int?

    public init() {}

    public init(
        key: String? = nil, operator: String? = nil, value: String? = nil, effect: String? = nil,
        tolerationSeconds: Int? = nil
    ) {
        self.key = key
        self.operator = `operator`
        self.value = value
        self.effect = effect
        self.tolerationSeconds = tolerationSeconds
    }
}

/// One line of a pod's hosts file.
public struct HostAlias: KubernetesValue {
    public var ip: String?, hostnames: [String]?

    public init() {}

    public init(ip: String? = nil, hostnames: [String]? = nil) {
        self.ip = ip
        self.hostnames = hostnames
    }
}
