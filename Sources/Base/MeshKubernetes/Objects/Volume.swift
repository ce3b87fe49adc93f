// Volumes of a pod and the claims behind some of them.

/// Storage of a pod; exactly one source is set.
public struct Volume: KubernetesValue {
    public var name: String = "", emptyDir: EmptyDirVolumeSource?, hostPath: HostPathVolumeSource?
    public var configMap: ConfigMapVolumeSource?, secret: SecretVolumeSource?,
        projected: ProjectedVolumeSource?
    public var downwardAPI: DownwardAPIVolumeSource?, persistentVolumeClaim: ClaimVolumeSource?

    public init() {}
}

/// A folder that lives as long as the pod.
public struct EmptyDirVolumeSource: KubernetesValue {
    public var medium: String?, sizeLimit: IntOrString?

    public init() {}

    public init(medium: String? = nil, sizeLimit: IntOrString? = nil) {
        self.medium = medium
        self.sizeLimit = sizeLimit
    }
}

/// A folder or file of the node.
public struct HostPathVolumeSource: KubernetesValue {
    public var path: String = "", type: String?

    public init() {}

    public init(path: String, type: String? = nil) {
        self.path = path
        self.type = type
    }
}

/// The keys of a ConfigMap as files.
public struct ConfigMapVolumeSource: KubernetesValue {
    public var name: String?, items: [KeyToPath]?, defaultMode: Int?, optional: Bool?

    public init() {}

    public init(
        name: String? = nil, items: [KeyToPath]? = nil, defaultMode: Int? = nil,
        optional: Bool? =
            nil
    ) {
        self.name = name
        self.items = items
        self.defaultMode = defaultMode
        self.optional = optional
    }
}

/// The keys of a Secret as files.
public struct SecretVolumeSource: KubernetesValue {
    public var secretName: String?, items: [KeyToPath]?, defaultMode: Int?, optional: Bool?

    public init() {}

    public init(
        secretName: String? = nil, items: [KeyToPath]? = nil, defaultMode: Int? = nil,
        optional:
            Bool? = nil
    ) {
        self.secretName = secretName
        self.items = items
        self.defaultMode = defaultMode
        self.optional = optional
    }
}

/// One key and the file it becomes.
public struct KeyToPath: KubernetesValue {
    public var key: String = "", path: String = "", mode: Int?

    public init() {}

    public init(key: String, path: String, mode: Int? = nil) {
        self.key = key
        self.path = path
        self.mode = mode
    }
}

/// Several sources in one folder.
public struct ProjectedVolumeSource: KubernetesValue {
    public var sources: [VolumeProjection]?, defaultMode: Int?

    public init() {}

    public init(sources: [VolumeProjection]? = nil, defaultMode: Int? = nil) {
        self.sources = sources
        self.defaultMode = defaultMode
    }
}

/// One source of a projected volume.
public struct VolumeProjection: KubernetesValue {
    public var configMap: ConfigMapProjection?, secret: SecretProjection?, downwardAPI: DownwardAPIProjection?
    public var serviceAccountToken: TokenProjection?

    public init() {}

    public init(
        configMap: ConfigMapProjection? = nil, secret: SecretProjection? = nil,
        downwardAPI:
            DownwardAPIProjection? = nil, serviceAccountToken: TokenProjection? = nil
    ) {
        self.configMap = configMap
        self.secret = secret
        self.downwardAPI = downwardAPI
        self.serviceAccountToken = serviceAccountToken
    }
}

/// Keys of a ConfigMap.
public struct ConfigMapProjection: KubernetesValue {
    public var name: String?, items: [KeyToPath]?, optional: Bool?

    public init() {}

    public init(name: String? = nil, items: [KeyToPath]? = nil, optional: Bool? = nil) {
        self.name = name
        self.items = items
        self.optional = optional
    }
}

/// Keys of a Secret.
public struct SecretProjection: KubernetesValue {
    public var name: String?, items: [KeyToPath]?, optional: Bool?

    public init() {}

    public init(name: String? = nil, items: [KeyToPath]? = nil, optional: Bool? = nil) {
        self.name = name
        self.items = items
        self.optional = optional
    }
}

/// Fields of the pod.
public struct DownwardAPIProjection: KubernetesValue {
    public var items: [DownwardAPIVolumeFile]?

    public init() {}

    public init(items: [DownwardAPIVolumeFile]? = nil) {
        self.items = items
    }
}

/// A service-account token, renewed before it expires.
public struct TokenProjection: KubernetesValue {
    public var audience: String?, expirationSeconds: Int?, path: String = ""

    public init() {}

    public init(audience: String? = nil, expirationSeconds: Int? = nil, path: String) {
        self.audience = audience
        self.expirationSeconds = expirationSeconds
        self.path = path
    }
}

/// Fields of the pod as files.
public struct DownwardAPIVolumeSource: KubernetesValue {
    public var items: [DownwardAPIVolumeFile]?, defaultMode: Int?

    public init() {}

    public init(items: [DownwardAPIVolumeFile]? = nil, defaultMode: Int? = nil) {
        self.items = items
        self.defaultMode = defaultMode
    }
}

/// One file with a field of the pod.
public struct DownwardAPIVolumeFile: KubernetesValue {
    public var path: String = "", fieldRef: ObjectFieldSelector?, resourceFieldRef: ResourceFieldSelector?
    public var mode: Int?

    public init() {}

    public init(
        path: String, fieldRef: ObjectFieldSelector? = nil, resourceFieldRef: ResourceFieldSelector? = nil,
        mode: Int? = nil
    ) {
        self.path = path
        self.fieldRef = fieldRef
        self.resourceFieldRef = resourceFieldRef
        self.mode = mode
    }
}

/// The storage bound to a claim.
public struct ClaimVolumeSource: KubernetesValue {
    public var claimName: String = "", readOnly: Bool?

    public init() {}

    public init(claimName: String, readOnly: Bool? = nil) {
        self.claimName = claimName
        self.readOnly = readOnly
    }
}

/// A request for durable storage.
public struct PersistentVolumeClaim: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "", version: "v1", plural: "persistentvolumeclaims", kind: "PersistentVolumeClaim",
        isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), spec: PersistentVolumeClaimSpec?
    public var status: PersistentVolumeClaimStatus?

    public init() {}

    public init(
        metadata: ObjectMeta = ObjectMeta(), spec: PersistentVolumeClaimSpec? = nil,
        status:
            PersistentVolumeClaimStatus? = nil
    ) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }
}

/// How much storage, and how it is used.
public struct PersistentVolumeClaimSpec: KubernetesValue {
    public var accessModes: [String]?, resources: ResourceRequirements?, storageClassName: String?
    public var volumeName: String?, volumeMode: String?, selector: LabelSelector?

    public init() {}

    public init(
        accessModes: [String]? = nil, resources: ResourceRequirements? = nil,
        storageClassName:
            String? = nil, volumeName: String? = nil, volumeMode: String? = nil,
        selector:
            LabelSelector? = nil
    ) {
        self.accessModes = accessModes
        self.resources = resources
        self.storageClassName = storageClassName
        self.volumeName = volumeName
        self.volumeMode = volumeMode
        self.selector = selector
    }
}

/// Whether the claim is `Pending`, `Bound` or `Lost`.
public struct PersistentVolumeClaimStatus: KubernetesValue {
    public var phase: String?, accessModes: [String]?, capacity: [String: IntOrString]?,
        conditions: [Condition]?

    public init() {}

    public init(
        phase: String? = nil, accessModes: [String]? = nil, capacity: [String: IntOrString]? = nil,
        conditions: [Condition]? = nil
    ) {
        self.phase = phase
        self.accessModes = accessModes
        self.capacity = capacity
        self.conditions = conditions
    }
}
