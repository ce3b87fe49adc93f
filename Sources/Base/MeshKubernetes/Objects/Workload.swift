// Objects that make pods.

/// Keeps a number of equal pods, and replaces them gradually on change.
public struct Deployment: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "apps", version: "v1", plural: "deployments", kind: "Deployment", isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), spec: DeploymentSpec?, status: DeploymentStatus?

    public init() {}

    public init(
        metadata: ObjectMeta = ObjectMeta(), spec: DeploymentSpec? = nil, status: DeploymentStatus? = nil
    ) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }
}

/// How many pods of which template, and how to replace them.
public struct DeploymentSpec: KubernetesValue {
    public var replicas: Int?, selector: LabelSelector?, template: PodTemplateSpec?,
        strategy: DeploymentStrategy?
    public var minReadySeconds: Int?, revisionHistoryLimit: Int?, paused: Bool?, progressDeadlineSeconds: Int?

    public init() {}
}

/// `RollingUpdate` or `Recreate`.
public struct DeploymentStrategy: KubernetesValue {
    public var type: String?, rollingUpdate: RollingUpdate?

    public init() {}

    public init(type: String? = nil, rollingUpdate: RollingUpdate? = nil) {
        self.type = type
        self.rollingUpdate = rollingUpdate
    }
}

/// How many pods may be missing or extra meanwhile, as numbers or percentages.
public struct RollingUpdate: KubernetesValue {
    public var maxUnavailable: IntOrString?, maxSurge: IntOrString?, partition: Int?

    public init() {}

    public init(maxUnavailable: IntOrString? = nil, maxSurge: IntOrString? = nil, partition: Int? = nil) {
        self.maxUnavailable = maxUnavailable
        self.maxSurge = maxSurge
        self.partition = partition
    }
}

/// How far a deployment has come.
public struct DeploymentStatus: KubernetesValue {
    public var observedGeneration: Int?, replicas: Int?, updatedReplicas: Int?, readyReplicas: Int?
    public var availableReplicas: Int?, unavailableReplicas: Int?, collisionCount: Int?,
        conditions: [Condition]?

    public init() {}
}

/// Keeps a number of equal pods.
public struct ReplicaSet: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "apps", version: "v1", plural: "replicasets", kind: "ReplicaSet", isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), spec: ReplicaSetSpec?, status: ReplicaSetStatus?

    public init() {}

    public init(
        metadata: ObjectMeta = ObjectMeta(), spec: ReplicaSetSpec? = nil, status: ReplicaSetStatus? = nil
    ) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }
}

/// How many pods of which template.
public struct ReplicaSetSpec: KubernetesValue {
    public var replicas: Int?, selector: LabelSelector?, template: PodTemplateSpec?, minReadySeconds: Int?

    public init() {}

    public init(
        replicas: Int? = nil, selector: LabelSelector? = nil, template: PodTemplateSpec? = nil,
        minReadySeconds: Int? = nil
    ) {
        self.replicas = replicas
        self.selector = selector
        self.template = template
        self.minReadySeconds = minReadySeconds
    }
}

/// How many pods there are.
public struct ReplicaSetStatus: KubernetesValue {
    public var observedGeneration: Int?, replicas: Int?, fullyLabeledReplicas: Int?, readyReplicas: Int?
    public var availableReplicas: Int?, conditions: [Condition]?

    public init() {}

    public init(
        observedGeneration: Int? = nil, replicas: Int? = nil, fullyLabeledReplicas: Int? = nil,
        readyReplicas: Int? = nil, availableReplicas: Int? = nil, conditions: [Condition]? = nil
    ) {
        self.observedGeneration = observedGeneration
        self.replicas = replicas
        self.fullyLabeledReplicas = fullyLabeledReplicas
        self.readyReplicas = readyReplicas
        self.availableReplicas = availableReplicas
        self.conditions = conditions
    }
}

/// Keeps numbered pods with stable names.
public struct StatefulSet: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "apps", version: "v1", plural: "statefulsets", kind: "StatefulSet", isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), spec: StatefulSetSpec?, status: StatefulSetStatus?

    public init() {}

    public init(
        metadata: ObjectMeta = ObjectMeta(), spec: StatefulSetSpec? = nil,
        status:
            StatefulSetStatus? = nil
    ) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }
}

/// How many pods of which template, under which service's name.
public struct StatefulSetSpec: KubernetesValue {
    public var replicas: Int?, serviceName: String?, selector: LabelSelector?, template: PodTemplateSpec?
    public var podManagementPolicy: String?, updateStrategy: DeploymentStrategy?, revisionHistoryLimit: Int?
    public var volumeClaimTemplates: [PersistentVolumeClaim]?, minReadySeconds: Int?

    public init() {}
}

/// How many pods there are, by revision.
public struct StatefulSetStatus: KubernetesValue {
    public var observedGeneration: Int?, replicas: Int?, readyReplicas: Int?, currentReplicas: Int?
    public var updatedReplicas: Int?, availableReplicas: Int?, currentRevision: String?,
        updateRevision: String?
    public var collisionCount: Int?, conditions: [Condition]?

    public init() {}
}

/// Keeps one pod on every node.
public struct DaemonSet: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "apps", version: "v1", plural: "daemonsets", kind: "DaemonSet", isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), spec: DaemonSetSpec?, status: DaemonSetStatus?

    public init() {}

    public init(
        metadata: ObjectMeta = ObjectMeta(), spec: DaemonSetSpec? = nil,
        status: DaemonSetStatus? =
            nil
    ) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }
}

/// Which template, and how to replace pods on change.
public struct DaemonSetSpec: KubernetesValue {
    public var selector: LabelSelector?, template: PodTemplateSpec?, updateStrategy: DeploymentStrategy?
    public var minReadySeconds: Int?, revisionHistoryLimit: Int?

    public init() {}

    public init(
        selector: LabelSelector? = nil, template: PodTemplateSpec? = nil,
        updateStrategy:
            DeploymentStrategy? = nil, minReadySeconds: Int? = nil, revisionHistoryLimit: Int? = nil
    ) {
        self.selector = selector
        self.template = template
        self.updateStrategy = updateStrategy
        self.minReadySeconds = minReadySeconds
        self.revisionHistoryLimit = revisionHistoryLimit
    }
}

/// How many nodes should and do run the pod.
public struct DaemonSetStatus: KubernetesValue {
    public var observedGeneration: Int?, currentNumberScheduled: Int?, desiredNumberScheduled: Int?
    public var numberMisscheduled: Int?, numberReady: Int?, numberAvailable: Int?, numberUnavailable: Int?
    public var updatedNumberScheduled: Int?, conditions: [Condition]?

    public init() {}
}

/// Runs pods until enough of them have succeeded.
public struct Job: KubernetesObject, KubernetesValue {
    public static let resource = APIResource(
        group: "batch", version: "v1", plural: "jobs", kind: "Job", isNamespaced: true)

    public var metadata: ObjectMeta = ObjectMeta(), spec: JobSpec?, status: JobStatus?

    public init() {}

    public init(metadata: ObjectMeta = ObjectMeta(), spec: JobSpec? = nil, status: JobStatus? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }
}

/// How often the template must succeed.
public struct JobSpec: KubernetesValue {
    public var parallelism: Int?, completions: Int?, backoffLimit: Int?, activeDeadlineSeconds: Int?
    public var ttlSecondsAfterFinished: Int?, selector: LabelSelector?, manualSelector: Bool?
    public var template: PodTemplateSpec?, completionMode: String?, suspend: Bool?

    public init() {}
}

/// How far a job has come.
public struct JobStatus: KubernetesValue {
    public var active: Int?, ready: Int?, succeeded: Int?, failed: Int?, startTime: String?
    public var completionTime: String?, conditions: [Condition]?

    public init() {}
}
