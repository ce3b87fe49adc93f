extension BuiltInKinds {
    static let network: [KindDescription] = [
        KindDescription(
            "discovery.k8s.io/v1", "EndpointSlice", "endpointslices", schema: "EndpointSlice",
            columns: TableColumn.list(
                "AddressType|string|0|.addressType", "Ports|string|0|@slicePorts",
                "Endpoints|string|0|@sliceEndpoints",
                "Age"),
            immutable: ["addressType"]),
        KindDescription(
            "networking.k8s.io/v1", "Ingress", "ingresses", short: ["ing"], schema: "Ingress",
            columns: TableColumn.list(
                "Class|string|0|@ingressClass", "Hosts|string|0|@ingressHosts",
                "Address|string|0|@ingressAddress",
                "Ports|string|0|@ingressPorts", "Age"),
            sub: [.status]),
        KindDescription(
            "networking.k8s.io/v1", "IngressClass", "ingressclasses", namespaced: false,
            schema: "IngressClass",
            columns: TableColumn.list("Controller|string|0|.spec.controller", "Age")),
        KindDescription(
            "networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", short: ["netpol"],
            schema: "NetworkPolicy",
            columns: TableColumn.list("Pod-Selector|string|0|@podSelector", "Age")),
    ]

    static let policy: [KindDescription] = [
        KindDescription(
            "rbac.authorization.k8s.io/v1", "Role", "roles", schema: "Role",
            columns: TableColumn.list("Created At|date|0|.metadata.creationTimestamp")),
        KindDescription(
            "rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", schema: "RoleBinding",
            columns: bindingColumns, immutable: ["roleRef"]),
        KindDescription(
            "rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced: false,
            schema: "ClusterRole",
            columns: TableColumn.list("Created At|date|0|.metadata.creationTimestamp")),
        KindDescription(
            "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced: false,
            schema: "ClusterRoleBinding", columns: bindingColumns, immutable: ["roleRef"]),
        KindDescription(
            "policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", short: ["pdb"],
            schema: "PodDisruptionBudget",
            columns: TableColumn.list(
                "Min Available|string|0|@minAvailable", "Max Unavailable|string|0|@maxUnavailable",
                "Allowed Disruptions|integer|0|@allowedDisruptions", "Age"),
            sub: [.status]),
    ]

    private static let bindingColumns = TableColumn.list(
        "Role|string|0|@bindingRole", "Age", "Users|string|1|@bindingUsers", "Groups|string|1|@bindingGroups",
        "ServiceAccounts|string|1|@bindingAccounts")

    private static let webhookColumns = TableColumn.list("Webhooks|integer|0|@webhookCount", "Age")

    static let cluster: [KindDescription] = [
        KindDescription(
            "coordination.k8s.io/v1", "Lease", "leases", schema: "Lease",
            columns: TableColumn.list("Holder|string|0|.spec.holderIdentity", "Age")),
        KindDescription(
            "scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", short: ["pc"], namespaced: false,
            schema: "PriorityClass",
            columns: TableColumn.list(
                "Value|integer|0|.value", "Global-Default|boolean|0|@globalDefault", "Age",
                "PreemptionPolicy|string|0|.preemptionPolicy"),
            immutable: ["value"]),
        KindDescription(
            "storage.k8s.io/v1", "StorageClass", "storageclasses", short: ["sc"], namespaced: false,
            schema: "StorageClass",
            columns: TableColumn.list(
                "Provisioner|string|0|.provisioner", "ReclaimPolicy|string|0|.reclaimPolicy",
                "VolumeBindingMode|string|0|.volumeBindingMode",
                "AllowVolumeExpansion|boolean|0|@allowExpansion", "Age"),
            immutable: ["provisioner", "parameters", "reclaimPolicy"]),
        KindDescription(
            "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration",
            "mutatingwebhookconfigurations",
            namespaced: false, schema: "MutatingWebhookConfiguration", columns: webhookColumns),
        KindDescription(
            "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration",
            "validatingwebhookconfigurations",
            namespaced: false, schema: "ValidatingWebhookConfiguration", columns: webhookColumns),
        KindDescription(
            "apiregistration.k8s.io/v1", "APIService", "apiservices", categories: ["api-extensions"],
            namespaced: false, schema: "APIService",
            columns: TableColumn.list(
                "Service|string|0|@apiServiceTarget", "Available|string|0|@apiServiceAvailable", "Age"),
            select: ["spec.group"], sub: [.status]),
        KindDescription(
            "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions",
            short: ["crd", "crds"], categories: ["api-extensions"], namespaced: false,
            schema: "CustomResourceDefinition",
            columns: TableColumn.list("Created At|date|0|.metadata.creationTimestamp"), sub: [.status],
            immutable: ["spec.group", "spec.names.plural", "spec.names.kind", "spec.scope"]),
    ]
}
