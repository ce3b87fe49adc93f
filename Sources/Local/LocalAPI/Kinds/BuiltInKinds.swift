/// Every kind that is served without a CustomResourceDefinition, in the order discovery lists them.
enum BuiltInKinds {
    static let all: [KindDescription] = core + workloads + network + policy + cluster

    private static let workloadColumns = ["Containers|string|1|@containers", "Images|string|1|@images"]
    private static let selectorColumn = "Selector|string|1|@selector"

    static let core: [KindDescription] = [
        KindDescription(
            "v1", "Pod", "pods", short: ["po"], categories: ["all"], schema: "Pod",
            columns: TableColumn.list(
                "Ready|string|0|@podReady", "Status|string|0|@podStatus", "Restarts|string|0|@podRestarts",
                "Age",
                "IP|string|1|@podIP", "Node|string|1|@podNode", "Nominated Node|string|1|@podNominated",
                "Readiness Gates|string|1|@podGates"),
            select: [
                "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
                "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName",
            ],
            sub: [
                .status, .log, .portforward, .proxy, .eviction, .binding, .exec, .attach,
                .ephemeralcontainers,
            ]),
        KindDescription(
            "v1", "Service", "services", short: ["svc"], categories: ["all"], schema: "Service",
            columns: TableColumn.list(
                "Type|string|0|.spec.type", "Cluster-IP|string|0|@clusterIP",
                "External-IP|string|0|@externalIP",
                "Port(s)|string|0|@servicePorts", "Age", "Selector|string|1|@serviceSelector"),
            select: ["spec.clusterIP", "spec.type"], sub: [.status, .proxy]),
        KindDescription(
            "v1", "Endpoints", "endpoints", short: ["ep"], schema: "Endpoints",
            columns: TableColumn.list("Endpoints|string|0|@endpoints", "Age"), singular: "endpoints"),
        KindDescription(
            "v1", "ConfigMap", "configmaps", short: ["cm"], schema: "ConfigMap",
            columns: TableColumn.list("Data|string|0|@dataCount", "Age")),
        KindDescription(
            "v1", "Secret", "secrets", schema: "Secret",
            columns: TableColumn.list("Type|string|0|.type", "Data|string|0|@dataCount", "Age"),
            select: ["type"],
            immutable: ["type"]),
        KindDescription(
            "v1", "ServiceAccount", "serviceaccounts", short: ["sa"], schema: "ServiceAccount",
            columns: TableColumn.list("Secrets|string|0|@secretCount", "Age"), sub: [.token]),
        KindDescription(
            "v1", "Event", "events", short: ["ev"], schema: "Event", columns: eventColumns,
            select: [
                "involvedObject.kind", "involvedObject.namespace", "involvedObject.name",
                "involvedObject.uid",
                "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
                "reason",
                "reportingComponent", "source", "type",
            ]),
        KindDescription(
            "v1", "Namespace", "namespaces", short: ["ns"], namespaced: false, schema: "Namespace",
            columns: TableColumn.list("Status|string|0|.status.phase", "Age"), select: ["status.phase"],
            sub: [.status, .finalize]),
        KindDescription(
            "v1", "Node", "nodes", short: ["no"], namespaced: false, schema: "Node",
            columns: TableColumn.list(
                "Status|string|0|@nodeStatus", "Roles|string|0|@nodeRoles", "Age",
                "Version|string|0|.status.nodeInfo.kubeletVersion", "Internal-IP|string|1|@nodeInternalIP",
                "External-IP|string|1|@nodeExternalIP", "OS-Image|string|1|.status.nodeInfo.osImage",
                "Kernel-Version|string|1|.status.nodeInfo.kernelVersion",
                "Container-Runtime|string|1|.status.nodeInfo.containerRuntimeVersion"),
            select: ["spec.unschedulable"], sub: [.status]),
        KindDescription(
            "v1", "PersistentVolumeClaim", "persistentvolumeclaims", short: ["pvc"],
            schema: "PersistentVolumeClaim",
            columns: TableColumn.list(
                "Status|string|0|@claimStatus", "Volume|string|0|.spec.volumeName",
                "Capacity|string|0|@claimCapacity", "Access Modes|string|0|@claimModes",
                "StorageClass|string|0|.spec.storageClassName", "Age", "VolumeMode|string|1|.spec.volumeMode"),
            sub: [.status]),
        KindDescription(
            "v1", "PersistentVolume", "persistentvolumes", short: ["pv"], namespaced: false,
            schema: "PersistentVolume",
            columns: TableColumn.list(
                "Capacity|string|0|.spec.capacity.storage", "Access Modes|string|0|@volumeModes",
                "Reclaim Policy|string|0|.spec.persistentVolumeReclaimPolicy",
                "Status|string|0|.status.phase",
                "Claim|string|0|@volumeClaim", "StorageClass|string|0|.spec.storageClassName",
                "Reason|string|0|.status.reason", "Age", "VolumeMode|string|1|.spec.volumeMode"),
            sub: [.status]),
        KindDescription(
            "v1", "ResourceQuota", "resourcequotas", short: ["quota"], schema: "ResourceQuota", sub: [.status]
        ),
        KindDescription("v1", "LimitRange", "limitranges", short: ["limits"], schema: "LimitRange"),
        KindDescription(
            "v1", "ReplicationController", "replicationcontrollers", short: ["rc"], categories: ["all"],
            schema: "ReplicationController", columns: replicaColumns, select: ["status.replicas"],
            sub: [.status, .scale]),
    ]

    private static let eventColumns = [
        "Last Seen|string|0|@eventLastSeen", "Type|string|0|.type", "Reason|string|0|.reason",
        "Object|string|0|@eventObject", "Subobject|string|1|.involvedObject.fieldPath",
        "Source|string|1|@eventSource", "Message|string|0|.message", "First Seen|string|1|@eventFirstSeen",
        "Count|string|1|@eventCount", "Name|string|1|.metadata.name",
    ].map { TableColumn($0) }

    private static let replicaColumns =
        TableColumn.list(
            "Desired|integer|0|@replicas", "Current|integer|0|@statusReplicas",
            "Ready|integer|0|@readyReplicas",
            "Age") + (workloadColumns + [selectorColumn]).map { TableColumn($0) }

    static let workloads: [KindDescription] = [
        KindDescription(
            "apps/v1", "Deployment", "deployments", short: ["deploy"], categories: ["all"],
            schema: "Deployment",
            columns: TableColumn.list(
                "Ready|string|0|@readyOfDesired", "Up-to-date|string|0|@updatedReplicas",
                "Available|string|0|@availableReplicas", "Age")
                + (workloadColumns + [selectorColumn]).map { TableColumn($0) },
            sub: [.status, .scale], immutable: ["spec.selector"]),
        KindDescription(
            "apps/v1", "ReplicaSet", "replicasets", short: ["rs"], categories: ["all"], schema: "ReplicaSet",
            columns: replicaColumns, select: ["status.replicas"], sub: [.status, .scale],
            immutable: ["spec.selector"]),
        KindDescription(
            "apps/v1", "StatefulSet", "statefulsets", short: ["sts"], categories: ["all"],
            schema: "StatefulSet",
            columns: TableColumn.list("Ready|string|0|@readyOfDesired", "Age")
                + workloadColumns.map { TableColumn($0) },
            sub: [.status, .scale],
            immutable: [
                "spec.selector", "spec.serviceName", "spec.podManagementPolicy", "spec.volumeClaimTemplates",
            ]),
        KindDescription(
            "apps/v1", "DaemonSet", "daemonsets", short: ["ds"], categories: ["all"], schema: "DaemonSet",
            columns: TableColumn.list(
                "Desired|integer|0|@desiredScheduled", "Current|integer|0|@currentScheduled",
                "Ready|integer|0|@numberReady", "Up-to-date|integer|0|@updatedScheduled",
                "Available|integer|0|@numberAvailable", "Node Selector|string|0|@nodeSelector", "Age")
                + (workloadColumns + [selectorColumn]).map { TableColumn($0) },
            sub: [.status], immutable: ["spec.selector"]),
        KindDescription(
            "apps/v1", "ControllerRevision", "controllerrevisions", schema: "ControllerRevision",
            columns: TableColumn.list(
                "Controller|string|0|@controller", "Revision|integer|0|.revision", "Age"),
            immutable: ["data"]),
        KindDescription(
            "batch/v1", "Job", "jobs", categories: ["all"], schema: "Job",
            columns: TableColumn.list(
                "Status|string|0|@jobStatus", "Completions|string|0|@jobCompletions",
                "Duration|string|0|@jobDuration", "Age")
                + (workloadColumns + [selectorColumn]).map { TableColumn($0) },
            select: ["status.successful"], sub: [.status],
            immutable: ["spec.selector", "spec.template", "spec.completions", "spec.completionMode"]),
        KindDescription(
            "batch/v1", "CronJob", "cronjobs", short: ["cj"], categories: ["all"], schema: "CronJob",
            columns: TableColumn.list(
                "Schedule|string|0|.spec.schedule", "Timezone|string|0|@timeZone",
                "Suspend|boolean|0|.spec.suspend",
                "Active|integer|0|@activeCount", "Last Schedule|string|0|@lastSchedule", "Age"),
            sub: [.status]),
    ]
}
